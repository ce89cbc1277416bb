import { kernels } from '../../audio/kernels.js';
import { cover, cutBefore, cutOut, missing, within, type Coverage } from './Coverage.js';

/**
 * One party's samples by position, from one source, in a window that moves along the recording: behind it everything is
 * final and on disk, in front of it lies what is queued to be heard. Samples that nobody wrote are zero and not covered.
 *
 * The state is plain data, so that a checkpoint can hold it.
 */
export interface LaneState {
  /** Position of `samples[0]`. */
  base: number;
  samples: Int16Array;
  readonly coverage: Coverage;
  /** Lowest position that changed since {@link takeDirty}; Infinity when none did. */
  dirty: number;
}

/** Room that a lane begins with: most of four never have audio in them for longer than a moment. */
const leastSamples = 512;

export function createLane(): LaneState {
  return { base: 0, samples: new Int16Array(0), coverage: [], dirty: Infinity };
}

/** End of the last covered sample, or `otherwise` when there is none. */
export function laneEnd(lane: LaneState, otherwise: number): number {
  return lane.coverage.at(-1) ?? otherwise;
}

/** Says from where on the lane has changed since the last time this was asked. */
export function takeDirty(lane: LaneState): number {
  const { dirty } = lane;
  lane.dirty = Infinity;
  return dirty;
}

/**
 * Writes samples where none are yet: what was there first stays, and nothing lands before the window, or before `least`. Behind the
 * end of everything, where nearly all of it comes, nothing is allocated.
 */
export function writeLane(lane: LaneState, position: number, pcm: Int16Array, least = 0): void {
  const end = position + pcm.length;
  const from = Math.max(position, lane.base, least);
  if (end <= from) return;
  reserve(lane, end);
  if (from === position && from >= laneEnd(lane, -Infinity)) {
    lane.samples.set(pcm, position - lane.base);
    cover(lane.coverage, position, end);
    lane.dirty = Math.min(lane.dirty, position);
    return;
  }
  const free = missing(lane.coverage, from, end);
  for (let i = 0; i < free.length; i += 2) {
    const low = free[i] ?? 0;
    const high = free[i + 1] ?? 0;
    lane.samples.set(pcm.subarray(low - position, high - position), low - lane.base);
    cover(lane.coverage, low, high);
  }
  lane.dirty = Math.min(lane.dirty, free[0] ?? Infinity);
}

/** Silences `[from, to)`, as if it had never been written. It costs what was written there, however long that stretch is. */
export function eraseLane(lane: LaneState, from: number, to = Infinity): void {
  const parts = within(lane.coverage, Math.max(from, lane.base), to);
  const [first] = parts;
  if (first === undefined) return;
  for (let i = 0; i < parts.length; i += 2)
    lane.samples.fill(0, (parts[i] ?? 0) - lane.base, (parts[i + 1] ?? 0) - lane.base);
  cutOut(lane.coverage, first, to);
  lane.dirty = Math.min(lane.dirty, first);
}

/** Moves everything from `from` on to `to`; what lay between them, when moving back, is overwritten. */
export function moveLane(lane: LaneState, from: number, to: number): void {
  const low = Math.max(from, lane.base);
  const target = Math.max(to + (low - from), lane.base);
  const parts = within(lane.coverage, low, Infinity);
  const end = laneEnd(lane, low);
  // No room is made for what isn't there.
  if (end <= low) return eraseLane(lane, target);
  const moved = lane.samples.slice(low - lane.base, end - lane.base);
  eraseLane(lane, Math.min(low, target));
  reserve(lane, target + moved.length);
  for (let i = 0; i < parts.length; i += 2) {
    const start = (parts[i] ?? 0) - low;
    const stop = (parts[i + 1] ?? 0) - low;
    lane.samples.set(moved.subarray(start, stop), target + start - lane.base);
    cover(lane.coverage, target + start, target + stop);
  }
  lane.dirty = Math.min(lane.dirty, low, target);
}

/** Adds the covered samples of `[from, to)` to `out[0…]`, saturating, or writes them over it. */
export function layLane(lane: LaneState, from: number, to: number, out: Int16Array, add: boolean): void {
  const parts = within(lane.coverage, from, to);
  for (let i = 0; i < parts.length; i += 2) {
    const low = parts[i] ?? 0;
    const source = lane.samples.subarray(low - lane.base, (parts[i + 1] ?? 0) - lane.base);
    if (!add) {
      out.set(source, low - from);
      continue;
    }
    const target = out.subarray(low - from, low - from + source.length);
    kernels.mix(target, source, target);
  }
}

/** Forgets everything before `position`. */
export function trimLane(lane: LaneState, position: number): void {
  const drop = position - lane.base;
  if (drop <= 0) return;
  const end = laneEnd(lane, lane.base);
  if (end > position) lane.samples.copyWithin(0, drop, end - lane.base);
  const kept = Math.max(0, end - position);
  lane.samples.fill(0, kept, Math.min(lane.samples.length, Math.max(kept, end - lane.base)));
  lane.base = position;
  cutBefore(lane.coverage, position);
  // A long burst that has been played leaves a large buffer behind; give it back.
  if (lane.samples.length > 4 * kept + 65_536) lane.samples = lane.samples.slice(0, kept);
}

function reserve(lane: LaneState, end: number): void {
  const need = end - lane.base;
  if (need <= lane.samples.length) return;
  const grown = new Int16Array(Math.max(need, lane.samples.length * 2, leastSamples));
  grown.set(lane.samples);
  lane.samples = grown;
}
