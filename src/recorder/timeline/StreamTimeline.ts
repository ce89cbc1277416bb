import type { StreamFacts } from '../../tap/TapRecord.js';
import type { GapCause, ManifestStream } from '../../spool/Manifest.js';
import { createPlayout, type PlayoutState } from './Playout.js';
import { createStreamClock, streamTime, type StreamClockState } from './StreamClock.js';
import type { ResamplerState } from '../../audio/Resampler.js';

/** Records that reelay lost. Up to which position they reached is known only as well as the stream's clock at that time. */
export interface LostRecords {
  readonly to: number;
  readonly untilMs: number;
  readonly cause: GapCause;
}

/** A lane's count of samples is off the clock for longer than a frame or two. */
export interface Drift {
  /** Position of the first frame of which that is true. */
  at: number;
  readonly sinceMs: number;
  /** It came from one frame to the next: something is missing, or twice there, right at `at`. */
  readonly isJump: boolean;
  /** Of the last frames, ms; positive where too few samples came. */
  sumMs: number;
  frames: number;
  /** The last ones of all are off by something else, since this position; absent and null while they aren't. */
  apart?: { readonly at: number; sumMs: number; frames: number } | null;
  /** Up to here no quiet place begins; absent: nothing has been looked at. */
  loudTo?: number;
}

/** `[from, to)`. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** One provider stream on the recording's axis. Positions are samples of the recording. */
export interface StreamState {
  readonly facts: StreamFacts;
  readonly clock: StreamClockState;
  readonly playout: PlayoutState | null;
  /** Of a lane the first frame may have begun before anybody told of its stream. */
  startSample: number;
  /** Position of the stream's own time zero. */
  base: number;
  /** Ends of what was received per track; a track without frames is absent. */
  readonly ends: { caller?: number; bot?: number };
  /** Position of the last thing the provider itself said. */
  lastHeard: number;
  /** Frames in a row whose time lay before audio that was already placed. */
  backwards: number;
  /**
   * A silence on the wire that may turn out to be lost audio (streams without timestamps): its position, since when the deficit
   * stays what it is, and the smallest one seen.
   */
  idle: { readonly at: number; sinceMs: number; sinceLagMs: number; leastMs: number } | null;
  /** Reelay dropped records since the last frame (streams without timestamps). */
  dropped: boolean;
  /** What may be missing before a track's next frame, because records were lost here: up to a position, and a time of arrival. */
  lost?: { readonly caller: LostRecords | null; readonly bot: LostRecords | null };
  lastArrivalMs: number;
  readonly resamplers: {
    caller: ResamplerState | null;
    bot: ResamplerState | null;
    sent: ResamplerState | null;
  };
  /** How far the count of a lane's samples is off the clock, since when; absent and null while it is within bounds. */
  drift?: Drift | null;
  /** What it was off with the last frame, ms. */
  lastErrorMs?: number;
  /** Stretches of pauses that are over: audio that belongs there and comes only now isn't kept. */
  hushed?: readonly Stretch[];
  endSample: number | null;
  endReason: ManifestStream['endReason'];
}

/**
 * @param startSample - where the recording stands when the stream starts
 * @param rate - of the recording, Hz
 */
export function createStream(
  facts: StreamFacts,
  startSample: number,
  rate: number,
  arrivalMs: number,
): StreamState {
  const rates = { recording: rate, returned: facts.returnSampleRate, leg: facts.legSampleRate };
  const { playout } = facts;
  return {
    facts,
    clock: createStreamClock(arrivalMs),
    playout:
      playout === 'none' || playout === 'heard'
        ? null
        : createPlayout(playout, rates, facts.marksTellPlayout),
    startSample,
    base: startSample,
    ends: {},
    lastHeard: startSample,
    backwards: 0,
    idle: null,
    dropped: false,
    lastArrivalMs: arrivalMs,
    resamplers: { caller: null, bot: null, sent: null },
    endSample: null,
    endReason: null,
  };
}

/** Position of the recording at a moment of the local clock, by this stream's clock. */
export function positionAt(stream: StreamState, arrivalMs: number, perMs: number): number {
  return Math.max(stream.startSample, stream.base + Math.round(streamTime(stream.clock, arrivalMs) * perMs));
}

/** End of everything that was received on the stream. */
export function receivedEnd(stream: StreamState): number {
  return Math.max(stream.startSample, stream.ends.caller ?? 0, stream.ends.bot ?? 0);
}

/** How far the stream's slowest track has come; a track that has brought nothing yet stands at the stream's start. */
export function slowestTrack(stream: StreamState): number {
  let slowest = Infinity;
  for (const track of stream.facts.tracks) {
    const end = track === 'bot' ? stream.ends.bot : stream.ends.caller;
    slowest = Math.min(slowest, end ?? stream.startSample);
  }
  return slowest;
}

/** Whether silence on the bot's channel is the bot being silent, rather than its track missing frames. */
export function assumesBotSilence(stream: StreamState): boolean {
  return !stream.facts.tracks.some((track) => track === 'bot' || track === 'both');
}

/** Whether the stream tells of the bot alone, so that nothing of the caller can be missing from it. */
export function assumesCallerSilence(stream: StreamState): boolean {
  return stream.facts.tracks.every((track) => track === 'bot');
}
