import { gapsBetween, sortedGaps } from '../spool/gaps.js';
import type { Gap } from '../spool/Manifest.js';
import type { GapList } from './GapList.js';
import { skipGaps } from './timeline/Pause.js';
import type { TimelineState } from './timeline/TimelineState.js';

/** What a sidecar says of `[from, to)`: what is missing, and what was left out. */
export function chunkGaps(
  list: GapList,
  state: TimelineState,
  channels: number,
  from: number,
  to: number,
): Gap[] {
  const skipped = gapsBetween(skipGaps(state, channels), from, to);
  // What is missing before and behind something that was left out are two gaps, though they touch here.
  const edges = (state.skips ?? []).map(({ at }) => at).filter((at) => from < at && at < to);
  const missing = [...edges, to].flatMap((edge, index) => list.within(edges[index - 1] ?? from, edge));
  return sortedGaps([...missing, ...skipped]);
}
