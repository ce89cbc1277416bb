import type { CallFacts } from '../../tap/TapRecord.js';
import type { GapCause, ManifestEvent } from '../../spool/Manifest.js';
import { cover, type Coverage } from './Coverage.js';
import type { DigitMask } from './DigitMask.js';
import { createLane, type LaneState } from './Lane.js';
import type { PauseState, Skip } from './Pause.js';
import type { RoomState } from './RoomState.js';
import type { StreamState } from './StreamTimeline.js';

/**
 * Everything a timeline knows, as plain data: what a checkpoint stores and a restart continues from. Positions are samples of
 * the recording.
 */
export interface TimelineState {
  readonly facts: CallFacts;
  /** Every stream of the call by its number in the tap. */
  readonly streams: Map<number, StreamState>;
  readonly lanes: {
    /** The caller as the call's own stream delivers it (or both parties, where the provider sums them). */
    readonly caller: LaneState;
    /** The caller as a tap hears it: goes before the other where both are there. */
    readonly callerTap: LaneState;
    /** The bot as the provider heard it. */
    readonly botHeard: LaneState;
    /** The bot as it sent, placed by the playout model. */
    readonly botSent: LaneState;
  };
  /** Silence that counts as recorded: before a caller's first frame; a bot that says nothing. By channel. */
  readonly silence: readonly [Coverage, Coverage];
  /** Known reasons for what is missing. */
  readonly causes: KnownCause[];
  readonly events: ManifestEvent[];
  /** Events that found no room in the list. */
  eventsOmitted: number;
  /** Whether the bot as heard replaces what it sent (a tap), or is added to it (jambonz stereo with streaming). */
  heard: 'replaces' | 'adds';
  /** Position of the last record. */
  now: number;
  /** Nothing before this position will change. */
  final: number;
  /** Reelay itself lost audio. */
  lossy: boolean;
  /** Length of the recording once it is over. */
  length: number | null;
  /** What somebody has paused and not yet resumed; checkpoints of former versions have neither this nor skips. */
  pause?: PauseState | null;
  skips?: readonly Skip[];
  /** Where keys were pressed that nobody is to hear. */
  masks?: readonly DigitMask[];
  /** Of a call that is a room. */
  readonly room?: RoomState;
}

export interface KnownCause {
  readonly from: number;
  readonly to: number;
  readonly cause: GapCause;
}

/** Where a stretch ends of which that isn't known yet: beyond every recording; checkpoints hold no infinite numbers. */
export const nowhere = Number.MAX_SAFE_INTEGER;

/** Nothing is waited for longer than this: a track that stays away becomes a gap. */
export const longestWaitMs = 30_000;

const maxEvents = 5000;
/** What comes with every piece of speech leaves this much of the list to what is rare. */
const reservedEvents = 1000;
const frequentEvents: readonly string[] = [
  'mark',
  'mark_echo',
  'clear',
  // What participants of a room, or their lines, can make happen as often as they like.
  'concealed',
  'lane_adjusted',
  'lane_delay',
  'lane_failed',
  'lane_joined',
  'lane_left',
  'lane_muted',
  'lane_unmuted',
];

export function createTimelineState(facts: CallFacts): TimelineState {
  return {
    facts,
    streams: new Map(),
    lanes: {
      caller: createLane(),
      callerTap: createLane(),
      botHeard: createLane(),
      botSent: createLane(),
    },
    silence: [[], []],
    causes: [],
    events: [],
    eventsOmitted: 0,
    heard: 'replaces',
    now: 0,
    final: 0,
    lossy: false,
    length: null,
  };
}

export function liveStreams(state: TimelineState): StreamState[] {
  return [...state.streams.values()].filter((stream) => stream.endSample === null);
}

/** Takes `[from, to)` for silence that counts as recorded. What is final already stays what it was found to be. */
export function assumeSilence(state: TimelineState, channel: 0 | 1, from: number, to: number): void {
  cover(state.silence[channel], Math.max(from, state.final), to);
}

/** Adds an event to the manifest's list; a list that is full only counts. */
export function addEvent(
  state: TimelineState,
  type: string,
  sample: number,
  detail: Readonly<Record<string, unknown>> = {},
): void {
  const isFrequent = frequentEvents.includes(type) || (type.startsWith('stream_') && 'lane' in detail);
  const room = isFrequent ? maxEvents - reservedEvents : maxEvents;
  if (state.events.length >= room) state.eventsOmitted++;
  else state.events.push({ ...detail, type, sample });
}
