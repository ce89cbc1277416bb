import { kernels } from '../../audio/kernels.js';
import { RecordKind, type TapRecord } from '../../tap/TapRecord.js';
import { cover } from './Coverage.js';
import { eraseLane, moveLane, type LaneState } from './Lane.js';
import { isHushed, mute } from './Pause.js';
import { decode, resampled, writeAloud } from './placement.js';
import { closeCause, endQuiet, type RoomLane } from './RoomState.js';
import type { StreamState } from './StreamTimeline.js';
import { addEvent, type TimelineState } from './TimelineState.js';

/**
 * Where a participant's audio goes. Its frames carry no time, come at the pace of the local clock, and may come late and in bursts, but
 * not faster in the long run. So the first one lies where it arrived, and from then on samples are counted. That the count agrees with the clock is watched:
 * single frames are never believed, but what stays off for two seconds is corrected.
 */

/** Positions of first frames are multiples of this, ms: the beat in which the SDK gives audio. */
const beatMs = 10;
/** So far the count may be off the clock, ms: what goes from one end of that to the other has drifted by 20 ms. */
const boundMs = 10;
/** What is off for so long isn't jitter, ms. */
const verdictMs = 2000;
/** A difference that comes from one frame to the next is a loss at that place, ms; one that grows is a clock's. */
const jumpMs = 40;
/** The loudest sample of what may be left out without anybody hearing it: -40 dB of full scale. */
const quietPeak = 328;
/** Where nobody is ever quiet, something is left out or put in all the same after so long, ms. */
const patienceMs = 5000;
/** A hole this long that is known silence was a mute in which nothing came, ms; of it so much may not be silence: the frames at its edges. */
const holeMs = 400;
const edgeMs = 200;

/**
 * Lays down an audio record of the stream that has the lane's word; of a muted one only where it would lie.
 *
 * @param expected - where the recording stood when it arrived: the record's audio should end there
 */
export function placeInLane(
  state: TimelineState,
  lane: RoomLane,
  stream: StreamState,
  record: TapRecord,
  expected: number,
): void {
  const rate = state.facts.sampleRate;
  const samples = resampled(stream, 'caller', decode(record), stream.facts.sampleRate, rate);
  const { length } = samples;
  const behind = stream.ends.caller;
  const position =
    behind === undefined
      ? first(state, lane, stream, expected - length)
      : counted(state, lane, stream, { behind, length, expected, arrivalMs: record.arrivalMs });
  if (record.kind === RecordKind.muted) mute(state, Math.max(position, state.final), position + length);
  else writeAloud(state, stream, lane.audio, position, samples);
  lane.holder = record.stream;
  stream.ends.caller = position + length;
  stream.lastArrivalMs = record.arrivalMs;
  stream.lastHeard = Math.max(stream.lastHeard, position + length);
}

/** The first frame of a stream: from here on it has the lane's word, whoever had it before. */
function first(state: TimelineState, lane: RoomLane, stream: StreamState, begun: number): number {
  const position = Math.max(inBeat(state, begun), state.final);
  eraseLane(lane.audio, position);
  const { lost } = lane;
  if (lost !== null) {
    const until = Math.min(position, lost.until ?? position);
    closeCause(lane.causes, until);
    cover(lane.silence, Math.max(until, state.final), position);
    lane.lost = null;
  } else cover(lane.silence, Math.max(stream.startSample, state.final), position);
  endQuiet(lane, position);
  stream.startSample = Math.min(stream.startSample, position);
  lane.since = Math.min(lane.since, position);
  return position;
}

interface Counted {
  /** End of what was counted so far. */
  readonly behind: number;
  readonly length: number;
  readonly expected: number;
  readonly arrivalMs: number;
}

function counted(state: TimelineState, lane: RoomLane, stream: StreamState, frame: Counted): number {
  const { behind, length, expected } = frame;
  const perMs = state.facts.sampleRate / 1000;
  const errorMs = (expected - behind - length) / perMs;
  const from = expected - length;
  if (errorMs > holeMs && isSilent(state, lane, behind, from)) {
    const position = Math.max(behind, inBeat(state, from));
    cover(lane.silence, Math.max(behind, state.final), position);
    return anchored(stream, position);
  }
  const wasInVain = behind < state.final && !isHushed(stream, behind);
  if (stream.dropped || wasInVain)
    return anew(state, lane, stream, behind, Math.max(behind, inBeat(state, from)));
  const moved = watched(state, lane, stream, frame, errorMs);
  stream.lastErrorMs = errorMs - moved / perMs;
  return behind + moved;
}

/** Nothing of the lane was to be heard there: it was muted, and nothing may have come meanwhile. */
function isSilent({ facts }: TimelineState, lane: RoomLane, from: number, to: number): boolean {
  const { quietFrom, lastQuiet } = lane;
  const now = quietFrom === null ? 0 : Math.max(0, to - Math.max(from, quietFrom));
  const before =
    lastQuiet === null ? 0 : Math.max(0, Math.min(to, lastQuiet.to) - Math.max(from, lastQuiet.from));
  return to - from - now - before <= (edgeMs / 1000) * facts.sampleRate;
}

/** Counts from the frame's arrival again: what would come before was lost here, or waited for in vain. */
function anew(
  state: TimelineState,
  lane: RoomLane,
  stream: StreamState,
  behind: number,
  position: number,
): number {
  const lost = stream.lost?.caller;
  const from = Math.max(behind, state.final);
  if (stream.dropped && lost != null && position > from)
    lane.causes.push({ from, to: position, cause: lost.cause });
  else if (position > behind)
    addEvent(state, 'lane_adjusted', behind, { lane: lane.name, samples: position - behind });
  stream.dropped = false;
  return anchored(stream, position);
}

function anchored(stream: StreamState, position: number): number {
  stream.drift = null;
  stream.lastErrorMs = 0;
  return position;
}

/** @returns samples by which what was counted so far has been moved */
function watched(
  state: TimelineState,
  lane: RoomLane,
  stream: StreamState,
  { behind, arrivalMs }: Counted,
  errorMs: number,
): number {
  if (Math.abs(errorMs) <= boundMs) {
    stream.drift = null;
    return 0;
  }
  const isOther = stream.drift != null && Math.sign(stream.drift.sumMs) !== Math.sign(errorMs);
  if (stream.drift == null || isOther) {
    const isJump = Math.abs(errorMs - (stream.lastErrorMs ?? 0)) > jumpMs;
    stream.drift = { at: behind, sinceMs: arrivalMs, isJump, sumMs: errorMs, frames: 1 };
    return 0;
  }
  const { drift } = stream;
  drift.sumMs += errorMs;
  drift.frames++;
  const lastedMs = arrivalMs - drift.sinceMs;
  if (lastedMs < verdictMs) return 0;
  const by = Math.round((drift.sumMs / drift.frames) * (state.facts.sampleRate / 1000));
  const moved =
    by > 0
      ? drift.isJump
        ? missed(state, lane, drift.at, behind, by)
        : stretched(state, lane, behind, by, lastedMs > patienceMs)
      : -leftOut(state, lane, behind, -by, lastedMs > patienceMs);
  if (moved !== 0) stream.drift = null;
  return moved;
}

/** Too few samples came, since `at`: there some are missing. */
function missed(state: TimelineState, lane: RoomLane, at: number, behind: number, samples: number): number {
  return inserted(state, lane, Math.max(earliest(state, behind), at), samples);
}

/**
 * Too few came, and none is missing: a clock, or a jitter buffer that drains, has left some out here and there.
 *
 * @returns how many were put in, as silence; 0 while nowhere is quiet enough
 */
function stretched(
  state: TimelineState,
  lane: RoomLane,
  behind: number,
  samples: number,
  isLate: boolean,
): number {
  const beat = beatOf(state);
  const { at, peak } = quietest(lane.audio, earliest(state, behind), behind, beat, beat);
  if (peak > quietPeak && !isLate) return 0;
  inserted(state, lane, at, samples);
  cover(lane.silence, at, at + samples);
  return samples;
}

function inserted(state: TimelineState, lane: RoomLane, place: number, samples: number): number {
  moveLane(lane.audio, place, place + samples);
  addEvent(state, 'lane_adjusted', place, { lane: lane.name, samples });
  return samples;
}

/** Too many came. @returns how many were left out; 0 while nowhere is quiet enough */
function leftOut(
  state: TimelineState,
  lane: RoomLane,
  behind: number,
  samples: number,
  isLate: boolean,
): number {
  const least = earliest(state, behind);
  const room = Math.min(samples, behind - least);
  if (room <= 0) return 0;
  const { at, peak } = quietest(lane.audio, least, behind, room, beatOf(state));
  if (peak > quietPeak && !isLate) return 0;
  moveLane(lane.audio, at + room, at);
  addEvent(state, 'lane_adjusted', at, { lane: lane.name, samples: -room });
  return room;
}

/** From where on something may still be moved. */
function earliest(state: TimelineState, behind: number): number {
  const far = behind - (verdictMs / 1000) * state.facts.sampleRate;
  return Math.max(state.final, Math.round(far), 0);
}

/** The stretch of so many samples within `[from, to)` whose loudest is the least; the earliest of several. */
function quietest(
  { base, samples }: LaneState,
  from: number,
  to: number,
  length: number,
  step: number,
): { readonly at: number; readonly peak: number } {
  let best = { at: from, peak: Infinity };
  for (let at = from; at + length <= to; at += step) {
    const peak = kernels.peak(samples.subarray(Math.max(0, at - base), Math.max(0, at - base + length)));
    if (peak < best.peak) best = { at, peak };
  }
  return best;
}

function beatOf({ facts }: TimelineState): number {
  return Math.max(1, Math.round((beatMs / 1000) * facts.sampleRate));
}

function inBeat(state: TimelineState, position: number): number {
  const beat = beatOf(state);
  return Math.max(0, Math.round(position / beat) * beat);
}
