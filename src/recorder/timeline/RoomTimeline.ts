import { isLaneName } from '../../tap/laneName.js';
import { readFacts } from '../../tap/RecordReader.js';
import {
  mutedBytes,
  RecordKind,
  type DroppedFacts,
  type DtmfFacts,
  type EventFacts,
  type PauseFacts,
  type StreamEndFacts,
  type StreamFacts,
  type TapRecord,
} from '../../tap/TapRecord.js';
import type { CallTimeline } from './CallTimeline.js';
import { cover, cutBefore, cutFrom } from './Coverage.js';
import { eraseLane, takeDirty, trimLane } from './Lane.js';
import { conclude, placeInLane } from './lanePlacement.js';
import type { Loss } from './loseRecords.js';
import { endPause, pause, pauseLimit, resume } from './Pause.js';
import { closeCause, endQuiet, laneFor, openCause, type RoomLane, type RoomState } from './RoomState.js';
import { createStream, receivedEnd, slowestTrack, type StreamState } from './StreamTimeline.js';
import { addEvent, liveStreams, longestWaitMs, type TimelineState } from './TimelineState.js';

/** How far the live view waits for a lane whose frames are late. */
const previewWaitMs = 2000;
/** Amend window of a room where nobody is. */
const emptyAmendMs = 1500;
/** A lane whose stream was lost is missed for so long after somebody is in the room again, ms: subscribing takes a while. */
const returnMs = 2000;
/** Between the last frame and the end of a stream: the part of a frame that the SDK keeps to itself. */
const farewellMs = 200;
/** In a pause audio that was on its way comes aloud for so long, ms; it isn't kept. */
const lateAloudMs = 2000;

/**
 * The timeline of a room: any number of lanes on one clock, which is that of arrival. It goes on from the call's beginning to its end,
 * whether somebody is there or not. A lane is silent where its participant isn't in the room or is muted; what is missing besides is a gap
 * of that lane, and where something is missing of any lane it is missing of the mix.
 */
export class RoomTimeline implements CallTimeline {
  readonly state: TimelineState;
  readonly #room: RoomState;
  /** The end was told, so that nothing up to it is unknown. */
  #isOver = false;

  /** @param state - with a room */
  constructor(state: TimelineState) {
    if (state.room === undefined) throw new TypeError('This call is no room.');
    this.state = state;
    this.#room = state.room;
  }

  get final(): number {
    return this.state.final;
  }

  apply(record: TapRecord): void {
    if (this.state.length !== null) return;
    const at = this.#position(record.arrivalMs);
    this.#advanceTo(at);
    this.#dispatch(record, at);
    this.#settle();
  }

  advance(arrivalMs: number): void {
    if (this.state.length !== null) return;
    this.#advanceTo(this.#position(arrivalMs));
    this.#settle();
  }

  damaged(sinceMs: number, untilMs: number): void {
    if (this.state.length !== null) return;
    this.#advanceTo(this.#position(untilMs));
    addEvent(this.state, 'journal_damaged', this.#lose({ sinceMs, untilMs, cause: 'journal_damaged' }));
  }

  finish(): number {
    const { state } = this;
    const live = [...state.streams].filter(([, { endSample }]) => endSample === null);
    for (const [number, stream] of live)
      this.#endStream(number, stream, this.#isOver ? 'relay' : 'lost', state.now);
    endPause(state);
    // Whoever wrote the journal has gone: what came last is the end, not the last look at the clock.
    const ends = live.map(([number]) => state.streams.get(number)?.endSample ?? 0);
    const length = this.#isOver || live.length === 0 ? state.now : Math.max(state.final, ...ends);
    state.length ??= length;
    for (const { audio } of this.#room.lanes.values()) eraseLane(audio, state.length);
    state.final = state.length;
    return state.length;
  }

  preview(): number {
    const { state } = this;
    if (state.length !== null) return state.length;
    const slowest = Math.min(state.now, ...this.#awaited().map(slowestTrack));
    const shown = Math.max(slowest, state.now - (previewWaitMs / 1000) * state.facts.sampleRate);
    return Math.max(state.final, Math.floor(Math.min(shown, pauseLimit(state))));
  }

  takeDirty(): number {
    return [...this.#room.lanes.values()].reduce(
      (least, { audio }) => Math.min(least, takeDirty(audio)),
      Infinity,
    );
  }

  trim(position: number): void {
    const { silence, causes, facts } = this.state;
    // Sidecars tell of whole chunks, of which the last may still be open.
    const kept = position - 2 * facts.chunkSeconds * facts.sampleRate;
    for (const coverage of silence) cutBefore(coverage, position);
    while ((causes[0]?.to ?? Infinity) <= position) causes.shift();
    for (const lane of this.#room.lanes.values()) {
      trimLane(lane.audio, position);
      cutBefore(lane.silence, position);
      while ((lane.causes[0]?.to ?? Infinity) <= position) lane.causes.shift();
      while ((lane.concealed[0]?.at ?? Infinity) < kept) lane.concealed.shift();
    }
  }

  #dispatch(record: TapRecord, at: number): void {
    const { state } = this;
    switch (record.kind) {
      case RecordKind.streamStart:
        return this.#startStream(record, at);
      case RecordKind.audio:
      case RecordKind.muted:
        return this.#audio(record, at);
      case RecordKind.streamEnd: {
        const stream = state.streams.get(record.stream);
        if (stream?.endSample !== null) return;
        return this.#endStream(record.stream, stream, (readFacts(record) as StreamEndFacts).reason, at);
      }
      case RecordKind.event:
        return this.#event(readFacts(record) as EventFacts, at);
      case RecordKind.pause:
        return this.#pause(readFacts(record) as PauseFacts);
      case RecordKind.dtmf:
        return this.#digit(record, at);
      case RecordKind.dropped: {
        const { records, sinceMs } = readFacts(record) as DroppedFacts;
        const from = this.#lose({ sinceMs, untilMs: record.arrivalMs, cause: 'dropped_by_reelay' });
        return addEvent(state, 'dropped_by_reelay', from, { records });
      }
      case RecordKind.callEnd:
        this.#isOver = true;
        return;
      default:
        // A room has no playout: nobody marks, clears or plays anything there.
        return;
    }
  }

  #startStream(record: TapRecord, at: number): void {
    const { state } = this;
    const facts = readFacts(record) as StreamFacts;
    const start = Math.max(at, state.final);
    const name = facts.lane !== undefined && isLaneName(facts.lane) ? facts.lane : `lane-${record.stream}`;
    const stream = createStream(facts, start, state.facts.sampleRate, record.arrivalMs);
    state.streams.set(record.stream, stream);
    const lane = laneFor(this.#room, name, facts, start);
    this.#room.laneOf.set(record.stream, name);
    const { lost } = lane;
    if (lost?.until != null && lost.until <= start) lane.lost = null;
    endQuiet(lane, start);
    lane.live.push(record.stream);
    this.#arrive(start);
    addEvent(state, 'stream_started', start, { streamId: facts.streamId, role: facts.role, lane: name });
  }

  #audio(record: TapRecord, at: number): void {
    const { state } = this;
    const { pause: paused } = state;
    const isAloud = record.kind === RecordKind.audio;
    if (paused != null && isAloud) {
      const sinceMs = ((at - paused.from) * 1000) / state.facts.sampleRate;
      // Nobody says anything aloud before the pause has ended: its end is lost, with a part of the journal.
      if (sinceMs > lateAloudMs) this.#pause({ paused: false });
    }
    const stream = state.streams.get(record.stream);
    const lane = this.#laneOf(record.stream);
    if (stream?.endSample !== null || lane === undefined) return;
    // Of two streams of one lane the newer one counts, from its first frame on.
    if (lane.holder !== null && lane.holder > record.stream) return;
    const heard = state.pause != null && isAloud ? unheard(record) : record;
    placeInLane(state, lane, stream, heard, this.#position(record.arrivalMs));
  }

  /** @param number - of a stream */
  #laneOf(number: number): RoomLane | undefined {
    const { lanes, laneOf } = this.#room;
    return lanes.get(laneOf.get(number) ?? '');
  }

  #endStream(number: number, stream: StreamState, reason: StreamState['endReason'], at: number): void {
    const { state } = this;
    const lane = this.#laneOf(number);
    if (lane?.holder === number) conclude(state, lane, stream);
    const heard = Math.max(receivedEnd(stream), state.final);
    const end = reason === 'lost' ? heard : Math.max(heard, at);
    stream.endSample = end;
    stream.endReason = reason;
    if (lane !== undefined) this.#leaveLane(lane, number, stream);
    const { streamId } = stream.facts;
    addEvent(state, 'stream_ended', end, { streamId, reason, ...(lane && { lane: lane.name }) });
    if (reason === 'lost' && liveStreams(state).length === 0) this.#depart(end);
  }

  #leaveLane(lane: RoomLane, number: number, stream: StreamState): void {
    const { state } = this;
    const { endReason, ends, startSample } = stream;
    const end = stream.endSample ?? state.now;
    const wasHolder = lane.holder === number;
    lane.live.splice(lane.live.indexOf(number), 1);
    if (wasHolder) lane.holder = null;
    if (lane.live.length > 0) return;
    const lag = ((end - (ends.caller ?? end)) * 1000) / state.facts.sampleRate;
    if (lag <= farewellMs) cover(lane.silence, Math.max(ends.caller ?? startSample, state.final), end);
    endQuiet(lane, end);
    cutFrom(lane.silence, end);
    if (endReason !== 'lost') {
      // One that was lost before, and whose successor never said anything, was there all the same.
      if (lane.lost !== null) closeCause(lane.causes, end);
      lane.lost = null;
      lane.quietFrom = end;
      return;
    }
    this.#room.wasLost = true;
    const longest = (longestWaitMs / 1000) * state.facts.sampleRate;
    this.#miss(lane, end, this.#room.isHeard ? end + longest : null);
  }

  /** @param until - when it is given up; null: when somebody is in the room again, and a little later */
  #miss(lane: RoomLane, from: number, until: number | null): void {
    closeCause(lane.causes, from);
    openCause(lane.causes, from);
    lane.lost = { from, until };
    if (until === null) return;
    closeCause(lane.causes, until);
    lane.quietFrom = until;
  }

  #event({ type, ...detail }: EventFacts, at: number): void {
    if (type === 'room_joined' || type === 'reconnected') this.#arrive(at);
    if (type === 'room_left') this.#depart(at);
    const lane = typeof detail['lane'] === 'string' ? this.#room.lanes.get(detail['lane']) : undefined;
    const { samples } = detail;
    if (type === 'concealed' && typeof samples === 'number') lane?.concealed.push({ at, samples });
    const isThere = lane !== undefined && lane.live.length > 0;
    if (type === 'lane_muted' && isThere) lane.quietFrom ??= Math.max(at, this.state.final);
    if (type === 'lane_unmuted' && isThere) endQuiet(lane, at);
    addEvent(this.state, type, at, detail);
  }

  /** Somebody of reelay's is in the room. */
  #arrive(at: number): void {
    const { state } = this;
    if (this.#room.isHeard) return;
    this.#room.isHeard = true;
    const from = Math.max(at, state.final);
    closeCause(state.causes, from);
    cover(state.silence[0], from, state.now);
    const until = from + (returnMs / 1000) * state.facts.sampleRate;
    for (const lane of this.#room.lanes.values()) {
      if (lane.lost?.until !== null || lane.live.length > 0) continue;
      lane.lost.until = until;
      closeCause(lane.causes, until);
      lane.quietFrom = until;
    }
  }

  /** Nobody is any more. */
  #depart(at: number): void {
    const { state } = this;
    if (!this.#room.isHeard) return;
    this.#room.isHeard = false;
    this.#room.wasLost = true;
    const from = Math.max(at, state.final);
    cutFrom(state.silence[0], from);
    openCause(state.causes, from);
    for (const lane of this.#room.lanes.values())
      if (lane.lost !== null && lane.live.length === 0 && (lane.lost.until ?? Infinity) > from)
        this.#missAgain(lane);
  }

  /** It was to be given up after a while, and is now missed until somebody is in the room again. */
  #missAgain(lane: RoomLane): void {
    const { lost } = lane;
    if (lost === null) return;
    lane.quietFrom = null;
    lost.until = null;
    // What was opened first is the reason up to where it was closed; this one goes on.
    openCause(lane.causes, Math.max(lost.from, this.state.final));
  }

  #pause({ paused, mode }: PauseFacts): void {
    if (paused) pause(this.state, mode ?? 'silence');
    else resume(this.state);
  }

  #digit(record: TapRecord, at: number): void {
    const { digit, durationMs } = readFacts(record) as DtmfFacts;
    const lane = this.#laneOf(record.stream)?.name;
    const isMasked = this.state.facts.masksDigits === true || digit === '';
    const detail = isMasked ? { durationMs, isMasked: true } : { digit, durationMs };
    addEvent(this.state, 'dtmf', at, { ...detail, ...(lane === undefined ? {} : { lane }) });
  }

  /** Records of the call were lost. @returns the position from which on something may be missing */
  #lose({ sinceMs, untilMs, cause }: Loss): number {
    const { state } = this;
    const since = this.#position(sinceMs);
    const isOnlyPause = cause === 'dropped_by_reelay' && state.pause != null && since >= state.pause.from;
    const from = Math.max(Math.min(since, ...this.#awaited().map(slowestTrack)), state.final);
    state.causes.push({ from, to: state.now, cause });
    if (!isOnlyPause) state.lossy = true;
    const lost = { to: state.now, untilMs, cause };
    for (const stream of liveStreams(state)) {
      stream.dropped = true;
      stream.lost = { caller: lost, bot: null };
    }
    return from;
  }

  /** Streams whose frames are waited for: those that have their lane's word, or are about to get it, and aren't muted. */
  #awaited(): StreamState[] {
    const { streams } = this.state;
    return [...this.#room.lanes.values()].flatMap(({ live, holder, quietFrom }) => {
      const number = holder ?? live.at(-1);
      const stream = number === undefined || quietFrom !== null ? undefined : streams.get(number);
      return stream?.endSample === null ? [stream] : [];
    });
  }

  #position(arrivalMs: number): number {
    const { facts, skips = [] } = this.state;
    const skipped = skips.reduce((sum, { samples }) => sum + samples, 0);
    const elapsed = Math.round(((arrivalMs - this.#room.startMs) * facts.sampleRate) / 1000);
    return Math.max(0, elapsed - skipped);
  }

  /** Records of a room's worker are a little late, so that time never goes back. */
  #advanceTo(position: number): void {
    const { state } = this;
    const from = state.now;
    state.now = Math.max(from, position);
    if (this.#room.isHeard) cover(state.silence[0], from, state.now);
  }

  /** Moves the border of what is final as far as the records allow. */
  #settle(): void {
    const { state } = this;
    const perMs = state.facts.sampleRate / 1000;
    let slowest = state.now;
    let amendMs = emptyAmendMs;
    for (const stream of this.#awaited()) {
      slowest = Math.min(slowest, slowestTrack(stream), stream.drift?.at ?? Infinity);
      amendMs = Math.max(amendMs, stream.facts.amendMs);
    }
    const border = Math.max(slowest - amendMs * perMs, state.now - longestWaitMs * perMs);
    state.final = Math.max(state.final, Math.floor(Math.min(border, pauseLimit(state) - 1)));
  }
}

/** Of audio that isn't to be kept only its length. */
function unheard(record: TapRecord): TapRecord {
  const payload = new Uint8Array(mutedBytes);
  new DataView(payload.buffer).setUint32(0, record.payload.length, true);
  return { ...record, kind: RecordKind.muted, payload };
}
