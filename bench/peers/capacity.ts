import { median } from '../PairedFigures.js';
import type { Run, Timing } from './measure.js';
import { type Capacity, isOverloaded, type Row } from './Row.js';
import { saturation, type Saturation } from './saturation.js';

const timing: Timing = { settleMs: 8000, windowMs: 2000, drainMs: 2000 };
const least = 5;
const precision = 0.04;
/** For one search, ms. What is found by then counts, and says so. */
export const searchMs = 240_000;
/** Where nothing is known yet. */
const firstGuess = 100;

export interface CapacityOrder {
  readonly dialect: Run['dialect'];
  /** So many calls, once. */
  readonly run: (calls: number, timing: Timing) => Promise<Run>;
  /** The most calls that are tried. */
  readonly most: number;
  /** Searches for each subject. */
  readonly searches: number;
  /** Of the subject, as far as there are any: they say where to begin. */
  readonly rows: readonly Row[];
}

/**
 * Looks for the number of calls at which p99 reaches the length of a frame, or something goes wrong. Where that was only beside the live path, it
 * looks on for how many that relays in time.
 */
export async function capacityOf(subject: string, order: CapacityOrder): Promise<Capacity> {
  const { dialect, searches, most } = order;
  const found: Saturation[] = [];
  const held: Run[] = [];
  const problems: string[] = [];
  let relayed = 0;
  const attempt = async (calls: number): Promise<Run> => {
    const run = await order.run(calls, timing);
    if (run.isRelayed) relayed = Math.max(relayed, calls);
    return run;
  };
  const probe = async (calls: number): Promise<boolean> => {
    const run = await attempt(calls);
    if (run.isOverloaded) return false;
    problems.push(...run.problems.map((problem) => `${calls} calls: ${problem}`));
    held.push(run);
    return run.problems.length === 0;
  };
  // A machine that others use too is late now and then: a number fails when it does so twice.
  const twice = (isHeld: (calls: number) => Promise<boolean>) => async (calls: number) =>
    (await isHeld(calls)) || (await isHeld(calls));
  let first = guess(order.rows);
  for (let search = 0; search < searches; search += 1) {
    const untilMs = performance.now() + searchMs;
    const hasTime = (): boolean => performance.now() < untilMs;
    found.push(await saturation(twice(probe), { first, least, most, precision, hasTime }));
    const { holds = 0 } = found.at(-1) ?? {};
    if (holds > 0) first = holds;
  }
  const holds = median(found.map((each) => each.holds));
  if (relayed > holds) {
    const untilMs = performance.now() + searchMs;
    const hasTime = (): boolean => performance.now() < untilMs;
    const isRelayed = twice(async (calls) => (await attempt(calls)).isRelayed);
    await saturation(isRelayed, { first: Math.ceil(relayed * 1.1), least, most, precision, hasTime });
  }
  return {
    subject,
    dialect,
    found,
    holds,
    relays: Math.max(holds, relayed),
    perCoreOfAll: perCoreOfAll(order.rows, held),
    problems,
  };
}

/**
 * Calls for each core of everything that a subject uses, under the most calls that it held. A row says it better than a run of a search, which is
 * over before a chunk has been sealed and stored.
 *
 * @param held - runs of the search that were
 * @returns NaN when none was held
 */
export function perCoreOfAll(rows: readonly Row[], held: readonly Run[]): number {
  const row = largestHeld(rows);
  if (row !== undefined) return row.calls / row.allShare.median;
  const run = [...held].sort((a, b) => a.calls - b.calls).at(-1);
  return run === undefined ? NaN : run.calls / run.share.all;
}

function largestHeld(rows: readonly Row[]): Row | undefined {
  return (
    rows
      // What drops audio records fewer calls than it has.
      .filter((row) => !isOverloaded(row) && row.problems.length === 0)
      .sort((a, b) => a.calls - b.calls)
      .at(-1)
  );
}

/** What the CPU of the largest row that was held allows, less what is needed to be in time. */
function guess(rows: readonly Row[]): number {
  const largest = largestHeld(rows);
  if (largest !== undefined) return Math.floor((0.9 * largest.calls) / largest.liveShare.median);
  const fewest = Math.min(...rows.map(({ calls }) => calls));
  return Number.isFinite(fewest) ? Math.floor(fewest / 2) : firstGuess;
}
