import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { kernels } from '../audio/kernels.js';
import {
  twilioConnected,
  twilioDtmf,
  twilioMark,
  twilioStart,
  twilioStop,
} from '../providers/twilio/messages.js';
import { signatureOf } from '../providers/twilio/signature.js';
import { Caller, type LiveStream } from './Caller.js';
import { CallerAudio, frameMs, mulawFrame, type MulawFrame } from './CallerAudio.js';
import { checkedAudio, type CallerOptions } from './CallerOptions.js';
import type { HeardPiece } from './CallResult.js';
import { PlaybackQueue } from './PlaybackQueue.js';
import { inspectTwilio } from './TwilioInspector.js';

export interface TwilioCallerOptions extends CallerOptions {
  /** Signs the upgrade (`X-Twilio-Signature`); without it there is no signature. */
  readonly authToken?: string;
  /** The URL that is signed, where a proxy changes it. Default: the URL as given. */
  readonly signedUrl?: string;
  readonly customParameters?: Readonly<Record<string, string>>;
  /**
   * A unidirectional stream (`<Start><Stream track>`), to which nothing may be sent. Default: the bidirectional stream of
   * `<Connect>`.
   */
  readonly track?: 'inbound_track' | 'outbound_track' | 'both_tracks';
  /** What the outbound track of a unidirectional stream carries; default silence. */
  readonly outboundAudio?: CallerAudio;
  /** The outbound track carries what this caller hears, as a `<Start><Stream>` beside its `<Connect><Stream>`. */
  readonly outboundOf?: TwilioCaller;
}

type Track = 'inbound' | 'outbound';

const sampleRate = 8000;
const frameSamples = (sampleRate * frameMs) / 1000;

/** A Twilio id: two letters and 32 hex digits. */
export function twilioId(prefix: 'AC' | 'CA' | 'MZ'): string {
  return prefix + randomBytes(16).toString('hex');
}

/**
 * A strict stand-in for Twilio Media Streams: `connected` and `start` back to back, counters as strings, mu-law at 8 kHz in
 * frames of 20 ms, DTMF, marks at playout, `stop`. Whatever Twilio would warn about becomes a violation named by its code.
 */
export class TwilioCaller extends Caller {
  readonly provider = 'twilio';
  protected readonly sampleRate = sampleRate;
  protected readonly channels = 1;
  protected readonly audio: CallerAudio;
  readonly #options: TwilioCallerOptions;
  readonly #tracks: readonly Track[];
  #queue = new PlaybackQueue<Uint8Array>({ sampleRate });
  #sequence = 0;
  #chunk = 0;
  #lost = 0;
  #overflowed = false;

  constructor(options: TwilioCallerOptions) {
    super(options, {
      callSid: options.callSid ?? twilioId('CA'),
      accountSid: options.accountSid ?? twilioId('AC'),
    });
    this.#options = options;
    this.audio = checkedAudio(options.audio ?? CallerAudio.silence(sampleRate), sampleRate);
    this.#tracks = tracksOf(options.track);
  }

  /** The playback queue of the stream that runs, or of the last one. */
  get queue(): PlaybackQueue<Uint8Array> {
    return this.#queue;
  }

  /** What this caller hears in the 20 ms that begin at `atMs` of `performance.now()`, mu-law, silence where there is nothing. */
  heardFrame(atMs: number): Int16Array {
    const bytes = new Uint8Array(frameSamples).fill(0xff);
    if (this.stream !== null) this.#queue.read(this.#queue.sampleAt(atMs - this.stream.startMs), bytes);
    const pcm = new Int16Array(frameSamples);
    kernels.decodeMulaw(bytes, pcm);
    return pcm;
  }

  protected get playbackDueMs(): number {
    return this.#queue.dueMs;
  }

  protected dial(): WebSocket {
    const { url, authToken, signedUrl, headers } = this.#options;
    const signature =
      authToken === undefined ? {} : { 'X-Twilio-Signature': signatureOf(authToken, signedUrl ?? url) };
    return new WebSocket(url, { headers: { ...signature, ...headers }, perMessageDeflate: false });
  }

  protected sendStart(socket: WebSocket): string {
    const streamSid = twilioId('MZ');
    const { accountSid, callSid } = this;
    const { customParameters = {} } = this.#options;
    this.#queue = new PlaybackQueue<Uint8Array>({ sampleRate });
    this.#chunk = 0;
    this.#lost = 0;
    this.#overflowed = false;
    this.#sequence = 1;
    socket.send(twilioConnected());
    socket.send(
      twilioStart({
        streamSid,
        sequenceNumber: 1,
        accountSid,
        callSid,
        tracks: this.#tracks,
        customParameters,
      }),
    );
    return streamSid;
  }

  protected sendFrames(stream: LiveStream, from: number, to: number): void {
    for (let frame = from; frame < to; frame += 1) {
      this.#chunk += 1;
      if (this.script.isDropped(this.callMs(stream, frame))) {
        this.#sequence += this.#tracks.length;
        this.#lost += frameSamples;
        continue;
      }
      for (const track of this.#tracks) this.#sendFrame(stream, frame, track);
      this.#lost = 0;
    }
  }

  #sendFrame(stream: LiveStream, frame: number, track: Track): void {
    const { payload, base64 } = this.#frameOf(stream, frame, track);
    const timestampMs = Math.max(0, frame * frameMs + this.script.jumpAt(this.callMs(stream, frame)));
    this.#sequence += 1;
    const sentMs = this.nowMs(stream);
    // Written out by hand: this line runs 50 times a second for each call of a load test.
    stream.socket.send(
      `{"event":"media","sequenceNumber":"${this.#sequence}","media":{"track":"${track}","chunk":"${this.#chunk}",` +
        `"timestamp":"${timestampMs}","payload":"${base64}"},"streamSid":"${stream.streamSid ?? ''}"}`,
    );
    if (track === 'inbound') this.latency.sent(payload, sentMs);
    const sampleStart = (timestampMs * sampleRate) / 1000;
    this.note(stream, { track, sampleStart, timestampMs, payload, sentMs, lostBefore: this.#lost });
  }

  protected sendDigit(stream: LiveStream, digit: string): void {
    stream.socket.send(twilioDtmf({ ...this.#numbered(stream), digit }));
  }

  protected sendStop(stream: LiveStream): void {
    const { accountSid, callSid } = this;
    stream.socket.send(twilioStop({ ...this.#numbered(stream), accountSid, callSid }));
  }

  protected receive(stream: LiveStream, data: Buffer, isBinary: boolean, nowMs: number): void {
    if (this.#options.track !== undefined) {
      this.violation(stream, '31924', 'a message on a unidirectional stream', data);
      return;
    }
    const command = inspectTwilio(data, isBinary, stream.streamSid ?? '');
    if (command.kind === 'violation') this.violation(stream, command.code, command.reason, data);
    else if (command.kind === 'media') this.#play(stream, command.payload, nowMs);
    else if (command.kind === 'mark') {
      this.#queue.mark(command.name);
      this.emit('mark', { name: command.name, atMs: nowMs });
    } else {
      this.#queue.clear(nowMs);
      this.emit('clear', { atMs: nowMs });
    }
  }

  protected reportPlayback(stream: LiveStream, nowMs: number): void {
    for (const echo of this.#queue.advance(nowMs)) {
      stream.socket.send(twilioMark({ ...this.#numbered(stream), name: echo.name }));
      this.echoed(stream, echo);
    }
  }

  protected finishPlayback(nowMs: number): HeardPiece[] {
    this.#queue.finish(nowMs);
    return this.#queue.heard(nowMs).map(({ sampleStart, atMs, audio }) => {
      const pcm = new Int16Array(audio.length);
      kernels.decodeMulaw(audio, pcm);
      return { sampleStart, atMs, sampleRate, pcm, bytes: audio };
    });
  }

  #play(stream: LiveStream, payload: Buffer, nowMs: number): void {
    this.latency.received(payload, nowMs);
    const sampleStart = this.#queue.append(payload, nowMs);
    if (sampleStart === null && !this.#overflowed) {
      this.#overflowed = true;
      this.violation(stream, '31931', 'more than 10 minutes of audio queued', `${payload.length} bytes`);
    }
    this.received(stream, { atMs: nowMs, sampleStart, samples: payload.length });
  }

  #frameOf(stream: LiveStream, frame: number, track: Track): MulawFrame {
    const index = stream.firstFrame + frame;
    if (track === 'inbound') return this.audio.mulawFrame(index);
    const { outboundOf, outboundAudio } = this.#options;
    if (outboundOf !== undefined) return mulawFrame(outboundOf.heardFrame(stream.startMs + frame * frameMs));
    return (outboundAudio ?? CallerAudio.silence(sampleRate)).mulawFrame(index);
  }

  #numbered(stream: LiveStream): { streamSid: string; sequenceNumber: number } {
    this.#sequence += 1;
    return { streamSid: stream.streamSid ?? '', sequenceNumber: this.#sequence };
  }
}

function tracksOf(track: TwilioCallerOptions['track']): readonly Track[] {
  if (track === 'both_tracks') return ['inbound', 'outbound'];
  return track === 'outbound_track' ? ['outbound'] : ['inbound'];
}
