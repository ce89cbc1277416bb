/**
 * What the media thread tells the recorder: facts, not positions. A record says which call and stream, what happened, when
 * it arrived here and what time the provider gave it; only the recorder computes where that lies in the recording.
 *
 * Layout of a record in the ring and in the journal, little-endian, padded with zeros to a multiple of 8 bytes:
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u32 | length in bytes of header and payload, without padding |
 * | 4 | u16 | kind |
 * | 6 | u8 | track |
 * | 7 | u8 | encoding of the payload |
 * | 8 | u32 | call, numbered from 1 in this process; 0 for none |
 * | 12 | u32 | stream, numbered from 1 in this process; 0 for none |
 * | 16 | f64 | arrival: the media thread's monotonic clock, ms |
 * | 24 | f64 | provider's own time of the payload's first sample, ms since stream start; NaN where it gives none |
 * | 32 | f64 | sequence of the record among those of all rings, from 1, without holes |
 * | 40 | … | payload |
 */
export const recordHeaderBytes = 40;
/** Where in a record its sequence lies. */
export const sequenceAt = 32;

/**
 * Largest payload of one record; longer audio is written as several records with the same arrival time. It holds the largest
 * message of a jambonz client (5 s of 48 kHz stereo), whose length tells of an overrun.
 */
export const maxPayloadBytes = 1_048_576;

export const RecordKind = {
  /** Payload: JSON {@link CallFacts}. */
  callStart: 1,
  /** Payload: JSON {@link StreamFacts}. */
  streamStart: 2,
  /** Payload: raw audio in `encoding`. */
  audio: 3,
  /** The bot asked the provider to drop what is queued. No payload. */
  clear: 4,
  /** The bot put a mark into the provider's queue. Payload: name, UTF-8. */
  mark: 5,
  /** The provider says that a mark was reached (or flushed). Payload: name, UTF-8. */
  markEcho: 6,
  /** Payload: JSON {@link DtmfFacts}. */
  dtmf: 7,
  /** A clip for the provider to play (jambonz playAudio); its audio records follow. Payload: JSON {@link ClipFacts}. */
  clip: 8,
  /** The provider finished or killed a clip. Payload: JSON {@link ClipDoneFacts}. */
  clipDone: 9,
  /** Payload: JSON {@link PauseFacts}. */
  pause: 10,
  /** Payload: JSON {@link StreamEndFacts}. */
  streamEnd: 11,
  /** The call is over: no stream of it came back in time. Payload: JSON {@link CallEndFacts}. */
  callEnd: 12,
  /** Once a second, for all calls: every record that arrived before this time has been written. No payload. */
  clock: 13,
  /** The ring was full and records of this call are missing right here. Payload: JSON {@link DroppedFacts}. */
  dropped: 14,
  /** Something for the manifest's event list. Payload: JSON {@link EventFacts}. */
  event: 15,
  /**
   * Audio that isn't to be kept, of a recording that is paused: only how long it was, so that what follows lies where it belongs.
   * Payload: u32, bytes that it had in `encoding`.
   */
  muted: 16,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** Whose audio a record holds and how it has to be placed. */
export const Track = {
  none: 0,
  /** The caller, as the provider delivered it. */
  caller: 1,
  /** The bot as the provider heard it (one-way streams and taps): placed like the caller, never by the playout model. */
  botHeard: 2,
  /** Interleaved caller and bot, as the provider delivered them (jambonz stereo). */
  both: 3,
  /** One channel with both parties summed by the provider (jambonz mixed). */
  mixed: 4,
  /** The bot as it sent: goes through the playout model. */
  botSent: 5,
} as const;
export type Track = (typeof Track)[keyof typeof Track];

export const Encoding = {
  none: 0,
  /** ITU-T G.711 mu-law, one byte per sample. */
  mulaw: 1,
  /** Signed 16-bit little-endian linear PCM. */
  pcm16: 2,
} as const;
export type Encoding = (typeof Encoding)[keyof typeof Encoding];

/** What is known of a call when it starts; the whole recording configuration travels in it, so a journal explains itself. */
export interface CallFacts {
  readonly recordingId: string;
  readonly accountId: string;
  readonly provider: string;
  readonly callId: string;
  /** Wall clock at the record's arrival time, ms since the Unix epoch. */
  readonly wallClockMs: number;
  /** Rate of the recording in Hz: that of the call's first stream. */
  readonly sampleRate: number;
  /** `mixed` writes one channel; so does a first stream that is mixed by the provider. */
  readonly channels: 'dual' | 'mixed';
  readonly chunkSeconds: number;
  /** Which objects the recording becomes; journals of former versions don't say and mean `chunks`. */
  readonly layout?: 'chunks' | 'single' | 'both' | 'jambonz';
  /** Keys that the caller presses are neither written down nor heard. */
  readonly masksDigits?: boolean;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  /** Custom parameters and other facts of the start message, as received; tokens and secrets are left out. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Set when the recording can't be kept: the call is written down as failed and none of its audio is. */
  readonly failed?: 'no_store' | 'unknown_account' | 'account_mismatch' | 'spool_full' | 'overloaded';
  /** The account that the call named, where that isn't `accountId`: the one whose secret opened the socket. */
  readonly claimedAccountId?: string;
  /** Of a call that is a room (`provider` is {@link roomProvider}). */
  readonly room?: RoomFacts;
}

/**
 * A LiveKit room: a call without streams of its own, whose participants' tracks are its lanes. The call's id is the room's sid, or
 * something else that may be a folder's name: the name of a room may not.
 *
 * Of its events the recorder acts upon these, at the time of their arrival; all others are written down only.
 *
 * | type | meaning |
 * |---|---|
 * | `room_joined`, `reconnected` | somebody of reelay's is in the room; a lane that starts says so as well |
 * | `room_left` | nobody is any more; the last lane that is `lost` says so as well |
 * | `lane_muted`, `lane_unmuted` | with `lane`, its name: frames needn't come in between |
 */
export interface RoomFacts {
  readonly name: string;
  /** Null as long as the server hasn't told it. */
  readonly sid: string | null;
}

/** The `provider` of rooms: their recordings begin with the call, and go on while nobody is there. */
export const roomProvider = 'livekit';

/** Whose track a lane is. */
export interface ParticipantFacts {
  readonly identity: string;
  readonly name: string;
  /** As the server names it, `STANDARD`, `AGENT`, `SIP` and so on. */
  readonly kind: string;
  readonly sid: string;
  /** What the track carries: `microphone`, `screen_share_audio` or `unknown`. */
  readonly source: string;
}

/** How the audio of a stream is to be placed. Capabilities of the dialect arrive here as plain data. */
export interface StreamFacts {
  /** The provider's id of the stream, or one given here where it has none. */
  readonly streamId: string;
  /**
   * `call`: the stream the bot talks on; `oneway`: record-only; `tap`: ground truth beside a `call` stream; `lane`: a participant's
   * track in a room.
   */
  readonly role: 'call' | 'oneway' | 'tap' | 'lane';
  /** Of a `lane`: its name, see `LaneNames`. Who comes back gets a new stream with the same one. */
  readonly lane?: string;
  /** Of a `lane`. */
  readonly participant?: ParticipantFacts;
  /** Of a `lane`: its frames come with the time at which they were due, whatever has delayed them; else with that at which they arrived. */
  readonly isOnTime?: boolean;
  /** Wall clock at the record's arrival time, ms since the Unix epoch. */
  readonly wallClockMs: number;
  /** Rate of what the provider delivers, Hz. */
  readonly sampleRate: number;
  /**
   * `timestamp`: frames carry the provider's time; `count`: position is the number of samples received; `arrival-count`: so it is from
   * the first frame on, which lies where it arrived, and the count is held against the clock.
   */
  readonly placement: 'timestamp' | 'count' | 'arrival-count';
  readonly tracks: readonly ('caller' | 'bot' | 'both' | 'mixed')[];
  /**
   * How the provider plays what the bot sends. `queue`: at max(now, queue end) (Twilio). `prebuffered`: the same behind a
   * pre-buffer (jambonz streaming). `clips`: playAudio, `heard` where the provider's own track already carries it. `none`.
   */
  readonly playout: 'queue' | 'prebuffered' | 'clips' | 'heard' | 'none';
  /** Rate of what the bot sends, Hz. */
  readonly returnSampleRate: number;
  /** Rate of the call leg, Hz; decides the pre-buffer. */
  readonly legSampleRate: number;
  /** How far back audio may still be amended, ms: 1500; jambonz 5000. */
  readonly amendMs: number;
  /** Whether mark echoes tell where playout is, so that the model may be corrected by them. */
  readonly marksTellPlayout: boolean;
  /** Whether a whole-buffer loss of the client can be recognised by a message 16 bytes short of a tick (jambonz). */
  readonly overrunFingerprint: boolean;
  /** The stream was there before its recording: the provider's time of the first frame is where the recording stands then. */
  readonly isJoined?: boolean;
}

export interface DtmfFacts {
  /** Empty where it is masked, or pressed in a pause. */
  readonly digit: string;
  /** ms, null where the dialect gives none. */
  readonly durationMs: number | null;
}

export interface ClipFacts {
  readonly id: string | null;
  /** False: starts at once and drops what is queued. */
  readonly queued: boolean;
  readonly sampleRate: number;
}

export interface ClipDoneFacts {
  readonly id: string | null;
  /** What the provider says it played, ms; null where it doesn't say. */
  readonly playedMs: number | null;
}

/** `silence`: the recording goes on in silence. `skip`: it goes on where it stood, shorter by the pause. */
export type PauseMode = 'silence' | 'skip';

export interface PauseFacts {
  readonly paused: boolean;
  /** Of a pause that begins; default `silence`. */
  readonly mode?: PauseMode;
}

export interface StreamEndFacts {
  /**
   * `stop`: the provider said so. `closed`: its socket closed properly. `lost`: its socket broke, or that of a room's worker, or a
   * lane could not be handled any more. `relay`: closed from here.
   */
  readonly reason: 'stop' | 'closed' | 'lost' | 'relay';
  /** WebSocket close code where there is one. */
  readonly closeCode: number | null;
}

export interface CallEndFacts {
  /** False when the call's end was missed: its last stream was `lost`. */
  readonly ended: boolean;
  /** Why it was missed, where that is known: what the manifest says as its reason. */
  readonly reason?: string;
}

export interface DroppedFacts {
  readonly records: number;
  /** Arrival time of the first record that was dropped, ms. */
  readonly sinceMs: number;
}

export interface EventFacts {
  readonly type: string;
  readonly [detail: string]: unknown;
}

/** One record, read. `payload` is a view into the ring or journal buffer: valid until the reader moves on. */
export interface TapRecord {
  readonly kind: RecordKind;
  readonly track: Track;
  readonly encoding: Encoding;
  readonly call: number;
  readonly stream: number;
  readonly arrivalMs: number;
  readonly providerMs: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Bytes that a record with this payload takes in the ring and in the journal, padding included. */
export function recordBytes(payloadBytes: number): number {
  return (recordHeaderBytes + payloadBytes + 7) & ~7;
}

/** Bytes of audio that a record tells of, kept or not. */
export function audioBytes({ kind, payload }: Pick<TapRecord, 'kind' | 'payload'>): number {
  if (kind !== RecordKind.muted) return payload.length;
  return payload.length < mutedBytes
    ? 0
    : new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
}

/** Length of the payload of a `muted` record. */
export const mutedBytes = 4;
