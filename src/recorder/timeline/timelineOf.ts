import { roomProvider, type CallFacts } from '../../tap/TapRecord.js';
import type { CallTimeline } from './CallTimeline.js';
import { createRoom, openCause } from './RoomState.js';
import { RoomTimeline } from './RoomTimeline.js';
import { Timeline } from './Timeline.js';
import { createTimelineState, type TimelineState } from './TimelineState.js';

/**
 * The timeline of a call that begins, or of one that is to be continued.
 *
 * @param start - the state of the latter; of the former when its first record arrived, ms
 */
export function timelineOf(
  start: { readonly facts: CallFacts; readonly arrivalMs: number } | { readonly state: TimelineState },
): CallTimeline {
  if ('state' in start)
    return start.state.room === undefined ? new Timeline(start) : new RoomTimeline(start.state);
  const { facts, arrivalMs } = start;
  if (facts.provider !== roomProvider) return new Timeline({ facts });
  const state = { ...createTimelineState(facts), room: createRoom(arrivalMs) };
  // Nobody is there yet.
  openCause(state.causes, 0);
  return new RoomTimeline(state);
}
