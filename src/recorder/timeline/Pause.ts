import type { Gap } from '../../spool/Manifest.js';
import type { PauseMode } from '../../tap/TapRecord.js';
import { cutFrom, missing } from './Coverage.js';
import { eraseLane, moveLane } from './Lane.js';
import type { PlayoutState } from './Playout.js';
import { slowestTrack, type StreamState, type Stretch } from './StreamTimeline.js';
import { skipInLanes } from './RoomState.js';
import { addEvent, liveStreams, nowhere, type KnownCause, type TimelineState } from './TimelineState.js';

/**
 * A pause that somebody asked for: nothing that sounds while it lasts is in the recording. With `silence` the recording goes on
 * meanwhile, and the pause is a gap of its length; with `skip` it stands still, and the gap has a length of none and says how much was
 * left out there. What the bot had said before and would have been heard in the pause isn't, either; what of it is heard behind the
 * pause is.
 */
export interface PauseState {
  /** Where it began, and up to where everything said before had come by then. */
  readonly from: number;
  readonly heard: number;
  readonly mode: PauseMode;
}

/** Samples that were left out at a position. */
export interface Skip {
  readonly at: number;
  readonly samples: number;
}

export function pause(state: TimelineState, mode: PauseMode): void {
  if (pauseOf(state) !== null) return;
  const from = Math.max(state.now, state.final);
  const heard = Math.min(from, ...liveStreams(state).map(slowestTrack));
  state.pause = { from, heard, mode };
  eraseReceived(state, from);
  state.causes.push({ from, to: nowhere, cause: 'paused' });
  addEvent(state, 'paused', from, { mode });
}

/** Time has come to `state.now`: what of the bot's queue has been heard in the running pause isn't in the recording. */
export function passPause(state: TimelineState): void {
  const paused = pauseOf(state);
  if (paused !== null) eraseLane(state.lanes.botSent, paused.from, state.now);
}

export function resume(state: TimelineState): void {
  const skippedSamples = endPause(state);
  if (skippedSamples !== null)
    addEvent(state, 'resumed', state.now, skippedSamples > 0 ? { skippedSamples } : {});
}

/**
 * Ends the pause with or without the recording.
 *
 * @returns samples that were left out; null where there was none
 */
export function endPause(state: TimelineState): number | null {
  const paused = pauseOf(state);
  if (paused === null) return null;
  const { from, heard, mode } = paused;
  passPause(state);
  state.pause = null;
  // What was on its way when it began came in it, or wasn't to be placed any more.
  if (heard < from) state.causes.push({ from: Math.max(heard, state.final), to: from, cause: 'paused' });
  // What the bot said in the pause is still being played behind it, and behind what it had said before.
  const to = missing(state.lanes.botSent.coverage, state.now, queuedUpTo(state)).at(-1) ?? state.now;
  const isThis = (each: KnownCause): boolean =>
    each.cause === 'paused' && each.from === from && each.to === nowhere;
  replace(state.causes, (each) => (isThis(each) ? { ...each, to } : each));
  for (const stream of liveStreams(state)) hush(stream, { from, to: state.now }, state.final);
  const left = mode === 'skip' ? state.now - from : 0;
  if (left > 0) takeOut(state, from, left);
  return left;
}

/** The bot's queue may have become shorter: what it had said in a pause that is over, and isn't in there any more, isn't heard. */
export function forgetQueued(state: TimelineState): void {
  const end = Math.max(queuedUpTo(state), state.final);
  replace(state.causes, (each) =>
    each.cause === 'paused' && each.to !== nowhere && each.to > end
      ? { ...each, to: Math.max(each.from, end) }
      : each,
  );
}

/**
 * Up to where what is known may be shown: behind that it isn't known yet where it will lie. What is final ends a sample before it,
 * since the chunk that ends there is the one to say how much was left out.
 */
export function pauseLimit(state: TimelineState): number {
  const paused = pauseOf(state);
  return paused?.mode === 'skip' ? paused.from : Infinity;
}

/** Audio of `[from, to)` came of which only that is known: it was said in a pause, whether or not it is heard in it. */
export function mute(state: TimelineState, from: number, to: number): void {
  const paused = pauseOf(state);
  const until = Math.min(to, paused?.from ?? Infinity);
  if (until <= from) return;
  const last = state.causes.at(-1);
  const goesOn = last?.cause === 'paused' && last.from <= from && last.to >= from && last.to !== nowhere;
  if (goesOn) state.causes[state.causes.length - 1] = { ...last, to: Math.max(last.to, until) };
  // Before the one that has no end, since the first that fits gives the reason.
  else state.causes.push({ from, to: until, cause: 'paused' });
}

/** Wall clock of a position, ms since the Unix epoch: what was left out at it lies before it. */
export function callTimeMs({ facts, skips = [] }: TimelineState, position: number): number {
  const skipped = skips.reduce((sum, { at, samples }) => (at <= position ? sum + samples : sum), 0);
  return facts.wallClockMs + ((position + skipped) / facts.sampleRate) * 1000;
}

/** What was left out, as gaps without a length. */
export function skipGaps({ skips = [] }: TimelineState, channels: number): Gap[] {
  return skips.flatMap(({ at, samples }) =>
    Array.from({ length: channels }, (_, channel) => ({
      channel,
      startSample: at,
      samples: 0,
      cause: 'paused' as const,
      skippedSamples: samples,
    })),
  );
}

/** Where a stream's last pause ended, as long as that is known: what was heard before stays where it is. */
export function pausedUpTo({ hushed = [] }: StreamState): number {
  return hushed.reduce((most, { to }) => Math.max(most, to), 0);
}

/** Whether what a stream says at a position was said in a pause that is over. */
export function isHushed({ hushed = [] }: StreamState, position: number): boolean {
  return hushed.some(({ from, to }) => from <= position && position < to);
}

function pauseOf(state: TimelineState): PauseState | null {
  return state.pause ?? null;
}

/** Position at which the bot has nothing more to be heard. */
function queuedUpTo(state: TimelineState): number {
  return liveStreams(state).reduce((most, { playout }) => Math.max(most, playout?.queueEnd ?? 0), state.now);
}

/** Of what the provider delivered nothing is kept from `from` on. */
function eraseReceived({ lanes, room }: TimelineState, from: number): void {
  for (const lane of [lanes.caller, lanes.callerTap, lanes.botHeard]) eraseLane(lane, from);
  for (const { audio } of room?.lanes.values() ?? []) eraseLane(audio, from);
}

/** Whatever lies behind `from` moves back by `samples`, and what lay between isn't there. */
function takeOut(state: TimelineState, from: number, samples: number): void {
  const back = (position: number): number =>
    position <= from || position === nowhere ? position : Math.max(from, position - samples);
  state.skips = [...(state.skips ?? []), { at: from, samples }];
  eraseReceived(state, from);
  moveLane(state.lanes.botSent, from + samples, from);
  for (const coverage of state.silence) cutFrom(coverage, from);
  if (state.room !== undefined) skipInLanes(state.room, from, back);
  state.masks = (state.masks ?? []).map((each) => ({ from: back(each.from), to: back(each.to) }));
  replace(state.causes, (each) => ({ ...each, from: back(each.from), to: back(each.to) }));
  replace(state.events, (each) => ({ ...each, sample: back(each.sample) }));
  for (const [number, stream] of state.streams) state.streams.set(number, moved(stream, back, samples, from));
  state.now = back(state.now);
}

function hush(stream: StreamState, stretch: Stretch, final: number): void {
  stream.hushed = [...(stream.hushed ?? []).filter(({ to }) => to > final), stretch];
}

/** @param now - where the recording stands when all is moved */
function moved(
  stream: StreamState,
  back: (position: number) => number,
  samples: number,
  now: number,
): StreamState {
  const { ends, idle } = stream;
  return {
    ...stream,
    startSample: back(stream.startSample),
    base: stream.base - samples,
    // As far behind the clock as before, perhaps by a frame before the pause: that much of the next audio was said in it.
    ends: {
      ...(ends.caller === undefined ? {} : { caller: ends.caller - samples }),
      ...(ends.bot === undefined ? {} : { bot: ends.bot - samples }),
    },
    lastHeard: back(stream.lastHeard),
    // What was said before the pause and comes now would be taken for as much earlier as the pause was long, or before the beginning.
    hushed: [{ from: -nowhere, to: now }],
    // Whether that is late or lost shows behind the pause, too.
    idle: idle === null ? null : { ...idle, at: back(idle.at) },
    drift: null,
    lost: { caller: null, bot: null },
    playout: stream.playout === null ? null : playoutMoved(stream.playout, back),
    endSample: stream.endSample === null ? null : back(stream.endSample),
  };
}

function playoutMoved(playout: PlayoutState, back: (position: number) => number): PlayoutState {
  const marks = playout.marks.map((mark) => ({ ...mark, at: back(mark.at) }));
  const clips = playout.clips.map((clip) => ({ ...clip, start: back(clip.start), end: back(clip.end) }));
  return { ...playout, queueEnd: back(playout.queueEnd), cut: back(playout.cut), marks, clips };
}

function replace<T>(list: T[], change: (each: T) => T): void {
  for (const [index, each] of list.entries()) list[index] = change(each);
}
