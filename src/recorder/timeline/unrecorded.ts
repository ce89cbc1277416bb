import type { Gap, GapCause } from '../../spool/Manifest.js';
import { cover, missing, within, type Coverage } from './Coverage.js';
import type { KnownCause } from './TimelineState.js';

/** What isn't recorded of a timeline, and why. */

const unheard: readonly GapCause[] = ['dropped_by_reelay', 'journal_damaged', 'paused'];

/** Where reelay dropped or lost records, or kept none, nobody knows whether a party was silent: only what is there counts. */
export function certain(
  silence: Coverage,
  causes: readonly KnownCause[],
  from: number,
  to: number,
): Coverage {
  const dropped: Coverage = [];
  for (const each of causes) {
    if (unheard.includes(each.cause)) cover(dropped, each.from, each.to);
  }
  const known: Coverage = [];
  const sure = missing(dropped, from, to);
  for (let i = 0; i < sure.length; i += 2) {
    known.push(...within(silence, sure[i] ?? 0, sure[i + 1] ?? 0));
  }
  return known;
}

/** What of `[from, to)` is in any of them. */
export function union(coverages: readonly Coverage[], from: number, to: number): Coverage {
  const all: Coverage = [];
  for (const coverage of coverages) {
    const parts = within(coverage, from, to);
    for (let i = 0; i < parts.length; i += 2) cover(all, parts[i] ?? 0, parts[i + 1] ?? 0);
  }
  return all;
}

/** Cuts intervals at the borders of the known causes; what none explains was lost by the provider. */
export function named(causes: readonly KnownCause[], channel: number, parts: Coverage): Gap[] {
  const gaps: Gap[] = [];
  for (let i = 0; i < parts.length; i += 2) {
    let position = parts[i] ?? 0;
    const end = parts[i + 1] ?? 0;
    while (position < end) {
      const at = causes.findIndex((each) => each.from <= position && position < each.to);
      const here = causes[at];
      // One that was known earlier goes before, from where it begins: wherever the interval is cut, each part has the same name.
      const before = at < 0 ? causes : causes.slice(0, at);
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
