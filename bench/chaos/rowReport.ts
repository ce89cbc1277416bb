import type { Arm } from './Fault.js';
import { LogHistogram } from '../LogHistogram.js';
import { type Estimate, excess, median, ratio } from '../PairedFigures.js';
import type { Pair, RowResult } from './RowRun.js';

/** What latency under a fault may be: p99 at most `factor` times the calm one, or `slackMs` more, whichever is more. */
export interface LatencyBound {
  readonly factor: number;
  readonly slackMs: number;
}

export interface RowVerdict {
  readonly lines: readonly string[];
  /** Frames, order and gaps, and that the fault happened. */
  readonly isWhole: boolean;
  /** The bound of latency holds. */
  readonly isInTime: boolean;
}

/** A row as people read it. */
export function rowReport(result: RowResult, bound: LatencyBound, judgesTime: boolean): RowVerdict {
  const { name, pairs, calls, lostFrames, reorderedFrames, evidence, problems } = result;
  const p99 = pairs.map(({ calm, fault }) => ({
    base: calm.relay.quantile(0.99),
    other: fault.relay.quantile(0.99),
  }));
  const over = excess(p99, bound.factor, bound.slackMs);
  const isInTime = over.value <= 0;
  const gaps = [...result.gaps].map(([cause, samples]) => `${samples} in gaps ${cause}`);
  const losses = `${result.lostSamples} samples missing, ${gaps.length === 0 ? 'no gaps' : gaps.join(', ')}`;
  const lines = [
    `${name}: ${problems.length === 0 ? 'whole' : `${problems.length} PROBLEMS`}, ${isInTime ? 'in time' : judgesTime ? 'LATE' : 'late (not judged)'}`,
    `  relay, ms     p50 ${shift(pairs, 0.5)}   p99 ${shift(pairs, 0.99)}   p99.9 ${shift(pairs, 0.999)}   max ${shift(pairs, 1)}`,
    `  p99           × ${told(ratio(p99))}; beyond its bound by ${told(over)} ms`,
    `  generator, ms late at p99 ${shift(pairs, 0.99, 'lateness')}, max ${shift(pairs, 1, 'lateness')}`,
    `  frames        ${lostFrames} lost, ${reorderedFrames} out of order, of ${calls} calls`,
    `  recordings    ${losses}`,
    `  fault         ${evidence}`,
    ...problems.slice(0, 8).map((problem) => `  PROBLEM       ${problem}`),
  ];
  return { lines, isWhole: problems.length === 0, isInTime };
}

/** The median over the pairs, calm → fault; for the maximum, the largest of all. */
function shift(pairs: readonly Pair[], share: number, what: 'relay' | 'lateness' = 'relay'): string {
  const figure = (arm: Arm): number =>
    share === 1
      ? new LogHistogram([], Math.max(...pairs.map((pair) => pair[arm][what].max))).max / 1000
      : median(pairs.map((pair) => pair[arm][what].quantile(share)));
  return `${figure('calm').toFixed(2)} → ${figure('fault').toFixed(2)}`;
}

function told({ value, low, high }: Estimate): string {
  const interval = Number.isNaN(low) ? '' : ` [${low.toFixed(2)}, ${high.toFixed(2)}]`;
  return value.toFixed(2) + interval;
}
