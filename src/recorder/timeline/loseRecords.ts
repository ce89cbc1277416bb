import type { GapCause } from '../../spool/Manifest.js';
import { laneEnd } from './Lane.js';
import type { PauseState } from './Pause.js';
import { positionAt, slowestTrack, type StreamState } from './StreamTimeline.js';
import { liveStreams, type TimelineState } from './TimelineState.js';

/** Records that were lost: when the first and the last of them arrived, ms, and who lost them. */
export interface Loss {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly cause: GapCause;
}

/**
 * Records of the call were lost. Up to `state.now` something may be missing, and before each track's next frame.
 *
 * @param stream - by whose clock the times are understood
 * @returns the position from which on something may be missing
 */
export function loseRecords(state: TimelineState, stream: StreamState, loss: Loss): number {
  const { sinceMs, untilMs, cause } = loss;
  const live = liveStreams(state);
  const since = positionAt(stream, sinceMs, state.facts.sampleRate / 1000);
  const paused = cause === 'dropped_by_reelay' ? onlyPause(state, since) : null;
  // A frame that was dropped on arrival began before it: what is missing begins where the last one ended.
  const from = Math.max(Math.min(since, ...live.map(slowestTrack)), state.final, paused?.from ?? 0);
  state.causes.push({ from, to: state.now, cause });
  if (paused === null) state.lossy = true;
  for (const each of live) {
    each.dropped = each.facts.placement === 'count';
    const lost = { to: state.now, untilMs, cause };
    each.lost = { caller: lost, bot: lost };
  }
  return from;
}

/**
 * The running pause, if nothing but its length was told of since a position: the recording lacks none of that. What the bot had said
 * before may have been cleared, so that nobody knows what of it is heard behind the pause.
 */
function onlyPause({ lanes, now, pause }: TimelineState, since: number): PauseState | null {
  if (pause === null || pause === undefined || since < pause.from) return null;
  return laneEnd(lanes.botSent, 0) > now ? null : pause;
}
