import type { Gap } from '../../spool/Manifest.js';
import { cover, missing, within, type Coverage } from './Coverage.js';
import { layLane } from './Lane.js';
import { quietWithin, type RoomLane, type RoomState } from './RoomState.js';
import type { TimelineState } from './TimelineState.js';
import { certain, named, union } from './unrecorded.js';

/** The sum of what is mixed, before it is cut down to 16 bits; used again, since every room is rendered twice a second. */
let sums = new Int32Array(0);

/**
 * All lanes of `[from, to)`, summed exactly and cut off at the ends of 16 bits, so that the order of the lanes doesn't matter.
 *
 * @param from - not before what the timeline was last trimmed to
 */
export function mixRoom({ lanes }: RoomState, from: number, to: number): Int16Array {
  const out = new Int16Array(Math.max(0, to - from));
  const heard = [...lanes.values()].filter(({ audio }) => within(audio.coverage, from, to).length > 0);
  const [only] = heard;
  if (only === undefined) return out;
  if (heard.length === 1) {
    layLane(only.audio, from, to, out, false);
    return out;
  }
  if (sums.length < out.length) sums = new Int32Array(out.length);
  sums.fill(0, 0, out.length);
  for (const lane of heard) addLane(lane, from, to);
  for (let i = 0; i < out.length; i++) out[i] = Math.max(-32_768, Math.min(32_767, sums[i] ?? 0));
  return out;
}

function addLane({ audio }: RoomLane, from: number, to: number): void {
  const parts = within(audio.coverage, from, to);
  for (let i = 0; i < parts.length; i += 2) {
    const low = parts[i] ?? 0;
    const source = audio.samples.subarray(low - audio.base, (parts[i + 1] ?? 0) - audio.base);
    for (let at = 0; at < source.length; at++) {
      const place = low - from + at;
      sums[place] = (sums[place] ?? 0) + (source[at] ?? 0);
    }
  }
}

/** One lane of `[from, to)`; silence where it says nothing. */
export function renderLane({ audio }: RoomLane, from: number, to: number): Int16Array {
  const out = new Int16Array(Math.max(0, to - from));
  layLane(audio, from, to, out, false);
  return out;
}

/** What of `[from, to)` is not recorded of the room: nobody was there, or something is missing of any lane. */
export function roomGaps(state: TimelineState, { lanes }: RoomState, from: number, to: number): Gap[] {
  const all = [...lanes.values()];
  const heard = all.map(({ audio }) => audio.coverage);
  const known = union([certain(state.silence[0], state.causes, from, to), ...heard], from, to);
  const parts: Coverage = missing(known, from, to);
  for (const lane of all) {
    const absent = missingOf(state, lane, from, to);
    for (let i = 0; i < absent.length; i += 2) cover(parts, absent[i] ?? 0, absent[i + 1] ?? 0);
  }
  return named([...state.causes, ...all.flatMap(({ causes }) => causes)], 0, parts);
}

/** What of `[from, to)` is not recorded of a lane. */
export function laneGaps(state: TimelineState, lane: RoomLane, from: number, to: number): Gap[] {
  return named([...state.causes, ...lane.causes], 0, missingOf(state, lane, from, to));
}

function missingOf(state: TimelineState, lane: RoomLane, begin: number, to: number): Coverage {
  const from = Math.min(to, Math.max(begin, lane.since));
  const quiet = certain(quietWithin(lane, from, to), state.causes, from, to);
  return missing(union([lane.audio.coverage, quiet], from, to), from, to);
}

/** Names of the lanes that were there at any time of `[from, to)`, in order. */
export function lanesWithin(state: TimelineState, from: number, to: number): string[] {
  const names = new Set<string>();
  for (const [number, { startSample, endSample }] of state.streams) {
    const lane = state.room?.laneOf.get(number);
    if (lane !== undefined && startSample < to && (endSample ?? Infinity) > from) names.add(lane);
  }
  return [...names].sort();
}
