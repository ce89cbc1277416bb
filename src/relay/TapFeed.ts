import type { Capabilities, ProviderEvent, StartEvent, UpstreamEvent } from '../providers/Dialect.js';
import { Encoding, Track } from '../tap/TapRecord.js';
import type { StreamEndFacts, StreamFacts } from '../tap/TapRecord.js';
import type { StreamTap, TapAddress } from '../tap/Tap.js';
import type { Call } from './Call.js';
import { PcmAlignment } from '../audio/PcmAlignment.js';
import type { Problems } from './Problems.js';
import { silentStream } from './SilentTap.js';
import { publicParameters } from './parameters.js';
import { wallClockAt } from './streamFacts.js';

export const trackOf = {
  caller: Track.caller,
  bot: Track.botHeard,
  both: Track.both,
  mixed: Track.mixed,
} as const;
/** How far a provider's time may run ahead of the time that has passed here. */
export const aheadMs = 3_600_000;
/** Messages of unknown kinds that go into a manifest, and the longest of them, bytes. */
const maxUnknown = 100;
const maxUnknownBytes = 8192;

/**
 * Turns the messages of one stream into tap records. Everything here happens after the message has been forwarded, and
 * whatever goes wrong here ends this stream's recording at most: the frames go on.
 */
export class TapFeed {
  readonly #call: Call;
  readonly #problems: Problems;
  readonly #encoding: Encoding;
  readonly #onlyTrack: Track | undefined;
  readonly #playout: StreamFacts['playout'];
  readonly #startedMs: number;
  readonly #fromProvider: PcmAlignment | undefined;
  readonly #fromUpstream: PcmAlignment | undefined;
  readonly #facts: StreamFacts;
  #tap: StreamTap = silentStream;
  #unknown = 0;

  constructor(options: {
    readonly call: Call;
    readonly facts: StreamFacts;
    readonly start: StartEvent;
    readonly capabilities: Pick<Capabilities, 'framing' | 'encoding'>;
    readonly problems: Problems;
    readonly arrivalMs: number;
  }) {
    const { call, facts, start, capabilities } = options;
    const raw = capabilities.encoding === 'pcm16';
    this.#call = call;
    this.#facts = facts;
    this.#problems = options.problems;
    this.#encoding = raw ? Encoding.pcm16 : Encoding.mulaw;
    this.#onlyTrack = capabilities.framing === 'binary' ? trackOf[start.tracks[0] ?? 'caller'] : undefined;
    this.#playout = facts.playout;
    this.#startedMs = options.arrivalMs;
    this.#fromProvider = raw ? new PcmAlignment(2 * start.channels) : undefined;
    this.#fromUpstream = raw ? new PcmAlignment(2) : undefined;
    this.#guard(() => (this.#tap = call.tap.startStream(facts, options.arrivalMs)));
  }

  provider(event: ProviderEvent, data: Buffer, arrivalMs: number): void {
    this.#guard(() => this.#provider(event, data, arrivalMs));
  }

  upstream(event: UpstreamEvent, arrivalMs: number): void {
    this.#guard(() => this.#upstream(event, arrivalMs));
  }

  event(type: string, details: Readonly<Record<string, unknown>> = {}): void {
    this.#guard(() => this.#call.event({ ...details, type }, performance.now()));
  }

  /** Where the native thread writes this stream's audio; null while it must not. */
  get address(): TapAddress | null {
    return this.#keepsAudio ? this.#tap.address : silentStream.address;
  }

  get isMuted(): boolean {
    return this.#call.recording.isMuted;
  }

  /** Half a sample has come, and waits for its other half. */
  get isSplit(): boolean {
    return this.#fromProvider?.isSplit === true || this.#fromUpstream?.isSplit === true;
  }

  /** The native thread had no room for so many records and couldn't tell it any more. */
  missed(records: number, sinceMs: number): void {
    this.#guard(() => this.#tap.missed(records, sinceMs, performance.now()));
  }

  /** The recording begins in the middle of the stream. */
  join(): void {
    const nowMs = performance.now();
    const facts = { ...this.#facts, wallClockMs: wallClockAt(nowMs), isJoined: true };
    this.#guard(() => (this.#tap = this.#call.tap.startStream(facts, nowMs)));
  }

  end(facts: StreamEndFacts, arrivalMs: number): void {
    this.#guard(() => this.#tap.end(facts, arrivalMs));
    this.#tap = silentStream;
  }

  get #keepsAudio(): boolean {
    return this.#call.recording.keepsAudio;
  }

  #provider(event: ProviderEvent, data: Buffer, arrivalMs: number): void {
    switch (event.kind) {
      case 'audio': {
        if (!this.#call.recording.mayKeepAudio) return;
        const payload = this.#fromProvider?.push(event.payload) ?? event.payload;
        if (!this.#keepsAudio || this.#isAbsurd(event.timestampMs, arrivalMs)) return;
        const track = this.#onlyTrack ?? trackOf[event.track];
        this.#audio(track, payload, event.timestampMs, arrivalMs);
        return;
      }
      case 'mark':
        this.#tap.markEcho(event.name, arrivalMs);
        return;
      case 'dtmf': {
        const digit = this.#hidesDigits ? '' : event.digit;
        this.#tap.dtmf({ digit, durationMs: event.durationMs }, arrivalMs);
        return;
      }
      case 'clipDone':
        this.#tap.clipDone({ id: event.id, playedMs: event.playedMs }, arrivalMs);
        return;
      case 'unknown':
        this.#keepUnknown(event.name, data, arrivalMs);
        return;
      default:
    }
  }

  #upstream(event: UpstreamEvent, arrivalMs: number): void {
    switch (event.kind) {
      case 'audio':
        this.#spoken(event.payload, arrivalMs);
        return;
      case 'clip': {
        const { id, queued, sampleRate, payload } = event;
        this.#tap.clip({ id, queued, sampleRate }, arrivalMs);
        if (this.#keepsAudio && this.#playout === 'clips') {
          this.#audio(Track.botSent, payload, NaN, arrivalMs);
        }
        return;
      }
      case 'mark':
        this.#tap.mark(event.name, arrivalMs);
        return;
      case 'clear':
        this.#tap.clear(arrivalMs);
        return;
      default:
    }
  }

  #spoken(bytes: Uint8Array, arrivalMs: number): void {
    if (this.#playout === 'none' || !this.#call.recording.mayKeepAudio) return;
    const payload = this.#fromUpstream?.push(bytes) ?? bytes;
    if (this.#keepsAudio) this.#audio(Track.botSent, payload, NaN, arrivalMs);
  }

  #audio(track: Track, payload: Uint8Array, providerMs: number, arrivalMs: number): void {
    if (payload.length === 0) return;
    if (this.isMuted) this.#tap.muted(track, this.#encoding, payload.length, providerMs, arrivalMs);
    else this.#tap.audio(track, this.#encoding, payload, providerMs, arrivalMs);
  }

  /** A timestamp far ahead would make hours of silence out of one message; the frame goes to the bot all the same. */
  #isAbsurd(timestampMs: number, arrivalMs: number): boolean {
    if (!(timestampMs - (arrivalMs - this.#startedMs) > aheadMs)) return false;
    if (this.#problems.note('timestamp_absurd', { value: String(timestampMs) })) {
      this.event('timestamp_absurd', { timestampMs });
    }
    return true;
  }

  /** What nobody understands may hold a digit, or what is said in a pause: then only that it came is kept. */
  #keepUnknown(name: string, data: Buffer, arrivalMs: number): void {
    if (++this.#unknown > maxUnknown) return;
    const content = this.#hidesDigits ? {} : publicMessage(data);
    this.#call.event({ ...content, type: 'unknown_message', name }, arrivalMs);
  }

  /** Which keys are pressed is told nobody just now. */
  get #hidesDigits(): boolean {
    return this.#call.masksDigits || this.isMuted;
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#tap = silentStream;
      this.#problems.tell('stream_failed', { err: error, part: 'tap' });
    }
  }
}

/** The message as far as it may be written down: a long one, or one with something in front of its JSON, isn't. */
function publicMessage(data: Buffer): Readonly<Record<string, unknown>> {
  if (data.length > maxUnknownBytes) return {};
  try {
    return { message: publicParameters(JSON.parse(data.toString('utf8')) as Record<string, unknown>) };
  } catch {
    return {};
  }
}
