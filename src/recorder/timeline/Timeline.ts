import { readFacts, readText } from '../../tap/RecordReader.js';
import {
  RecordKind,
  Track,
  type CallFacts,
  type ClipDoneFacts,
  type ClipFacts,
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
import { maskDigit, trimMasks } from './DigitMask.js';
import { loseRecords } from './loseRecords.js';
import { endPause, forgetQueued, mute, passPause, pause, pausedUpTo, pauseLimit, resume } from './Pause.js';
import { endOf, placeAudio, sentAudio } from './placement.js';
import {
  clearPlayout,
  echoMark,
  finishClip,
  play,
  putMark,
  startClip,
  type PlayoutState,
} from './Playout.js';
import {
  assumesBotSilence,
  assumesCallerSilence,
  createStream,
  positionAt,
  slowestTrack,
  type StreamState,
} from './StreamTimeline.js';
import {
  addEvent,
  assumeSilence,
  createTimelineState,
  liveStreams,
  longestWaitMs,
  type TimelineState,
} from './TimelineState.js';

/** How far the live view waits for a caller whose frames are late before it shows silence. */
const previewWaitMs = 2000;
/** What is said of the call as a whole, and holds though a stream has ended. */
const ofTheCall: readonly RecordKind[] = [RecordKind.event, RecordKind.pause, RecordKind.callEnd];
/** Time between a caller's last frame and the stream's end that is the provider taking leave, not a loss. */
const farewellMs = 200;

/**
 * From facts to positions: what each party heard when, as a pure function of the call's tap records. It reads no clock and
 * touches no file, so the same journal always gives the same recording, however it is cut into chunks or flushed.
 *
 * A region is *final* once every track has passed it by the amend window, or after half a minute at most; until then late
 * frames and clears still change it. {@link final} moves with the records alone.
 */
export class Timeline implements CallTimeline {
  readonly state: TimelineState;
  /** What of the state is asked for with every record; kept by {@link #regard}. */
  #live: StreamState[] = [];
  #reference: StreamState | undefined;
  #amendMs = 0;
  /** End of the last stream that has ended. */
  #ended = 0;

  /** @param start - the facts of a new call, or the state of one that is to be continued */
  constructor(start: { readonly facts: CallFacts } | { readonly state: TimelineState }) {
    this.state = 'state' in start ? start.state : createTimelineState(start.facts);
    this.#regard();
  }

  get final(): number {
    return this.state.final;
  }

  /** Applies the next record of this call. */
  apply(record: TapRecord): void {
    const { state } = this;
    if (state.length !== null) return;
    if (record.kind === RecordKind.streamStart) this.#startStream(record);
    const stream = state.streams.get(record.stream) ?? this.#reference;
    if (stream !== undefined) {
      this.#advanceTo(this.#position(stream, record.arrivalMs));
      this.#dispatch(record, stream);
    }
    this.#settle();
  }

  /** Time has come to `arrivalMs` without a record of this call. */
  advance(arrivalMs: number): void {
    const stream = this.#reference;
    if (stream === undefined || this.state.length !== null) return;
    this.#advanceTo(this.#position(stream, arrivalMs));
    this.#settle();
  }

  /**
   * Records of this call that arrived between these two times may be missing, because the journal was damaged.
   *
   * @param sinceMs - of the last record before
   * @param untilMs - of the first one behind
   */
  damaged(sinceMs: number, untilMs: number): void {
    const stream = this.#reference;
    if (stream === undefined || this.state.length !== null) return;
    this.#advanceTo(Math.max(this.state.now, this.#position(stream, untilMs)));
    const from = loseRecords(this.state, stream, { sinceMs, untilMs, cause: 'journal_damaged' });
    addEvent(this.state, 'journal_damaged', from);
  }

  /** Ends the recording: streams that are still there were lost with whoever wrote the journal. */
  finish(): number {
    const { state } = this;
    for (const stream of this.#live) this.#endStream(stream, 'lost');
    endPause(state);
    this.#regard();
    state.length ??= this.#ended;
    for (const lane of Object.values(state.lanes)) eraseLane(lane, state.length);
    state.final = state.length;
    return state.length;
  }

  /** Position up to which a listener may already be given audio, final or not. */
  preview(): number {
    const { state } = this;
    if (state.length !== null) return state.length;
    const perMs = state.facts.sampleRate / 1000;
    // Between two streams nobody knows yet whether the call goes on.
    const limit = pauseLimit(state);
    if (this.#live.length === 0) return Math.max(state.final, Math.min(this.#ended, limit));
    const slowest = Math.min(...this.#live.map(slowestTrack));
    const shown = Math.min(state.now, Math.max(slowest, state.now - previewWaitMs * perMs));
    return Math.max(state.final, Math.floor(Math.min(shown, limit)));
  }

  /** From where on the audio has changed since this was last asked; Infinity when it has not. */
  takeDirty(): number {
    return Math.min(...Object.values(this.state.lanes).map(takeDirty));
  }

  /** Forgets the audio before `position`, which must be final. */
  trim(position: number): void {
    const { lanes, silence, causes } = this.state;
    for (const lane of Object.values(lanes)) trimLane(lane, position);
    for (const coverage of silence) cutBefore(coverage, position);
    trimMasks(this.state, position);
    while ((causes[0]?.to ?? Infinity) <= position) causes.shift();
  }

  #startStream(record: TapRecord): void {
    const { state } = this;
    const facts = readFacts(record) as StreamFacts;
    const before = this.#reference;
    const start =
      before === undefined ? 0 : Math.max(this.#position(before, record.arrivalMs), before.endSample ?? 0);
    if (before !== undefined && this.#live.length === 0) {
      state.causes.push({ from: this.#ended, to: start, cause: 'between_streams' });
    }
    if (facts.tracks.includes('both')) state.heard = 'adds';
    state.streams.set(record.stream, createStream(facts, start, state.facts.sampleRate, record.arrivalMs));
    this.#regard();
    addEvent(state, 'stream_started', start, { streamId: facts.streamId, role: facts.role });
  }

  #dispatch(record: TapRecord, stream: StreamState): void {
    const { state } = this;
    if (stream.endSample !== null && !ofTheCall.includes(record.kind)) return;
    switch (record.kind) {
      case RecordKind.audio:
      case RecordKind.muted:
        return this.#audio(record, stream);
      case RecordKind.clear:
        return this.#clear(stream);
      case RecordKind.mark:
        if (stream.playout !== null) putMark(stream.playout, state.now, readText(record));
        return addEvent(state, 'mark', stream.playout?.queueEnd ?? state.now, { name: readText(record) });
      case RecordKind.markEcho:
        return this.#markEcho(record, stream);
      case RecordKind.dtmf:
        return this.#digit(readFacts(record) as DtmfFacts, stream);
      case RecordKind.clip:
        return this.#clip(readFacts(record) as ClipFacts, stream);
      case RecordKind.clipDone:
        return this.#clipDone(readFacts(record) as ClipDoneFacts, stream);
      case RecordKind.pause:
        return this.#pause(readFacts(record) as PauseFacts);
      case RecordKind.streamEnd:
        return this.#endStream(stream, (readFacts(record) as StreamEndFacts).reason);
      case RecordKind.dropped:
        return this.#dropped(readFacts(record) as DroppedFacts, stream, record.arrivalMs);
      case RecordKind.event: {
        const { type, ...detail } = readFacts(record) as EventFacts;
        return addEvent(state, type, state.now, detail);
      }
      case RecordKind.callStart:
      case RecordKind.streamStart:
      case RecordKind.callEnd:
      case RecordKind.clock:
    }
  }

  #audio(record: TapRecord, stream: StreamState): void {
    const { state } = this;
    // Nobody says anything aloud before the pause has ended: its end is lost, with a part of the journal.
    if (record.kind === RecordKind.audio && state.pause != null) {
      this.#pause({ paused: false });
      // What was left out has moved every stream.
      return this.#audio(record, state.streams.get(record.stream) ?? stream);
    }
    if (record.track === Track.botSent) {
      if (stream.playout !== null) this.#sent(record, stream, stream.playout);
      return;
    }
    placeAudio(state, stream, record);
    stream.lastHeard = Math.max(stream.lastHeard, this.#position(stream, record.arrivalMs));
  }

  #sent(record: TapRecord, stream: StreamState, playout: PlayoutState): void {
    const { state } = this;
    const pcm = sentAudio(stream, playout, record, state.facts.sampleRate);
    const audio = record.kind === RecordKind.muted ? pcm.length : pcm;
    const { lost, muted } = play(playout, state.lanes.botSent, Math.max(state.now, state.final), audio);
    if (lost > 0) addEvent(state, 'provider_queue_full', state.now, { samples: lost });
    if (muted !== null) mute(state, Math.max(muted.from, state.final), muted.to);
  }

  #pause({ paused, mode }: PauseFacts): void {
    if (paused) pause(this.state, mode ?? 'silence');
    else resume(this.state);
    this.#regard();
  }

  #digit(facts: DtmfFacts, stream: StreamState): void {
    const { state } = this;
    stream.lastHeard = state.now;
    const sample = stream.ends.caller ?? state.now;
    const { digit, durationMs } = facts;
    const told = { from: Math.min(sample, state.now), to: Math.max(sample, state.now) };
    if (state.facts.masksDigits === true) maskDigit(state, told, durationMs);
    // One that is pressed in a pause isn't told either, though nothing has to be silenced for it.
    else if (digit !== '') return addEvent(state, 'dtmf', sample, { ...facts });
    addEvent(state, 'dtmf', sample, { durationMs, isMasked: true });
  }

  #clear(stream: StreamState): void {
    const { state } = this;
    if (stream.playout === null) return addEvent(state, 'clear', state.now);
    const cut = clearPlayout(stream.playout, state.lanes.botSent, Math.max(state.now, state.final));
    forgetQueued(state);
    addEvent(state, 'clear', cut);
  }

  #markEcho(record: TapRecord, stream: StreamState): void {
    const { state } = this;
    stream.lastHeard = state.now;
    const name = readText(record);
    const played =
      stream.playout === null
        ? undefined
        : echoMark(stream.playout, state.lanes.botSent, state.now, name, state.final);
    addEvent(state, 'mark_echo', state.now, { name, played: played ?? null });
  }

  #clip(facts: ClipFacts, stream: StreamState): void {
    const { state } = this;
    stream.resamplers.sent = null;
    const started =
      stream.playout !== null &&
      startClip(stream.playout, state.lanes.botSent, Math.max(state.now, state.final), facts);
    forgetQueued(state);
    addEvent(state, started ? 'clip' : 'clip_not_played', state.now, { id: facts.id });
  }

  #clipDone(facts: ClipDoneFacts, stream: StreamState): void {
    const { state } = this;
    stream.lastHeard = state.now;
    if (stream.playout !== null) {
      const least = Math.max(state.final, pausedUpTo(stream));
      finishClip(stream.playout, state.lanes.botSent, state.now, facts, least);
      // One that sounded later may have been moved into the pause.
      passPause(state);
      forgetQueued(state);
    }
    addEvent(state, 'clip_done', state.now, { id: facts.id, playedMs: facts.playedMs });
  }

  #dropped(facts: DroppedFacts, stream: StreamState, untilMs: number): void {
    const { records, sinceMs } = facts;
    const from = loseRecords(this.state, stream, { sinceMs, untilMs, cause: 'dropped_by_reelay' });
    addEvent(this.state, 'dropped_by_reelay', from, { records });
  }

  #endStream(stream: StreamState, reason: StreamState['endReason']): void {
    const { state } = this;
    const perMs = state.facts.sampleRate / 1000;
    const end = endOf(stream, reason, state.now, state.final);
    stream.endSample = end;
    stream.endReason = reason;
    this.#regard();
    const callerEnd = stream.ends.caller ?? stream.startSample;
    // Audio that came late and the end right behind it: as late as the audio, and nothing is missing between the two.
    const quietFrom = this.#position(stream, stream.lastArrivalMs);
    const isFarewell = (from: number): boolean => end - Math.max(from, quietFrom) <= farewellMs * perMs;
    if (isFarewell(callerEnd)) assumeSilence(state, 0, callerEnd, end);
    if (assumesBotSilence(stream)) assumeSilence(state, 1, stream.startSample, end);
    else if (isFarewell(stream.ends.bot ?? callerEnd)) {
      assumeSilence(state, 1, stream.ends.bot ?? callerEnd, end);
    }
    if (this.#live.every((other) => other.playout === null)) eraseLane(state.lanes.botSent, end);
    // Time had gone on when the end was told; the silence behind it is nobody's.
    if (this.#live.length === 0) for (const coverage of state.silence) cutFrom(coverage, this.#ended);
    state.now = Math.max(state.now, end);
    addEvent(state, 'stream_ended', end, { streamId: stream.facts.streamId, reason });
  }

  /** Looks again which streams there are: one began or ended. */
  #regard(): void {
    const all = [...this.state.streams.values()];
    this.#live = liveStreams(this.state);
    // Whose clock tells where the recording stands: the youngest that is live, else the youngest.
    this.#reference = this.#live.at(-1) ?? all.at(-1);
    this.#amendMs = all.reduce((most, { facts }) => Math.max(most, facts.amendMs), 0);
    this.#ended = all.reduce((most, { endSample }) => Math.max(most, endSample ?? 0), 0);
  }

  #position(stream: StreamState, arrivalMs: number): number {
    return positionAt(stream, arrivalMs, this.state.facts.sampleRate / 1000);
  }

  #advanceTo(position: number): void {
    const { state } = this;
    const before = state.now;
    state.now = position;
    passPause(state);
    for (const stream of this.#live) {
      const from = Math.max(stream.startSample, before);
      if (assumesBotSilence(stream)) cover(state.silence[1], from, position);
      if (assumesCallerSilence(stream)) cover(state.silence[0], from, position);
    }
  }

  /** Moves the border of what is final as far as the records allow. */
  #settle(): void {
    const { state } = this;
    const perMs = state.facts.sampleRate / 1000;
    let slowest = state.now;
    for (const stream of this.#live) slowest = Math.min(slowest, slowestTrack(stream));
    const border = Math.max(slowest - this.#amendMs * perMs, state.now - longestWaitMs * perMs);
    // After the last stream's end nobody knows yet whether the call goes on: it may have ended right there.
    const end = this.#live.length > 0 ? Infinity : this.#ended;
    state.final = Math.max(state.final, Math.floor(Math.min(border, end, pauseLimit(state) - 1)));
  }
}
