import { kernels } from '../../audio/kernels.js';
import type { Channel, Gap, GapCause } from '../../spool/Manifest.js';
import { cover, missing, within, type Coverage } from './Coverage.js';
import { layLane } from './Lane.js';
import type { TimelineState } from './TimelineState.js';

/** The channels of a recording, in the order in which they are interleaved. */
export function channelsOf(state: TimelineState): readonly Channel[] {
  const summed = [...state.streams.values()].some((stream) => stream.facts.tracks.includes('mixed'));
  return state.facts.channels === 'mixed' || summed
    ? [{ role: 'mixed' }]
    : [{ role: 'caller' }, { role: 'bot' }];
}

/**
 * The audio of `[from, to)`, channels interleaved, 16 bit.
 *
 * @param from - not before what the timeline was last trimmed to
 */
export function render(state: TimelineState, channels: number, from: number, to: number): Int16Array {
  const length = Math.max(0, to - from);
  const caller = new Int16Array(length);
  const bot = new Int16Array(length);
  const { lanes } = state;
  layLane(lanes.caller, from, to, caller, false);
  layLane(lanes.callerTap, from, to, caller, false);
  layLane(lanes.botSent, from, to, bot, false);
  layLane(lanes.botHeard, from, to, bot, state.heard === 'adds');
  if (channels === 1) {
    kernels.mix(caller, bot, caller);
    return caller;
  }
  const out = new Int16Array(length * 2);
  kernels.interleave(caller, bot, out);
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

function callerCoverage(state: TimelineState, from: number, to: number): Coverage {
  const { lanes, silence } = state;
  return union([lanes.caller.coverage, lanes.callerTap.coverage, silence[0]], from, to);
}

/** Where reelay dropped records, nobody knows whether the bot was silent: only what is there counts. */
function botCoverage(state: TimelineState, from: number, to: number): Coverage {
  const { lanes, silence, causes } = state;
  const dropped: Coverage = [];
  for (const each of causes) if (each.cause === 'dropped_by_reelay') cover(dropped, each.from, each.to);
  const known: Coverage = [];
  const sure = missing(dropped, from, to);
  for (let i = 0; i < sure.length; i += 2) {
    known.push(...within(silence[1], sure[i] ?? 0, sure[i + 1] ?? 0));
  }
  return union([lanes.botHeard.coverage, lanes.botSent.coverage, known], from, to);
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
      const here = state.causes.find((each) => each.from <= position && position < each.to);
      const next = state.causes.filter((each) => each.from > position).map((each) => each.from);
      const until = Math.min(end, here?.to ?? Math.min(...next, Infinity));
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
