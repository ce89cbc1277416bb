import type { Gap, Sidecar } from '../spool/Manifest.js';
import { callTimeMs } from './timeline/Pause.js';
import { channelsOf } from './timeline/render.js';
import type { TimelineState } from './timeline/TimelineState.js';

/** What a sidecar says that isn't found in its files. Positions are samples of the recording. */
export type SidecarFacts = Omit<Sidecar, 'bytes' | 'sha256' | 'lanes'>;

/** @param previousSha256 - of the chunk before */
export function sidecarFactsOf(
  state: TimelineState,
  place: { readonly index: number; readonly start: number; readonly samples: number },
  gaps: readonly Gap[],
  previousSha256: string | null,
): SidecarFacts {
  const { recordingId, callId, accountId, provider, sampleRate } = state.facts;
  const { index, start, samples } = place;
  return {
    schema: 1,
    recordingId,
    callId,
    accountId,
    provider,
    index,
    startTime: new Date(callTimeMs(state, start)).toISOString(),
    startSample: start,
    samples,
    sampleRate,
    channels: channelsOf(state),
    gaps,
    previousSha256,
  };
}
