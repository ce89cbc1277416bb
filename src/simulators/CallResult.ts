import { kernels } from '../audio/kernels.js';
import { channelOf, samplesOf } from '../audio/pcm.js';
import { Resampler } from '../audio/Resampler.js';
import { writeWav } from '../audio/Speech.js';
import type { Latency } from './LatencyMeter.js';
import type { MarkEcho } from './PlaybackQueue.js';

/** Something that the provider would have warned about. */
export interface Violation {
  /** Twilio's error code, or a word for what jambonz would do. */
  readonly code: string;
  readonly reason: string;
  /** On the stream's clock. */
  readonly atMs: number;
  /** The message, shortened. */
  readonly value: string;
}

/** One audio message as it was sent. */
export interface SentFrame {
  readonly track: 'inbound' | 'outbound';
  /** Where its first sample lies on the stream's clock: what the provider says, or, where it says nothing, what is true. */
  readonly sampleStart: number;
  /** Twilio's `media.timestamp`; NaN for jambonz. */
  readonly timestampMs: number;
  /** Exact audio bytes: mu-law (Twilio), interleaved PCM16 little-endian (jambonz). */
  readonly payload: Uint8Array;
  /** When it was handed to the socket, on the stream's clock. */
  readonly sentMs: number;
  /** Samples per channel that were lost just before it: discarded by the provider or overrun in its client. */
  readonly lostBefore: number;
}

/** Bot audio that the caller heard. */
export interface HeardPiece {
  /** On the stream's clock, at the piece's own rate. */
  readonly sampleStart: number;
  readonly atMs: number;
  readonly sampleRate: number;
  readonly pcm: Int16Array;
  /** The bytes as they were received: mu-law (Twilio) or PCM16 little-endian. */
  readonly bytes: Uint8Array;
}

/** Audio as the bot's messages brought it, before it was played. */
export interface Receipt {
  readonly atMs: number;
  /** Where it was queued on the stream's clock; null when it was refused, or is held back in a pre-buffer. */
  readonly sampleStart: number | null;
  readonly samples: number;
}

/** One stream of a call: one socket. Its clock starts when its start message was sent: that is position 0 and timestamp 0. */
export interface StreamResult {
  readonly streamSid: string | null;
  /** Time zero on the clock of `performance.now()` of this process. */
  readonly startMs: number;
  /** Time zero as ms since the Unix epoch, with fractions. */
  readonly startWallMs: number;
  /** On the stream's clock: the caller's stop, or the loss of the socket. */
  readonly endMs: number;
  readonly frames: readonly SentFrame[];
  readonly heard: readonly HeardPiece[];
  readonly receipts: readonly Receipt[];
  readonly echoes: readonly (MarkEcho & { readonly sentMs: number })[];
  /** 1005 and 1006 as in RFC 6455 section 7.4.1: none given, and no close frame at all. */
  readonly closeCode: number;
  readonly closeReason: string;
  readonly closedBy: 'caller' | 'server' | 'vanished';
}

export interface CallResult {
  readonly provider: 'twilio' | 'jambonz';
  readonly callSid: string;
  readonly accountSid: string;
  /** Rate of what the caller says, Hz. */
  readonly sampleRate: number;
  /** Channels of what is sent: 2 for jambonz stereo. */
  readonly channels: 1 | 2;
  /** Several when the stream was restarted; none when the socket was refused. */
  readonly streams: readonly StreamResult[];
  /** Why a socket could not be opened; null when all were. `status` is null when there was no HTTP answer. */
  readonly refused: { readonly status: number | null; readonly reason: string } | null;
  readonly violations: readonly Violation[];
  readonly framesSent: number;
  readonly latency: Latency;
  /** Round trips in ms, in order of receipt. */
  readonly latencySamples: readonly number[];
  /** The most that ever waited in the socket towards the server, bytes. */
  readonly maxBufferedBytes: number;
}

/**
 * What the caller heard, laid out from the stream's time zero to its end, silence in between.
 *
 * @param sampleRate - rate of the result, Hz; pieces at other rates are left out
 */
export function heardTrack(stream: StreamResult, sampleRate: number): Int16Array {
  const track = new Int16Array(Math.round((stream.endMs * sampleRate) / 1000));
  for (const piece of stream.heard) {
    if (piece.sampleRate === sampleRate) place(piece.pcm, piece.sampleStart, track);
  }
  return track;
}

/**
 * What the caller said, as sent and decoded, laid out on the stream's clock by the frames' own positions.
 *
 * @param channel - for jambonz stereo, 1 gives what the leg hears
 * @returns frames whose timestamps jumped more than 10 minutes past the stream's end are left out
 */
export function saidTrack(result: CallResult, stream: StreamResult, channel = 0): Int16Array {
  const horizon = (stream.endMs / 1000 + 600) * result.sampleRate;
  const parts = stream.frames
    .filter((frame) => frame.track === 'inbound' && frame.sampleStart < horizon)
    .map((frame) => ({ at: frame.sampleStart, pcm: decoded(frame.payload, result, channel) }));
  const last = parts.reduce((end, { at, pcm }) => Math.max(end, at + pcm.length), 0);
  const track = new Int16Array(last);
  for (const { at, pcm } of parts) place(pcm, at, track);
  return track;
}

/** Writes two channels on the first stream's clock: what the caller said and what it heard. */
export async function writeHeardWav(result: CallResult, file: string): Promise<void> {
  const first = result.streams[0];
  const parts = result.streams.map((stream) => ({
    at: Math.round(((stream.startMs - (first?.startMs ?? 0)) * result.sampleRate) / 1000),
    said: saidTrack(result, stream),
    heard: heardAt(stream, result.sampleRate),
  }));
  const samples = parts.reduce(
    (end, { at, said, heard }) => Math.max(end, at + Math.max(said.length, heard.length)),
    0,
  );
  const channels = [new Int16Array(samples), new Int16Array(samples)] as const;
  for (const { at, said, heard } of parts) {
    place(said, at, channels[0]);
    place(heard, at, channels[1]);
  }
  await writeWav(file, { sampleRate: result.sampleRate, channels: [...channels] });
}

/** What was heard at a rate, resampled when the bot's audio has another one. */
function heardAt(stream: StreamResult, sampleRate: number): Int16Array {
  const native = stream.heard[0]?.sampleRate ?? sampleRate;
  const track = heardTrack(stream, native);
  if (native === sampleRate) return track;
  const resampler = new Resampler(native, sampleRate);
  return joined([resampler.push(track), resampler.flush()]);
}

function joined(parts: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(parts.reduce((samples, part) => samples + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Copies audio to its place, as far as it lies within the track. */
function place(pcm: Int16Array, at: number, track: Int16Array): void {
  const from = Math.max(0, -at);
  const to = Math.min(pcm.length, track.length - at);
  if (to > from) track.set(pcm.subarray(from, to), at + from);
}

function decoded(payload: Uint8Array, result: CallResult, channel: number): Int16Array {
  if (result.provider === 'twilio') {
    const pcm = new Int16Array(payload.length);
    kernels.decodeMulaw(payload, pcm);
    return pcm;
  }
  const interleaved = samplesOf(payload);
  return channelOf(interleaved, channel, result.channels);
}
