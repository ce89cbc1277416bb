import { kernels } from '../../audio/kernels.js';
import { RecordKind, type TapRecord } from '../../tap/TapRecord.js';
import { cover } from './Coverage.js';
import { eraseLane, moveLane } from './Lane.js';
import { isHushed, mute } from './Pause.js';
import { decode, resampled, writeAloud } from './placement.js';
import { closeCause, endQuiet, type RoomLane } from './RoomState.js';
import type { Drift, StreamState } from './StreamTimeline.js';
import { addEvent, type TimelineState } from './TimelineState.js';

/**
 * Where a participant's audio goes. Its frames carry no time, come at the pace of the local clock, and may come late and in bursts, but
 * not faster in the long run. So the first one lies where it arrived, and from then on samples are counted. That the count agrees with the clock is watched:
 * single frames are never believed, but what stays off for two seconds is corrected.
 */

/** Positions of first frames are multiples of this, ms: the beat in which the SDK gives audio. */
const beatMs = 10;
/** So far the count may be off the clock, ms: what goes from one end of that to the other has drifted by 16 ms. */
const boundMs = 8;
/** What is off for so long isn't jitter, ms. */
const verdictMs = 2000;
/** A difference that comes from one frame to the next is a loss at that place, ms; one that grows is a clock's. */
const jumpMs = 40;
/** The loudest sample of what may be left out without anybody hearing it: -40 dB of full scale. */
const quietPeak = 328;
/** Where nobody is ever quiet, something is left out or put in all the same after so long, ms. Nothing is final meanwhile. */
const patienceMs = 5000;
/**
 * What is off by more isn't waited with, ms: of two lanes each may be off in its direction, and nobody is to be off by more than 40 from another.
 * What is off by more than a jitter buffer ever holds is something else, and has time; so has what may be the network's delay.
 */
const urgentMs = 20;
const mostUrgentMs = 500;
/** Frames in a row of which the mean is believed: those before them may have been on their way there. */
const believedFrames = 10;
/** Frames in a row that are off by something else than those before them. */
const apartFrames = 5;
/** What a jitter buffer does is known so much later than it does it, ms. */
const hindsightMs = 500;
/** Where nobody is quiet, or it is urgent, the least loud place this near to where it began is taken, ms. */
const nearMs = 1000;
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
  const { drift } = stream;
  if (Math.abs(errorMs) <= boundMs) {
    stream.drift = null;
    return 0;
  }
  const isKnown = drift != null && arrivalMs - drift.sinceMs >= verdictMs;
  if (drift == null || (!isKnown && Math.sign(drift.sumMs) !== Math.sign(errorMs))) {
    const isJump = Math.abs(errorMs - (stream.lastErrorMs ?? 0)) > jumpMs;
    stream.drift = { at: behind, sinceMs: arrivalMs, isJump, sumMs: errorMs, frames: 1 };
    return 0;
  }
  const step = followed(drift, behind, errorMs);
  if (!isKnown) {
    if (step === 'done') takeStep(drift);
    return 0;
  }
  if (step === 'begun') return 0;
  // What went off further is corrected by itself: of each of the two it is known where it belongs.
  return corrected(state, lane, stream, behind, step === 'done' || arrivalMs - drift.sinceMs > patienceMs);
}

/** Whether the count goes off further than it was: not, perhaps, or by now for sure. */
type Step = 'none' | 'begun' | 'done';

function followed(drift: Drift, behind: number, errorMs: number): Step {
  const meanMs = drift.sumMs / drift.frames;
  if (Math.abs(errorMs - meanMs) <= boundMs) {
    drift.apart = null;
    if (drift.frames === believedFrames) drift.sumMs -= drift.sumMs / drift.frames--;
    drift.sumMs += errorMs;
    drift.frames++;
    return 'none';
  }
  const apart = (drift.apart ??= { at: behind, sumMs: 0, frames: 0 });
  apart.sumMs += errorMs;
  apart.frames++;
  return apart.frames < apartFrames ? 'begun' : 'done';
}

/** It went off further before anything was known of it: both are one, at the place of the greater. */
function takeStep(drift: Drift): void {
  const { apart } = drift;
  if (apart == null) return;
  const wasMs = drift.sumMs / drift.frames;
  if (Math.abs(apart.sumMs / apart.frames - wasMs) > Math.abs(wasMs)) drift.at = apart.at;
  drift.sumMs = apart.sumMs;
  drift.frames = apart.frames;
  drift.apart = null;
}

/** A stream ends: nobody will be quiet any more, so what its count is off is corrected now. */
export function conclude(state: TimelineState, lane: RoomLane, stream: StreamState): void {
  const behind = stream.ends.caller;
  if (behind === undefined || stream.drift == null) return;
  if (stream.lastArrivalMs - stream.drift.sinceMs < verdictMs) return;
  stream.ends.caller = behind + corrected(state, lane, stream, behind, true);
}

/** @returns samples by which what was counted so far has been moved; 0 while nowhere is quiet enough */
function corrected(
  state: TimelineState,
  lane: RoomLane,
  stream: StreamState,
  behind: number,
  isLate: boolean,
): number {
  const { drift } = stream;
  if (drift == null) return 0;
  const meanMs = drift.sumMs / drift.frames;
  const by = Math.round(meanMs * (state.facts.sampleRate / 1000));
  const isFarOff = Math.abs(meanMs) > urgentMs && Math.abs(meanMs) <= mostUrgentMs;
  const isUrgent = isFarOff && stream.facts.isOnTime === true;
  const off = { drift, behind, isLate, isUrgent };
  const moved =
    by > 0
      ? drift.isJump
        ? missed(state, lane, drift.at, behind, by)
        : stretched(state, lane, off, by)
      : -leftOut(state, lane, off, -by);
  if (moved !== 0) stream.drift = null;
  return moved;
}

/** How the count is off, up to where it goes, and whether anybody may still be waited for to be quiet. */
interface Off {
  readonly drift: Drift;
  readonly behind: number;
  readonly isLate: boolean;
  readonly isUrgent: boolean;
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
function stretched(state: TimelineState, lane: RoomLane, off: Off, samples: number): number {
  const at = seam(state, lane, off, beatOf(state));
  if (at === null) return 0;
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
function leftOut(state: TimelineState, lane: RoomLane, off: Off, samples: number): number {
  const room = Math.min(samples, off.behind - begun(state, off));
  if (room <= 0) return 0;
  const at = seam(state, lane, off, room);
  if (at === null) return 0;
  moveLane(lane.audio, at + room, at);
  addEvent(state, 'lane_adjusted', at, { lane: lane.name, samples: -room });
  return room;
}

/**
 * Where a stretch of so many samples is touched: the first one that is quiet, behind which all lies right then. Where none is, and it is
 * late, the least loud one of those near to where it began; what is urgent isn't touched further away than that. There a jitter buffer
 * that grew has made something up, which fades.
 *
 * @returns null: nowhere, for now
 */
function seam(state: TimelineState, { audio }: RoomLane, off: Off, length: number): number | null {
  const { base, samples } = audio;
  const from = begun(state, off);
  const near = from + (nearMs / 1000) * state.facts.sampleRate;
  const to = off.isUrgent ? Math.min(near, off.behind) : off.behind;
  const isForced = off.isLate || off.isUrgent;
  let best = { at: from, peak: Infinity };
  // While it waits, every frame is a reason to look, and what was loud a frame ago still is.
  let at = isForced ? from : Math.max(from, off.drift.loudTo ?? from);
  for (; at + length <= to; at += beatOf(state)) {
    const peak = kernels.peak(samples.subarray(Math.max(0, at - base), Math.max(0, at - base + length)));
    if (peak <= quietPeak) return at;
    if (peak < best.peak && at < near) best = { at, peak };
  }
  off.drift.loudTo = at;
  return isForced ? best.at : null;
}

/** Where the count went off, or may have: what is final is as it is. */
function begun(state: TimelineState, { drift }: Off): number {
  return Math.max(state.final, Math.round(drift.at - (hindsightMs / 1000) * state.facts.sampleRate), 0);
}

/** From where on something may still be moved. */
function earliest(state: TimelineState, behind: number): number {
  const far = behind - (verdictMs / 1000) * state.facts.sampleRate;
  return Math.max(state.final, Math.round(far), 0);
}

function beatOf({ facts }: TimelineState): number {
  return Math.max(1, Math.round((beatMs / 1000) * facts.sampleRate));
}

function inBeat(state: TimelineState, position: number): number {
  const beat = beatOf(state);
  return Math.max(0, Math.round(position / beat) * beat);
}
