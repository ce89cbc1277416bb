import type { JambonzAccount } from '../config/Config.js';
import type { ErrorCode } from '../config/ReelayError.js';

/**
 * How one provider speaks on its WebSocket: pure functions from messages to typed events, and flags that say what the
 * dialect can do. An adapter holds no state, does no I/O and knows nothing of calls; it never throws.
 */
export interface Dialect {
  readonly name: 'twilio' | 'jambonz';
  readonly capabilities: Capabilities;
  /** Reads a message of the provider. `data` is exactly one WebSocket message. */
  readProvider(data: Buffer, isBinary: boolean): ProviderEvent;
  /** Reads a message of the bot. */
  readUpstream(data: Buffer, isBinary: boolean): UpstreamEvent;
  /**
   * The messages by which a bot would play audio to the caller, in order.
   *
   * @returns null where the stream can't be played to
   */
  play(stream: PlayedStream, audioAs: PlayedAudio): readonly PlayMessage[] | null;
}

/**
 * What is to be played, in the form in which it is sent; undefined where there is none at that rate, Hz. Whoever has the audio may keep
 * what a form has made of it for the next stream.
 *
 * @param form - makes it of 16-bit mono samples; depends on nothing else
 */
export type PlayedAudio = <Sent>(
  sampleRate: number,
  form: (samples: Int16Array, sampleRate: number) => Sent,
) => Sent | undefined;

/** A stream that something is played on. */
export interface PlayedStream {
  readonly streamId: string | null;
  /** Of the stream, Hz. */
  readonly sampleRate: number;
  readonly jambonz: Pick<JambonzAccount, 'returns' | 'returnSampleRate' | 'legSampleRate'>;
}

/** One WebSocket message. Its bytes may be those of other streams too. */
export interface PlayMessage {
  readonly data: Buffer;
  readonly isBinary: boolean;
  /** As {@link Dialect.readUpstream} reads it. */
  readonly event: UpstreamEvent;
}

/** The id of what reelay itself has played, where a dialect gives clips ids: its end is none of the bot's business. */
export const ownClipId = 'reelay-prompt';

export interface Capabilities {
  /** Audio frames carry the provider's own time. */
  readonly timestamps: boolean;
  /** `played`: a mark is echoed when playout reaches it. `unreliable`: the echo says little. */
  readonly marks: 'played' | 'unreliable';
  /** A `clear` is acknowledged by a burst of mark echoes. */
  readonly clearAcknowledged: boolean;
  /** Messages arrive in the order they were sent. */
  readonly ordered: boolean;
  /** How audio travels towards the bot. */
  readonly framing: 'json-base64' | 'binary';
  readonly encoding: 'mulaw' | 'pcm16';
  /** Largest message accepted from the provider, bytes. */
  readonly maxMessageBytes: number;
  /** Audio that the provider queues before it discards more, ms. */
  readonly maxQueueMs: number;
  /** How far back audio may be amended, ms. */
  readonly amendMs: number;
  /** WebSocket sub-protocols that are echoed when offered. */
  readonly subprotocols: readonly string[];
}

/** What the start message says. Ids are checked: they are safe as parts of an object key. */
export interface StartEvent {
  readonly kind: 'start';
  readonly accountId: string;
  readonly callId: string;
  /** Null where the dialect has no stream id. */
  readonly streamId: string | null;
  readonly sampleRate: number;
  /** Samples that the provider interleaves: 1, or 2 for jambonz stereo. */
  readonly channels: 1 | 2;
  readonly tracks: readonly ('caller' | 'bot' | 'both' | 'mixed')[];
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  /** Custom parameters (Twilio) or the whole start object (jambonz), as received. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Things that were wrong with the message but could be mended. */
  readonly warnings: readonly ErrorCode[];
}

export interface AudioEvent {
  readonly kind: 'audio';
  /** What the message says. A jambonz message says nothing: it is `caller` here, and the start's only track is the truth. */
  readonly track: 'caller' | 'bot' | 'both' | 'mixed';
  /** Raw audio in the dialect's encoding; a fresh buffer or a view of the message. */
  readonly payload: Uint8Array;
  /** ms since stream start; NaN where the dialect gives none. */
  readonly timestampMs: number;
  readonly streamId: string | null;
  /** Things about the audio worth a log line; it is used all the same. */
  readonly warnings: readonly ErrorCode[];
}

export interface InvalidEvent {
  readonly kind: 'invalid';
  readonly code: ErrorCode;
  /** The offending part, at most 80 characters. */
  readonly value?: string;
  /** Whether the message should be kept from the other side too. */
  readonly drop: boolean;
}

export type ProviderEvent =
  /** Twilio's greeting before start. */
  | { readonly kind: 'connected' }
  | StartEvent
  | AudioEvent
  | {
      readonly kind: 'dtmf';
      readonly digit: string;
      readonly durationMs: number | null;
      readonly streamId: string | null;
    }
  | {
      readonly kind: 'mark';
      readonly name: string;
      readonly streamId: string | null;
      readonly cleared: boolean;
    }
  | { readonly kind: 'clipDone'; readonly id: string | null; readonly playedMs: number | null }
  | { readonly kind: 'stop'; readonly streamId: string | null }
  /** jambonz's empty binary frame: finish and close the socket from here. */
  | { readonly kind: 'finish' }
  /** Well formed but not known to this dialect: passed on untouched. */
  | { readonly kind: 'unknown'; readonly name: string }
  | InvalidEvent;

export type UpstreamEvent =
  | {
      readonly kind: 'audio';
      readonly payload: Uint8Array;
      readonly streamId: string | null;
      readonly warnings: readonly ErrorCode[];
    }
  | { readonly kind: 'mark'; readonly name: string; readonly streamId: string | null }
  | { readonly kind: 'clear'; readonly streamId: string | null }
  /** jambonz playAudio: 16-bit mono samples, an even number of bytes, at the `sampleRate` at which the client plays them. */
  | {
      readonly kind: 'clip';
      readonly id: string | null;
      readonly queued: boolean;
      readonly sampleRate: number;
      readonly payload: Uint8Array;
      readonly warnings: readonly ErrorCode[];
    }
  /** jambonz: forget pending marks without echoes. */
  | { readonly kind: 'clearMarks' }
  /** jambonz: end the verb. */
  | { readonly kind: 'disconnect' }
  /** Said to reelay itself, and never passed on: what is to become of the recording of the bot's own call. */
  | { readonly kind: 'recording'; readonly request: BotRequest; readonly streamId: string | null }
  | { readonly kind: 'unknown'; readonly name: string }
  | InvalidEvent;

/** What a bot wants of the recording of its call; as of a `RecordingRequest`. */
export type BotRequest =
  | { readonly deed: 'pause'; readonly mode: 'silence' | 'skip' }
  | { readonly deed: 'start' | 'resume' | 'stop' };

const safeId = /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$/;

/** Whether an id that came over the wire may become a part of an object key and of a path: no slash, no control characters. */
export function isSafeId(id: unknown): id is string {
  return typeof id === 'string' && safeId.test(id) && !id.includes('..');
}
