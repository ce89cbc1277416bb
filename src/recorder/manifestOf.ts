import { completenessOf } from '../spool/gaps.js';
import type {
  Gap,
  Manifest,
  ManifestChunk,
  ManifestEvent,
  ManifestLane,
  ManifestRoom,
  PlayoutError,
  RecordingState,
} from '../spool/Manifest.js';
import type { CallFacts } from '../tap/TapRecord.js';
import { callTimeMs } from './timeline/Pause.js';
import { channelsOf } from './timeline/render.js';
import type { TimelineState } from './timeline/TimelineState.js';

/** Everything that `manifest.json` says, from what the timeline knows and what has been sealed. */
export function manifestOf(
  state: TimelineState,
  sealed: {
    readonly state: RecordingState;
    readonly reason: string | null;
    readonly chunks: readonly ManifestChunk[];
    readonly gaps: readonly Gap[];
    /** Null: the call is no room. */
    readonly lanes: readonly ManifestLane[] | null;
  },
): Manifest {
  const { facts } = state;
  const samples = sealed.chunks.reduce((sum, chunk) => sum + chunk.samples, 0);
  const channels = channelsOf(state);
  const { gaps } = sealed;
  const timeOf = (sample: number): string => new Date(callTimeMs(state, sample)).toISOString();
  return {
    schema: 1,
    recordingId: facts.recordingId,
    callId: facts.callId,
    accountId: facts.accountId,
    provider: facts.provider,
    state: sealed.state,
    reason: sealed.reason,
    from: facts.from,
    to: facts.to,
    direction: facts.direction,
    parameters: facts.parameters,
    startTime: timeOf(0),
    endTime: state.length === null ? null : timeOf(state.length),
    sampleRate: facts.sampleRate,
    channels,
    samples,
    durationSeconds: samples / facts.sampleRate,
    chunkSeconds: facts.chunkSeconds,
    chunks: sealed.chunks,
    streams: [...state.streams.values()].map((stream) => ({
      streamId: stream.facts.streamId,
      role: stream.facts.role,
      startSample: stream.startSample,
      endSample: stream.endSample,
      endReason: stream.endReason,
    })),
    events: eventsOf(state),
    gaps,
    completeness: channels.map((_, channel) => completenessOf(gaps, channel, samples)),
    playout: playoutOf(state),
    layout: facts.layout ?? 'chunks',
    ...(facts.claimedAccountId === undefined ? {} : { claimedAccountId: facts.claimedAccountId }),
    ...(sealed.lanes === null ? {} : { room: facts.room ?? unnamedRoom(facts), lanes: sealed.lanes }),
  };
}

/** Why a recording whose end was seen has to be called interrupted all the same; null where reelay has lost nothing. */
export function lossOf({ lossy, room }: TimelineState, isDamaged: boolean): string | null {
  if (isDamaged) return 'journal_damaged';
  if (lossy) return 'audio_dropped';
  return room?.wasLost === true ? 'room_left' : null;
}

function unnamedRoom({ callId }: CallFacts): ManifestRoom {
  return { name: callId, sid: null };
}

function eventsOf(state: TimelineState): ManifestEvent[] {
  const events = [...state.events, ...failureOf(state)];
  if (state.eventsOmitted > 0) {
    events.push({ type: 'events_omitted', sample: state.now, count: state.eventsOmitted });
  }
  return events.sort((a, b) => a.sample - b.sample);
}

/** Nothing of a failed recording is placed, so the one thing that happened to it comes from the call's facts. */
function failureOf({ facts }: TimelineState): ManifestEvent[] {
  const { failed: reason, claimedAccountId } = facts;
  if (reason === undefined) return [];
  const claimed = claimedAccountId === undefined ? {} : { claimedAccountId };
  return [{ type: 'recording_failed', sample: 0, reason, ...claimed }];
}

function playoutOf(state: TimelineState): PlayoutError {
  const errors = [...state.streams.values()].flatMap((stream) => stream.playout?.errors ?? []);
  const sorted = errors.sort((a, b) => a - b);
  const round = (ms: number | undefined): number | null =>
    ms === undefined ? null : Math.round(ms * 10) / 10;
  const largest = sorted.reduce<number | undefined>(
    (most, each) => (most === undefined || Math.abs(each) > Math.abs(most) ? each : most),
    undefined,
  );
  return { marks: sorted.length, medianMs: round(sorted[sorted.length >> 1]), maxMs: round(largest) };
}
