import { kernels } from '../../audio/kernels.js';
import type { Channel, Gap, GapCause } from '../../spool/Manifest.js';
import { cover, missing, within, type Coverage } from './Coverage.js';
import { silenceDigits } from './DigitMask.js';
import { layLane } from './Lane.js';
import type { TimelineState } from './TimelineState.js';

/** The channels of a recording, in the order in which they are interleaved. */
export function channelsOf(state: TimelineState): readonly Channel[] {
  // The first stream decides: a file cannot change its shape when a later one is of another kind.
  const summed = state.streams.values().next().value?.facts.tracks.includes('mixed');
  return state.facts.channels === 'mixed' || summed === true
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
  const caller = missing(callerCoverage(state, from, to), from, to);
  const bot = missing(botCoverage(state, from, to), from, to);
  if (channels === 2) return [...named(state, 0, caller), ...named(state, 1, bot)];
  const either: Coverage = [];
  for (const parts of [caller, bot]) {
    for (let i = 0; i < parts.length; i += 2) cover(either, parts[i] ?? 0, parts[i + 1] ?? 0);
  }
  return named(state, 0, either);
}

const unheard: readonly GapCause[] = ['dropped_by_reelay', 'journal_damaged', 'paused'];

function callerCoverage(state: TimelineState, from: number, to: number): Coverage {
  const { caller, callerTap } = state.lanes;
  return union([caller.coverage, callerTap.coverage, knownSilence(state, 0, from, to)], from, to);
}

function botCoverage(state: TimelineState, from: number, to: number): Coverage {
  const { botHeard, botSent } = state.lanes;
  return union([botHeard.coverage, botSent.coverage, knownSilence(state, 1, from, to)], from, to);
}

/** Where reelay dropped or lost records, or kept none, nobody knows whether a party was silent: only what is there counts. */
function knownSilence(state: TimelineState, channel: 0 | 1, from: number, to: number): Coverage {
  const dropped: Coverage = [];
  for (const each of state.causes) {
    if (unheard.includes(each.cause)) cover(dropped, each.from, each.to);
  }
  const known: Coverage = [];
  const sure = missing(dropped, from, to);
  for (let i = 0; i < sure.length; i += 2) {
    known.push(...within(state.silence[channel], sure[i] ?? 0, sure[i + 1] ?? 0));
  }
  return known;
}

function union(coverages: readonly Coverage[], from: number, to: number): Coverage {
  const all: Coverage = [];
  for (const coverage of coverages) {
    const parts = within(coverage, from, to);
    for (let i = 0; i < parts.length; i += 2) cover(all, parts[i] ?? 0, parts[i + 1] ?? 0);
  }
  return all;
}

/** Cuts intervals at the borders of the known causes; what none explains was lost by the provider. */
function named(state: TimelineState, channel: number, parts: Coverage): Gap[] {
  const gaps: Gap[] = [];
  for (let i = 0; i < parts.length; i += 2) {
    let position = parts[i] ?? 0;
    const end = parts[i + 1] ?? 0;
    while (position < end) {
      const at = state.causes.findIndex((each) => each.from <= position && position < each.to);
      const here = state.causes[at];
      // One that was known earlier goes before, from where it begins: wherever the interval is cut, each part has the same name.
      const before = at < 0 ? state.causes : state.causes.slice(0, at);
      const next = before.filter((each) => each.from > position).map((each) => each.from);
      const until = Math.min(end, here?.to ?? Infinity, ...next);
      append(gaps, channel, position, until, here?.cause ?? 'lost_by_provider');
      position = until;
    }
  }
  return gaps;
}

function append(gaps: Gap[], channel: number, from: number, to: number, cause: GapCause): void {
  const last = gaps.at(-1);
  if (last?.cause === cause && last.startSample + last.samples === from) {
    gaps[gaps.length - 1] = { ...last, samples: to - last.startSample };
  } else gaps.push({ channel, startSample: from, samples: to - from, cause });
}
