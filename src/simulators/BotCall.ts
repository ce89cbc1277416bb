import { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { WebSocket } from 'ws';
import { kernels } from '../audio/kernels.js';
import { bytesOf, channelOf, samplesOf } from '../audio/pcm.js';
import { jambonzBotMark, jambonzKillAudio, jambonzPlayAudio } from '../providers/jambonz/messages.js';
import { twilioBotClear, twilioBotMark, twilioBotMedia } from '../providers/twilio/messages.js';

export interface BotFrame {
  /** Exact audio bytes: mu-law (Twilio) or PCM16 little-endian, interleaved where the stream is stereo. */
  readonly payload: Uint8Array;
  /** Twilio's `media.timestamp`; NaN for jambonz. */
  readonly timestampMs: number;
  /** Twilio's `sequenceNumber`; NaN for jambonz. */
  readonly sequence: number;
  readonly track: string;
  /** On the clock of `performance.now()`. */
  readonly atMs: number;
}

export interface BotCallEvents {
  start: [];
  audio: [BotFrame];
  /** Echo of a mark; `cleared` is always false for Twilio, which doesn't say. */
  mark: [{ readonly name: string; readonly cleared: boolean }];
  dtmf: [string];
  clipDone: [{ readonly id: string | undefined }];
  stop: [];
  /** Every message as it came. */
  message: [{ readonly data: Buffer; readonly isBinary: boolean }];
  closed: [{ readonly code: number; readonly reason: string }];
}

export interface BotCallOptions {
  readonly provider: 'twilio' | 'jambonz';
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** How jambonz audio goes back. */
  readonly returns: 'streaming' | 'playAudio' | 'none';
  /** Rate of audio sent to jambonz, Hz; null: the stream's own. */
  readonly returnSampleRate: number | null;
}

/** One call as the bot sees it: what it received and when, and the verbs to answer. */
export class BotCall extends EventEmitter<BotCallEvents> {
  readonly provider: 'twilio' | 'jambonz';
  /** Path and query of the upgrade. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: WebSocket;
  /** Messages in order, text only. */
  readonly texts: string[] = [];
  readonly frames: BotFrame[] = [];
  readonly digits: string[] = [];
  readonly marks: { readonly name: string; readonly cleared: boolean; readonly atMs: number }[] = [];
  /** The start message as parsed: Twilio's `start` object, jambonz's first frame; null before it came. */
  start: Readonly<Record<string, unknown>> | null = null;
  streamSid: string | null = null;
  sampleRate = 8000;
  channels: 1 | 2 = 1;
  stopped = false;
  closed: { readonly code: number; readonly reason: string; readonly atMs: number } | null = null;
  readonly #options: BotCallOptions;

  constructor(socket: WebSocket, options: BotCallOptions) {
    super();
    this.#options = options;
    this.provider = options.provider;
    this.url = options.url;
    this.headers = options.headers;
    this.socket = socket;
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary));
    socket.on('error', () => undefined);
    socket.on('close', (code, reason) => this.#closed(code, reason.toString()));
  }

  /** The last frame that arrived; undefined before the first. */
  get lastFrame(): BotFrame | undefined {
    return this.frames.at(-1);
  }

  get callSid(): string {
    const sid = this.start?.['callSid'];
    return typeof sid === 'string' ? sid : '';
  }

  /** Rate at which audio is to be sent, Hz. */
  get speakRate(): number {
    if (this.provider === 'twilio') return 8000;
    return this.#options.returnSampleRate ?? this.sampleRate;
  }

  /** The caller's samples of a frame; of stereo the left channel. */
  pcm(frame: BotFrame): Int16Array {
    if (this.provider === 'jambonz') return channelOf(samplesOf(frame.payload), 0, this.channels);
    const pcm = new Int16Array(frame.payload.length);
    kernels.decodeMulaw(frame.payload, pcm);
    return pcm;
  }

  /** Sends one message of audio in the dialect's encoding: mu-law, or samples at `speakRate`. */
  sendAudio(bytes: Uint8Array, clip: { readonly id?: string; readonly queued?: boolean } = {}): void {
    if (this.provider === 'twilio') this.send(twilioBotMedia(this.streamSid ?? '', bytes));
    else if (this.#options.returns === 'streaming') this.send(bytes);
    else if (this.#options.returns === 'playAudio') {
      const id = clip.id === undefined ? {} : { id: clip.id };
      const how = {
        audioContentType: 'raw',
        sampleRate: this.speakRate,
        queuePlay: clip.queued ?? true,
      } as const;
      this.send(jambonzPlayAudio({ ...how, ...id, audioContent: bytes }));
    }
  }

  /** Samples at `speakRate` in the dialect's encoding. */
  encode(pcm: Int16Array): Uint8Array {
    if (this.provider === 'jambonz') return bytesOf(pcm);
    const bytes = new Uint8Array(pcm.length);
    kernels.encodeMulaw(pcm, bytes);
    return bytes;
  }

  /**
   * Says all of it at once, faster than real time.
   *
   * @param messageMs - audio per message; Infinity: everything in one, as clips (`playAudio`) always are
   * @param id - of the clip
   */
  say(pcm: Int16Array, messageMs = 20, id?: string): void {
    const clip = id === undefined ? {} : { id };
    const whole = this.provider === 'jambonz' && this.#options.returns === 'playAudio';
    const samples = whole
      ? pcm.length
      : Math.min(pcm.length, Math.round((messageMs * this.speakRate) / 1000));
    for (let at = 0; at < pcm.length; at += samples) {
      this.sendAudio(this.encode(pcm.subarray(at, at + samples)), clip);
    }
  }

  mark(name: string): void {
    this.send(this.provider === 'twilio' ? twilioBotMark(this.streamSid ?? '', name) : jambonzBotMark(name));
  }

  /** Twilio's `clear`, jambonz's `killAudio`. */
  clear(): void {
    this.send(this.provider === 'twilio' ? twilioBotClear(this.streamSid ?? '') : jambonzKillAudio());
  }

  /** Sends a message as it is: text as a text frame, bytes as a binary one. */
  send(message: string | Uint8Array): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(message);
  }

  close(code = 1000, reason = ''): void {
    this.socket.close(code, reason);
  }

  /** Destroys the TCP connection. */
  terminate(): void {
    this.socket.terminate();
  }

  /** Stops reading, as a bot that hangs. */
  pauseReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    this.socket.resume();
  }

  #receive(data: Buffer, isBinary: boolean): void {
    const atMs = performance.now();
    if (isBinary) this.#audio({ payload: data, timestampMs: NaN, sequence: NaN, track: 'inbound', atMs });
    else this.#text(data.toString('utf8'), atMs);
    this.emit('message', { data, isBinary });
  }

  #audio(frame: BotFrame): void {
    this.frames.push(frame);
    this.emit('audio', frame);
  }

  #text(text: string, atMs: number): void {
    const message = parse(text);
    if (this.provider === 'jambonz') this.#jambonz(message, atMs);
    else this.#twilio(message, atMs);
    if (message['event'] !== 'media') this.texts.push(text);
  }

  #twilio(message: Json, atMs: number): void {
    const body = objectAt(message, String(message['event']));
    switch (message['event']) {
      case 'start':
        this.streamSid = String(message['streamSid']);
        this.#started(body);
        break;
      case 'media':
        this.#audio({
          payload: Buffer.from(String(body['payload']), 'base64'),
          timestampMs: Number(body['timestamp']),
          sequence: Number(message['sequenceNumber']),
          track: String(body['track']),
          atMs,
        });
        break;
      case 'mark':
        this.#marked({ name: String(body['name']), cleared: false, atMs });
        break;
      case 'dtmf':
        this.#digit(String(body['digit']));
        break;
      case 'stop':
        this.stopped = true;
        this.emit('stop');
    }
  }

  #jambonz(message: Json, atMs: number): void {
    const data = objectAt(message, 'data');
    if (this.start === null) {
      this.sampleRate = Number(message['sampleRate'] ?? 8000);
      this.channels = message['mixType'] === 'stereo' ? 2 : 1;
      this.#started(message);
    } else if (message['event'] === 'dtmf') this.#digit(String(message['dtmf']));
    else if (message['type'] === 'mark') {
      this.#marked({ name: String(data['name']), cleared: data['event'] === 'cleared', atMs });
    } else if (message['type'] === 'playDone') {
      this.emit('clipDone', { id: typeof data['id'] === 'string' ? data['id'] : undefined });
    }
  }

  #started(start: Json): void {
    this.start = start;
    this.emit('start');
  }

  #marked(mark: { readonly name: string; readonly cleared: boolean; readonly atMs: number }): void {
    this.marks.push(mark);
    this.emit('mark', mark);
  }

  #digit(digit: string): void {
    this.digits.push(digit);
    this.emit('dtmf', digit);
  }

  #closed(code: number, reason: string): void {
    this.closed = { code, reason, atMs: performance.now() };
    this.emit('closed', this.closed);
  }
}

type Json = Readonly<Record<string, unknown>>;

function parse(text: string): Json {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === 'object' && message !== null ? (message as Json) : {};
  } catch {
    return {};
  }
}

function objectAt(message: Json, key: string): Json {
  const value = message[key];
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}
