import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { kernels } from '../audio/kernels.js';
import { bytesOf } from '../audio/pcm.js';
import { ReelayError } from '../config/ReelayError.js';
import { jambonzDtmf, jambonzStart } from '../providers/jambonz/messages.js';
import { Caller, type LiveStream } from './Caller.js';
import { CallerAudio } from './CallerAudio.js';
import { checkedAudio, checkedRate, type CallerOptions } from './CallerOptions.js';
import type { HeardPiece } from './CallResult.js';
import { JambonzPlayback, type JambonzReturnOptions } from './JambonzPlayback.js';

export interface JambonzCallerOptions extends CallerOptions {
  readonly username?: string;
  readonly password?: string;
  /** Rate of the stream, Hz. Default 8000. */
  readonly sampleRate?: number;
  /** `stereo`: caller left, what the leg hears of written frames right. Default mono. */
  readonly mixType?: 'mono' | 'mixed' | 'stereo';
  /** How audio comes back. Default streaming. */
  readonly returns?: JambonzReturnOptions['returns'];
  /** Rate of streamed audio that comes back, Hz. Default: the stream's. */
  readonly returnSampleRate?: number;
  /** Codec rate of the call leg, Hz, which decides the pre-buffer. Default 8000. */
  readonly legSampleRate?: number;
  /** Offered sub-protocol. Default `audio.drachtio.org`, as the client's own default. */
  readonly subprotocol?: string;
  /** Merged flat over the start message, as the verb's `metadata`. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly from?: string;
  readonly to?: string;
  readonly direction?: 'inbound' | 'outbound';
  /**
   * Makes it jambonz's own recording of a call: `/record/<vendor>` is appended to the URL, as the feature server does to
   * `JAMBONZ_RECORD_WS_BASE_URL`, the mix is stereo, and whatever the server sends is a violation.
   */
  readonly recordVendor?: string;
  /** When the first text frame is sent after the socket has opened, ms; audio goes ahead of it. Infinity: it is lost. Default 0. */
  readonly startAfterMs?: number;
  /** What the client buffers while the server doesn't read, seconds. Default 2. */
  readonly bufferSeconds?: number;
}

/** Bytes that the client loses at the start of its buffer after an overrun. */
const overrunBytes = 16;

/** Above so many characters of user and password the client leaves the header out. */
const maxCredentials = 90;

/**
 * A strict stand-in for jambonz `listen`/`stream`: sub-protocol and Basic auth, one text frame with the call's facts, then
 * 16-bit samples without header or time, coalesced into one message after a stall. A stall longer than the client's buffer
 * throws the whole buffer away, and the next message is 16 bytes short: the overrun's only trace.
 */
export class JambonzCaller extends Caller {
  readonly provider = 'jambonz';
  protected readonly sampleRate: number;
  protected readonly channels: 1 | 2;
  protected readonly audio: CallerAudio;
  readonly #options: JambonzCallerOptions;
  readonly #mixType: 'mono' | 'mixed' | 'stereo';
  #playback: JambonzPlayback;
  /** Samples per channel lost since the last message. */
  #lost = 0;
  #overrun = false;

  constructor(options: JambonzCallerOptions) {
    super(options, {
      callSid: options.callSid ?? randomUUID(),
      accountSid: options.accountSid ?? randomUUID(),
    });
    if (options.jumps !== undefined && options.jumps.length > 0) {
      throw new ReelayError('config_invalid', {
        value: 'jump',
        remedy: 'jambonz sends no timestamps that could jump.',
      });
    }
    this.#options = options;
    this.sampleRate = checkedRate(options.sampleRate ?? 8000);
    this.#mixType = options.mixType ?? (options.recordVendor === undefined ? 'mono' : 'stereo');
    this.channels = this.#mixType === 'stereo' ? 2 : 1;
    this.audio = checkedAudio(options.audio ?? CallerAudio.silence(this.sampleRate), this.sampleRate);
    this.#playback = this.#newPlayback();
  }

  /** The return path of the stream that runs, or of the last one. */
  get playback(): JambonzPlayback {
    return this.#playback;
  }

  protected get playbackDueMs(): number {
    return this.#playback.dueMs;
  }

  protected dial(): WebSocket {
    const { headers, subprotocol = 'audio.drachtio.org', recordVendor } = this.#options;
    const url = recordVendor === undefined ? this.#options.url : recordUrl(this.#options.url, recordVendor);
    const { hostname } = new URL(url);
    const own = {
      Host: hostname,
      Origin: `http://${hostname}`,
      Pragma: 'no-cache',
      'Cache-Control': 'no-cache',
    };
    return new WebSocket(url, subprotocol, {
      headers: { ...own, ...this.#authorization(), ...headers },
      perMessageDeflate: false,
    });
  }

  protected sendStart(socket: WebSocket): null {
    const {
      metadata,
      startAfterMs = 0,
      from = '+15550100',
      to = '+15550199',
      direction = 'inbound',
    } = this.#options;
    const { callSid, accountSid, sampleRate } = this;
    this.#playback = this.#newPlayback();
    this.#lost = 0;
    this.#overrun = false;
    const call = { sampleRate, mixType: this.#mixType, callSid, accountSid, from, to, direction };
    const text = jambonzStart(metadata === undefined ? call : { ...call, metadata });
    if (startAfterMs === 0) socket.send(text);
    else if (startAfterMs < Infinity) sendLater(socket, text, startAfterMs);
    return null;
  }

  protected sendFrames(stream: LiveStream, from: number, to: number): void {
    const { frameSamples } = this.audio;
    const capacity = Math.floor((this.#options.bufferSeconds ?? 2) * 50);
    let ticks: number[] = [];
    for (let frame = from; frame < to; frame += 1) {
      if (this.script.isDropped(this.callMs(stream, frame))) {
        if (ticks.length > 0) this.#sendTicks(stream, ticks);
        ticks = [];
        this.#lose(frameSamples);
        continue;
      }
      if (ticks.length === capacity) {
        ticks = [];
        this.#lose(capacity * frameSamples);
      }
      ticks.push(frame);
    }
    if (ticks.length > 0) this.#sendTicks(stream, ticks);
  }

  /** Everything that waits in the client leaves as one message. */
  #sendTicks(stream: LiveStream, ticks: readonly number[]): void {
    const whole = Buffer.concat(ticks.map((tick) => bytesOf(this.#tick(stream, tick))));
    const skipped = this.#overrun ? overrunBytes : 0;
    const skippedSamples = skipped / 2 / this.channels;
    const payload = whole.subarray(skipped);
    const sentMs = this.nowMs(stream);
    stream.socket.send(payload);
    this.latency.sent(payload, sentMs);
    this.note(stream, {
      track: 'inbound',
      sampleStart: (ticks[0] ?? 0) * this.audio.frameSamples + skippedSamples,
      timestampMs: NaN,
      payload,
      sentMs,
      lostBefore: this.#lost + skippedSamples,
    });
    this.#lost = 0;
    this.#overrun = false;
  }

  protected sendDigit(stream: LiveStream, digit: string): void {
    stream.socket.send(jambonzDtmf(digit, 200));
  }

  /** jambonz says nothing at the end but the close frame. */
  protected sendStop(): void {
    return;
  }

  protected receive(stream: LiveStream, data: Buffer, isBinary: boolean, nowMs: number): void {
    if (this.#options.recordVendor !== undefined) {
      this.violation(stream, 'record_answered', 'a recording socket got a message', data);
      return;
    }
    const reaction = this.#playback.receive(data, isBinary, nowMs);
    if (reaction.kind === 'violation') this.violation(stream, reaction.code, reaction.reason, data);
    else if (reaction.kind === 'mark') this.emit('mark', { name: reaction.name, atMs: nowMs });
    else if (reaction.kind === 'clear') this.emit('clear', { atMs: nowMs });
    else if (reaction.kind === 'disconnect') this.hangUp();
    else if (reaction.kind === 'audio') {
      this.latency.received(reaction.payload, nowMs);
      this.received(stream, reaction.receipt);
    }
  }

  protected reportPlayback(stream: LiveStream, nowMs: number): void {
    for (const { text, echo } of this.#playback.report(nowMs)) {
      stream.socket.send(text);
      if (echo !== null) this.echoed(stream, echo);
    }
  }

  protected finishPlayback(nowMs: number): HeardPiece[] {
    const { sampleRate } = this.#playback;
    return this.#playback.finish(nowMs).map(({ sampleStart, atMs, audio }) => {
      return { sampleStart, atMs, sampleRate, pcm: audio, bytes: bytesOf(audio) };
    });
  }

  #lose(samples: number): void {
    this.#lost += samples;
    this.#overrun = true;
  }

  /** One media tick as it lies in the client's buffer. */
  #tick(stream: LiveStream, tick: number): Int16Array {
    const said = this.audio.frame(stream.firstFrame + tick);
    if (this.#mixType === 'mono') return said;
    const written = new Int16Array(said.length);
    this.#playback.readWritten(tick * said.length, written);
    if (this.#mixType === 'mixed') {
      kernels.mix(said, written, written);
      return written;
    }
    const both = new Int16Array(said.length * 2);
    kernels.interleave(said, written, both);
    return both;
  }

  #newPlayback(): JambonzPlayback {
    const { returns = 'streaming', returnSampleRate = this.sampleRate, legSampleRate = 8000 } = this.#options;
    return new JambonzPlayback({ returns, returnSampleRate, legSampleRate, sampleRate: this.sampleRate });
  }

  #authorization(): Record<string, string> {
    const { username, password } = this.#options;
    if (username === undefined || password === undefined) return {};
    if (username.length + password.length > maxCredentials) return {};
    return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
  }
}

function recordUrl(base: string, vendor: string): string {
  return `${base.replace(/\/$/, '')}/record/${vendor}`;
}

function sendLater(socket: WebSocket, text: string, afterMs: number): void {
  const timer = setTimeout(() => socket.send(text), afterMs);
  socket.once('close', () => clearTimeout(timer));
}
