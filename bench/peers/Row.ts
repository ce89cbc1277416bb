import { type Estimate, median, type Paired, ratio } from '../PairedFigures.js';
import type { Run } from './measure.js';
import type { Saturation } from './saturation.js';

/** A figure of several runs. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** One subject at one number of calls. */
export interface Row {
  readonly subject: string;
  readonly dialect: Run['dialect'];
  readonly calls: number;
  readonly runs: number;
  readonly liveUs: Spread;
  readonly allUs: Spread;
  /** Of a core. */
  readonly liveShare: Spread;
  readonly allShare: Spread;
  /** ms */
  readonly p50: Spread;
  readonly p99: Spread;
  readonly p999: Spread;
  /** Against the base in the same round: CPU of the live path per frame, and p99. Null without a base. */
  readonly cpuRatio: Estimate | null;
  readonly p99Ratio: Estimate | null;
  /** p99 of how late the load itself was, ms, and the share of the live path's processor that something else took. */
  readonly lateness: Spread;
  readonly others: Spread;
  /** Runs with more calls than it holds. */
  readonly overloaded: number;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** How many calls a subject holds, and what that means for all that it uses. */
export interface Capacity {
  readonly subject: string;
  readonly dialect: Run['dialect'];
  /** Of each search; the median counts. */
  readonly found: readonly Saturation[];
  readonly holds: number;
  /** The most calls that it relayed in time and whole, whether or not what runs beside that kept up: recording, of reelay. */
  readonly relays: number;
  /** Calls for each core of everything that it uses, under the most calls that it held. */
  readonly perCoreOfAll: number;
  readonly problems: readonly string[];
}

/**
 * All runs of one subject at one number of calls.
 *
 * @param runs - by round; null: it wasn't run in that round
 * @param base - of the subject that it is compared with
 */
export function rowOf(runs: readonly (Run | null)[], base: readonly (Run | null)[]): Row {
  const done = runs.filter((run) => run !== null);
  const [first] = done;
  if (first === undefined) throw new Error('a row has runs');
  const spread = (pick: (run: Run) => number): Spread => spreadOf(done.map(pick));
  const against = (pick: (run: Run) => number): Estimate | null => {
    const pairs = runs.flatMap((run, round): Paired[] => {
      const other = base[round] ?? null;
      return run === null || other === null ? [] : [{ base: pick(other), other: pick(run) }];
    });
    return pairs.length === 0 ? null : ratio(pairs);
  };
  return {
    subject: first.subject,
    dialect: first.dialect,
    calls: first.calls,
    runs: done.length,
    liveUs: spread(({ liveUs }) => liveUs),
    allUs: spread(({ allUs }) => allUs),
    liveShare: spread(({ share }) => share.live),
    allShare: spread(({ share }) => share.all),
    p50: spread(({ p50 }) => p50),
    p99: spread(({ p99 }) => p99),
    p999: spread(({ p999 }) => p999),
    cpuRatio: against(({ liveUs }) => liveUs),
    p99Ratio: against(({ p99 }) => p99),
    lateness: spread(({ lateness }) => lateness),
    others: spread(({ others }) => others),
    overloaded: done.filter(({ isOverloaded }) => isOverloaded).length,
    problems: done.flatMap(({ problems }) => problems),
    notes: [...new Set(done.flatMap(({ notes }) => notes))],
  };
}

/** Most of its runs were more than it holds. */
export function isOverloaded({ runs, overloaded }: Row): boolean {
  return 2 * overloaded > runs;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}
