import type { Stretch } from './StreamTimeline.js';
import type { TimelineState } from './TimelineState.js';

/**
 * Where the caller pressed keys, as the caller's channel is silenced there. A provider tells of a digit when it has heard it, so the tone
 * lies before that, and its end may still be on its way.
 */
export interface DigitMask {
  readonly from: number;
  readonly to: number;
}

/** The longest tone that is told of at its end, and what still comes behind that, ms. */
const beforeMs = 1000;
const behindMs = 250;

/**
 * A digit was told of.
 *
 * @param told - from the end of the caller's audio so far to where the recording stands, or the other way round. They lie apart when
 *   the socket is late, and the tone may have ended anywhere between
 * @param durationMs - of the tone, null where nobody says
 */
export function maskDigit(state: TimelineState, told: Stretch, durationMs: number | null): void {
  const perMs = state.facts.sampleRate / 1000;
  const lengthMs = Math.min(Math.max(beforeMs, durationMs ?? 0), 5 * beforeMs);
  const from = Math.max(state.final, Math.round(told.from - lengthMs * perMs));
  const to = Math.round(told.to + behindMs * perMs);
  state.masks = [...(state.masks ?? []), { from, to }];
  // What was shown of it already has to be written anew.
  state.lanes.caller.dirty = Math.min(state.lanes.caller.dirty, from);
}

/** Silences what of `[from, …)` is masked. @param caller - samples from `from` on */
export function silenceDigits({ masks = [] }: TimelineState, from: number, caller: Int16Array): void {
  for (const mask of masks) {
    const low = Math.max(0, mask.from - from);
    const high = Math.min(caller.length, mask.to - from);
    if (low < high) caller.fill(0, low, high);
  }
}

/** Forgets those before `position`. */
export function trimMasks(state: TimelineState, position: number): void {
  if (state.masks?.some(({ to }) => to <= position) === true)
    state.masks = state.masks.filter(({ to }) => to > position);
}
