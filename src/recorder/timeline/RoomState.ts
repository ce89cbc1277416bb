import type { ParticipantFacts, StreamFacts } from '../../tap/TapRecord.js';
import { cover, cutFrom, within, type Coverage } from './Coverage.js';
import { createLane, type LaneState } from './Lane.js';
import { nowhere, type KnownCause } from './TimelineState.js';

/**
 * What a timeline knows of a room beside what it knows of every call. Position 0 is the call's beginning. `TimelineState.silence[0]`
 * is where somebody of reelay's was in the room, so that what isn't heard there is silence.
 */
export interface RoomState {
  /** Arrival of the call's first record, ms. */
  readonly startMs: number;
  /** Somebody of reelay's is there. */
  isHeard: boolean;
  /** Somebody was, and was lost, or a lane was: what was said meanwhile is missing because of reelay. */
  wasLost: boolean;
  /** By name, in the order in which they came. */
  readonly lanes: Map<string, RoomLane>;
  /** The lane of each stream, by its number in the tap. */
  readonly laneOf: Map<number, string>;
}

/** One participant's track, however often it comes and goes. */
export interface RoomLane {
  readonly name: string;
  /** As its last stream has it. */
  participant: ParticipantFacts;
  readonly audio: LaneState;
  /** Where it was there for the first time: before, nothing of it can be missing. */
  since: number;
  /** Silence that counts as recorded: it wasn't there, or was muted. */
  readonly silence: Coverage;
  /** From here on, too, as far as time has come; null while frames are expected. */
  quietFrom: number | null;
  /** The last stretch that ended so: what is known of it when `silence` has forgotten what is final. */
  lastQuiet: { readonly from: number; readonly to: number } | null;
  /** Known reasons for what is missing of this lane alone. */
  readonly causes: KnownCause[];
  /** Where it was told that so many samples before were made up by a jitter buffer, because packets were lost. */
  readonly concealed: { at: number; readonly samples: number }[];
  /** Streams of it that are live, the newest last. */
  readonly live: number[];
  /** The newest that has said something: what older ones say doesn't count any more. */
  holder: number | null;
  /** Its last stream was lost, and none has come since: until when it is missed, null while nobody is in the room. */
  lost: { readonly from: number; until: number | null } | null;
}

export function createRoom(startMs: number): RoomState {
  return { startMs, isHeard: false, wasLost: false, lanes: new Map(), laneOf: new Map() };
}

/** The lane of a stream that begins; before that there was silence. @param name - checked */
export function laneFor(room: RoomState, name: string, facts: StreamFacts, start: number): RoomLane {
  const { streamId, participant } = facts;
  const whose = participant ?? {
    identity: streamId,
    name: streamId,
    kind: 'STANDARD',
    sid: streamId,
    source: 'unknown',
  };
  const known = room.lanes.get(name);
  if (known !== undefined) {
    known.participant = whose;
    return known;
  }
  const lane: RoomLane = {
    name,
    participant: whose,
    audio: createLane(),
    since: start,
    silence: start > 0 ? [0, start] : [],
    quietFrom: null,
    lastQuiet: null,
    causes: [],
    concealed: [],
    live: [],
    holder: null,
    lost: null,
  };
  room.lanes.set(name, lane);
  return lane;
}

/** Where in `[from, to)` a lane's silence counts as recorded; all of it lies before what time has come to. */
export function quietWithin({ silence, quietFrom }: RoomLane, from: number, to: number): Coverage {
  const parts = within(silence, from, to);
  if (quietFrom !== null) cover(parts, Math.max(from, quietFrom), to);
  return parts;
}

/** Frames are expected from `at` on. */
export function endQuiet(lane: RoomLane, at: number): void {
  if (lane.quietFrom === null) return;
  cover(lane.silence, lane.quietFrom, at);
  lane.lastQuiet = { from: lane.quietFrom, to: at };
  lane.quietFrom = null;
}

/** Gives the reason for what is missing from `from` on; its end is told by {@link closeCause}. */
export function openCause(causes: KnownCause[], from: number): void {
  causes.push({ from, to: nowhere, cause: 'room_left' });
}

/** What is missing since a lane or the room was lost ends at `to`. */
export function closeCause(causes: KnownCause[], to: number): void {
  for (const [index, each] of causes.entries())
    if (each.cause === 'room_left' && each.to === nowhere) causes[index] = { ...each, to };
}

/** What lay between `from` and where the recording stands was left out. @param back - where a position is then */
export function skipInLanes({ lanes }: RoomState, from: number, back: (position: number) => number): void {
  for (const lane of lanes.values()) {
    const { lost, quietFrom, lastQuiet, causes, concealed } = lane;
    cutFrom(lane.silence, from);
    lane.since = back(lane.since);
    for (const each of concealed) each.at = back(each.at);
    if (quietFrom !== null) lane.quietFrom = back(quietFrom);
    if (lastQuiet !== null) lane.lastQuiet = { from: back(lastQuiet.from), to: back(lastQuiet.to) };
    if (lost !== null)
      lane.lost = { from: back(lost.from), until: lost.until === null ? null : back(lost.until) };
    for (const [index, each] of causes.entries())
      causes[index] = { ...each, from: back(each.from), to: back(each.to) };
  }
}

/** How many of a lane's samples were made up, as was told within `[from, to)`. */
export function concealedWithin({ concealed }: RoomLane, from: number, to: number): number {
  return concealed.filter(({ at }) => at >= from && at < to).reduce((sum, { samples }) => sum + samples, 0);
}
