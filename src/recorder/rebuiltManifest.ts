import { completenessOf, gapsBetween, joinedGaps } from '../spool/gaps.js';
import type { Manifest, ManifestChunk, ManifestLane, Sidecar } from '../spool/Manifest.js';
import { wallClockAt } from '../spool/wallClock.js';

/**
 * What can be said of a recording whose manifest is gone, from what its sidecars say of it: whose it is, when it began, and what
 * its audio is. Who called whom, and what happened beside the audio, nobody knows any more.
 *
 * @returns null where there is no sidecar, or two don't belong together
 */
export function manifestFrom(sidecars: readonly Sidecar[]): Manifest | null {
  const [first] = [...sidecars].sort((a, b) => a.index - b.index);
  if (first === undefined) return null;
  const { recordingId, callId, accountId, provider, sampleRate, channels } = first;
  const isAlike = (each: Sidecar): boolean =>
    each.sampleRate === sampleRate &&
    each.provider === provider &&
    JSON.stringify(each.channels) === JSON.stringify(channels);
  if (!sidecars.every(isAlike)) return null;
  const startMs = Math.round(Date.parse(first.startTime) - (first.startSample / sampleRate) * 1000);
  const longest = Math.max(1, ...sidecars.map(({ samples }) => samples));
  return {
    schema: 1,
    recordingId,
    callId,
    accountId,
    provider,
    state: 'recording',
    reason: null,
    from: null,
    to: null,
    direction: null,
    parameters: {},
    startTime: new Date(startMs).toISOString(),
    endTime: null,
    sampleRate,
    channels,
    samples: 0,
    durationSeconds: 0,
    chunkSeconds: longest / sampleRate,
    chunks: [],
    streams: [],
    events: [{ type: 'manifest_rebuilt', sample: 0 }],
    gaps: [],
    completeness: channels.map(() => 1),
    playout: { marks: 0, medianMs: null, maxMs: null },
    layout: 'chunks',
    ...(first.lanes === undefined
      ? {}
      : { room: { name: callId, sid: null }, lanes: lanesFrom([], sidecars) }),
  };
}

/**
 * The lanes of a room as far as sidecars tell of them: who was in which chunk, and not when.
 *
 * @param known - lanes of the chunks before
 * @param sidecars - of what isn't in there
 */
export function lanesFrom(known: readonly ManifestLane[], sidecars: readonly Sidecar[]): ManifestLane[] {
  const lanes = new Map(known.map((each) => [each.lane, each]));
  for (const { lanes: sealed = [] } of [...sidecars].sort((a, b) => a.index - b.index)) {
    for (const { lane, identity, source, gaps } of sealed) {
      const before = lanes.get(lane) ?? {
        lane,
        identity,
        name: identity,
        kind: 'UNKNOWN',
        source,
        presence: [],
        gaps: [],
      };
      lanes.set(lane, { ...before, gaps: joinedGaps([...before.gaps, ...gaps]) });
    }
  }
  return [...lanes.values()].sort((a, b) => (a.lane < b.lane ? -1 : 1));
}

/** A manifest with its end, after the last of these chunks. */
export function endedManifest(
  manifest: Manifest,
  chunks: readonly ManifestChunk[],
  reason: string,
): Manifest {
  const { sampleRate, startTime, channels, state } = manifest;
  const samples = chunks.reduce((sum, chunk) => sum + chunk.samples, 0);
  const gaps = gapsBetween(manifest.gaps, 0, samples);
  const endTime = wallClockAt({ startTime, sampleRate, gaps }, samples);
  if (state === 'failed') return { ...manifest, endTime };
  return {
    ...manifest,
    state: 'interrupted',
    reason,
    endTime,
    samples,
    durationSeconds: samples / sampleRate,
    chunks,
    streams: manifest.streams.map((stream) => ({
      ...stream,
      endSample: stream.endSample ?? samples,
      endReason: stream.endReason ?? 'lost',
    })),
    gaps,
    completeness: channels.map((_, channel) => completenessOf(gaps, channel, samples)),
    ...(manifest.lanes === undefined
      ? {}
      : { lanes: manifest.lanes.map((lane) => endedLane(lane, samples)) }),
  };
}

function endedLane({ presence, gaps, ...lane }: ManifestLane, samples: number): ManifestLane {
  return {
    ...lane,
    presence: presence.map((each) => ({
      ...each,
      leftSample: each.leftSample ?? Math.max(samples, each.joinedSample),
      endReason: each.endReason ?? 'lost',
    })),
    gaps: gapsBetween(gaps, 0, samples),
  };
}
