import { kernels } from '../../audio/kernels.js';
import type { Channel, Gap } from '../../spool/Manifest.js';
import { cover, missing, type Coverage } from './Coverage.js';
import { silenceDigits } from './DigitMask.js';
import { layLane } from './Lane.js';
import { mixRoom, roomGaps } from './renderRoom.js';
import type { TimelineState } from './TimelineState.js';
import { certain, named, union } from './unrecorded.js';

/** The channels of a recording, in the order in which they are interleaved. */
export function channelsOf(state: TimelineState): readonly Channel[] {
  // The first stream decides: a file cannot change its shape when a later one is of another kind.
  const summed = state.streams.values().next().value?.facts.tracks.includes('mixed');
  return state.facts.channels === 'mixed' || summed === true || state.room !== undefined
    ? [{ role: 'mixed' }]
    : [{ role: 'caller' }, { role: 'bot' }];
}

/** Both parties of whatever is rendered, one behind the other; used again, since every call is rendered every second or so. */
let parties = new Int16Array(0);
/** What was rendered; used again for the same reason: V8 looks through the whole heap for every 32 MiB of arrays that are made. */
let rendered = new Int16Array(0);

/**
 * The audio of `[from, to)`, channels interleaved, 16 bit, in an array that is used again for the next.
 *
 * @param from - not before what the timeline was last trimmed to
 */
export function render(state: TimelineState, channels: number, from: number, to: number): Int16Array {
  if (state.room !== undefined) return mixRoom(state.room, from, to);
  const length = Math.max(0, to - from);
  if (parties.length < 2 * length) parties = new Int16Array(2 * length);
  const [caller, bot] = [parties.subarray(0, length), parties.subarray(length, 2 * length)];
  parties.fill(0, 0, 2 * length);
  const { lanes } = state;
  layLane(lanes.caller, from, to, caller, false);
  layLane(lanes.callerTap, from, to, caller, false);
  silenceDigits(state, from, caller);
  layLane(lanes.botSent, from, to, bot, false);
  layLane(lanes.botHeard, from, to, bot, state.heard === 'adds');
  if (rendered.length < length * channels) rendered = new Int16Array(length * channels);
  const out = rendered.subarray(0, length * channels);
  if (channels === 1) kernels.mix(caller, bot, out);
  else kernels.interleave(caller, bot, out);
  return out;
}

/** What of `[from, to)` is not recorded, and why; sorted by channel and position. */
export function gapsWithin(state: TimelineState, channels: number, from: number, to: number): Gap[] {
  if (state.room !== undefined) return roomGaps(state, state.room, from, to);
  const caller = missing(callerCoverage(state, from, to), from, to);
  const bot = missing(botCoverage(state, from, to), from, to);
  if (channels === 2) return [...named(state.causes, 0, caller), ...named(state.causes, 1, bot)];
  const either: Coverage = [];
  for (const parts of [caller, bot]) {
    for (let i = 0; i < parts.length; i += 2) cover(either, parts[i] ?? 0, parts[i + 1] ?? 0);
  }
  return named(state.causes, 0, either);
}

function callerCoverage(state: TimelineState, from: number, to: number): Coverage {
  const { caller, callerTap } = state.lanes;
  return union([caller.coverage, callerTap.coverage, knownSilence(state, 0, from, to)], from, to);
}

function botCoverage(state: TimelineState, from: number, to: number): Coverage {
  const { botHeard, botSent } = state.lanes;
  return union([botHeard.coverage, botSent.coverage, knownSilence(state, 1, from, to)], from, to);
}

function knownSilence(state: TimelineState, channel: 0 | 1, from: number, to: number): Coverage {
  return certain(state.silence[channel], state.causes, from, to);
}
