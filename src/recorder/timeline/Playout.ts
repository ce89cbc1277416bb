import { eraseLane, moveLane, writeLane, type LaneState } from './Lane.js';
import type { Stretch } from './StreamTimeline.js';

/**
 * When the caller hears what the bot sent. A provider queues the bot's audio and plays it in real time, so a piece sounds at
 * max(now, queue end); a clear drops what hasn't sounded; a mark's echo tells where playout really is. All positions are
 * samples of the recording; `now` is the position at which the event arrived here.
 *
 * Pieces are laid into the lane at once, ahead of time, and taken out again by a clear: only what lies behind `now` has
 * been heard.
 */
export interface PlayoutState {
  readonly kind: 'queue' | 'prebuffered' | 'clips';
  /** Samples per ms of the recording. */
  readonly perMs: number;
  /** Position at which the provider's queue runs empty. */
  queueEnd: number;
  /** Raised by every clear; `cut` is where the last one cut. */
  generation: number;
  cut: number;
  /** Estimated time from here to the caller's ear, samples. */
  delay: number;
  readonly marks: PendingMark[];
  /** Differences between echo and model, ms: the recent ones that may correct the model, and all for the manifest. */
  recent: number[];
  readonly errors: number[];
  /** Pre-buffer of jambonz streaming: audio held back until the threshold is reached, in samples. */
  readonly held: SentAudio[];
  heldSamples: number;
  threshold: number;
  readonly laterThreshold: number;
  clips: PendingClip[];
  /** Rate of the clip whose audio comes next, Hz. */
  clipSampleRate: number;
}

/** What the bot sent at once; of what nobody keeps, because it was said in a pause, only how many samples it had. */
export type SentAudio = Int16Array | number;

/** What became of it. */
export interface Played {
  /** Samples that the provider's full queue discarded. */
  readonly lost: number;
  /** Where that is heard of which only the length is known. */
  readonly muted: Stretch | null;
}

interface PendingMark {
  readonly name: string;
  at: number;
  readonly generation: number;
}

interface PendingClip {
  readonly id: string | null;
  start: number;
  end: number;
  /** It was cut while it played: all that is still to come is the provider's word that it ended. */
  killed: boolean;
}

/** Twilio discards what would make its queue longer than about ten minutes (warning 31931). */
const maxQueueMs = 600_000;
/** jambonz keeps a queue of eleven clips and loses further ones. */
const maxClips = 11;
/** jambonz empties its playout buffer at the next tick. */
const tickMs = 20;
/** Echoes that must agree before the model is moved, and the difference that is worth moving it, ms. */
const correctionMarks = 4;
const correctionMs = 15;
const maxErrors = 4096;
/** A provider that never echoes must not make this list grow for ever. */
const maxMarks = 10_000;

export function createPlayout(
  kind: PlayoutState['kind'],
  rates: { readonly recording: number; readonly returned: number; readonly leg: number },
  marksTellPlayout: boolean,
): PlayoutState {
  // The client compares samples of the return rate with 1280 and 640 times this factor.
  const factor = Math.max(1, Math.floor(rates.returned / rates.leg));
  const scale = (factor * rates.recording) / rates.returned;
  return {
    kind,
    perMs: rates.recording / 1000,
    queueEnd: 0,
    generation: 0,
    cut: 0,
    delay: 0,
    marks: [],
    recent: marksTellPlayout ? [] : [NaN],
    errors: [],
    held: [],
    heldSamples: 0,
    threshold: kind === 'prebuffered' ? 1280 * scale : 0,
    laterThreshold: kind === 'prebuffered' ? 640 * scale : 0,
    clips: [],
    clipSampleRate: rates.returned,
  };
}

/** The bot sent audio. Of what is muted the lane gets nothing: the queue alone becomes longer by it. */
export function play(playout: PlayoutState, lane: LaneState, now: number, audio: SentAudio): Played {
  if (playout.kind === 'clips') return playClip(playout, lane, audio);
  if (playout.kind === 'queue') return enqueue(playout, lane, now, audio);
  playout.held.push(typeof audio === 'number' ? audio : audio.slice());
  playout.heldSamples += lengthOf(audio);
  if (playout.heldSamples < playout.threshold) return { lost: 0, muted: null };
  playout.threshold = playout.laterThreshold;
  playout.heldSamples = 0;
  return playout.held
    .splice(0)
    .map((piece) => enqueue(playout, lane, now, piece))
    .reduce(together);
}

function enqueue(playout: PlayoutState, lane: LaneState, now: number, audio: SentAudio): Played {
  const start = Math.max(playout.queueEnd, now + playout.delay);
  const room = Math.max(0, now + maxQueueMs * playout.perMs - start);
  const length = lengthOf(audio);
  const kept = Math.min(length, Math.floor(room));
  playout.queueEnd = start + kept;
  return { lost: length - kept, muted: lay(lane, start, audio, kept) };
}

/** Puts the first `kept` samples into the lane. @returns where they lie, if nobody keeps them */
function lay(lane: LaneState, start: number, audio: SentAudio, kept: number): Stretch | null {
  if (typeof audio === 'number') return { from: start, to: start + kept };
  writeLane(lane, start, kept < audio.length ? audio.subarray(0, kept) : audio);
  return null;
}

function lengthOf(audio: SentAudio): number {
  return typeof audio === 'number' ? audio : audio.length;
}

function together(one: Played, other: Played): Played {
  const both = one.muted !== null && other.muted !== null;
  // Pieces come in the order in which they are heard.
  const muted = both ? { from: one.muted.from, to: other.muted.to } : (one.muted ?? other.muted);
  return { lost: one.lost + other.lost, muted };
}

/** The bot asked to drop what is queued. @returns the position from which on nothing of it is heard */
export function clearPlayout(playout: PlayoutState, lane: LaneState, now: number): number {
  const wait = playout.kind === 'prebuffered' ? tickMs * playout.perMs : playout.delay;
  const cut = Math.round(now + wait);
  eraseLane(lane, cut);
  playout.queueEnd = Math.min(playout.queueEnd, cut);
  playout.generation++;
  playout.cut = cut;
  playout.recent = playout.recent.filter(Number.isNaN);
  // The one that plays is still going to be reported; those that wait never are.
  playout.clips = playout.clips.filter((clip) => clip.start <= now && clip.end > now);
  for (const clip of playout.clips) clip.killed = true;
  return cut;
}

/** The bot put a mark at the end of the queue. */
export function putMark(playout: PlayoutState, now: number, name: string): void {
  const at = Math.max(playout.queueEnd, now + playout.delay);
  playout.marks.push({ name, at, generation: playout.generation });
  if (playout.marks.length > maxMarks) playout.marks.shift();
}

/**
 * The provider echoed a mark. Names repeat, so echoes are matched in order. An echo of a generation that was cleared only
 * acknowledges the clear; one of the running generation measures the model, and several that agree correct it: an echo is
 * late by the way to the ear and the way back, so half of the difference is the delay.
 *
 * @param final - nothing before this position may change
 * @returns whether the mark was reached by playout, or undefined when no such mark is pending
 */
export function echoMark(
  playout: PlayoutState,
  lane: LaneState,
  now: number,
  name: string,
  final: number,
): boolean | undefined {
  const index = playout.marks.findIndex((mark) => mark.name === name);
  const mark = playout.marks[index];
  if (mark === undefined) return undefined;
  playout.marks.splice(0, index + 1);
  if (mark.generation !== playout.generation) return mark.at < playout.cut;
  const errorMs = (now - mark.at) / playout.perMs;
  if (playout.errors.length < maxErrors) playout.errors.push(errorMs);
  if (Number.isNaN(playout.recent[0])) return true;
  playout.recent = [...playout.recent.slice(1 - correctionMarks), errorMs];
  if (playout.recent.length === correctionMarks) correct(playout, lane, now, final);
  return true;
}

function correct(playout: PlayoutState, lane: LaneState, now: number, final: number): void {
  const least = Math.min(...playout.recent);
  const most = Math.max(...playout.recent);
  // All late: the echo took the way to the ear, of which the model knows `delay`, and the way back, taken for as long.
  // All early: the model has audio in the queue that the provider has not.
  const lateMs = least > 0 ? (least - playout.delay / playout.perMs) / 2 : most < 0 ? most : 0;
  if (Math.abs(lateMs) < correctionMs) return;
  const shift = Math.round(lateMs * playout.perMs);
  const from = Math.max(now, final);
  const to = Math.max(from + shift, final);
  if (playout.queueEnd > from) {
    moveLane(lane, shift > 0 ? from : from - shift, shift > 0 ? to : from);
    playout.queueEnd = Math.max(playout.queueEnd + shift, from);
  }
  for (const mark of playout.marks) mark.at = Math.max(mark.at + shift, from);
  playout.delay = Math.min(Math.max(0, playout.delay + shift), Math.round(500 * playout.perMs));
  playout.recent = [];
}

/** The bot sent a clip; its audio follows. @returns false when the provider's queue of clips is full and it will not sound */
export function startClip(
  playout: PlayoutState,
  lane: LaneState,
  now: number,
  clip: { readonly id: string | null; readonly queued: boolean; readonly sampleRate: number },
): boolean {
  if (clip.queued) {
    const waiting = playout.clips.filter((each) => each.end > now && !each.killed);
    if (waiting.length > maxClips) return false;
  } else {
    clearPlayout(playout, lane, now);
  }
  const start = Math.max(playout.queueEnd, Math.round(now));
  playout.clips.push({ id: clip.id, start, end: start, killed: false });
  playout.clipSampleRate = clip.sampleRate;
  playout.queueEnd = start;
  return true;
}

function playClip(playout: PlayoutState, lane: LaneState, audio: SentAudio): Played {
  const clip = playout.clips.at(-1);
  const length = lengthOf(audio);
  if (clip === undefined) return { lost: length, muted: null };
  const start = clip.end;
  clip.end += length;
  playout.queueEnd = clip.end;
  return { lost: 0, muted: lay(lane, start, audio, length) };
}

/**
 * The provider finished or killed a clip: what of it lies ahead is not heard; one that sounded later is moved there.
 *
 * @param least - nothing before this position may change
 */
export function finishClip(
  playout: PlayoutState,
  lane: LaneState,
  now: number,
  done: { readonly id: string | null; readonly playedMs: number | null },
  least: number,
): void {
  const index = done.id === null ? 0 : playout.clips.findIndex((clip) => clip.id === done.id);
  const clip = playout.clips[index];
  if (clip === undefined) return;
  playout.clips.splice(0, index + 1);
  if (clip.killed) return;
  const end = Math.round(now);
  const start = done.playedMs === null ? null : Math.round(end - done.playedMs * playout.perMs);
  if (start !== null && start - clip.start > tickMs * playout.perMs && clip.start >= least) {
    moveLane(lane, clip.start, start);
    for (const later of playout.clips) {
      later.start += start - clip.start;
      later.end += start - clip.start;
    }
    playout.queueEnd += start - clip.start;
  }
  if (clip.end > end && playout.clips.length === 0) {
    eraseLane(lane, Math.max(end, least));
    playout.queueEnd = Math.min(playout.queueEnd, end);
  }
}
