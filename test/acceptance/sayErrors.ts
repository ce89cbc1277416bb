import type { Test } from 'tap';
import { medianBoundMs, p99BoundMs, type Judgement } from './Oracle.js';

/** Says how far one call's audio was off. */
export function sayErrors(t: Test, { botErrorsMs, callerErrorsMs, cutErrorsMs }: Judgement): void {
  const parties = { bot: botErrorsMs, caller: callerErrorsMs };
  for (const [party, errors] of Object.entries(parties))
    if (errors.length > 0) t.comment(`${party}: ${told(errors)}`);
  if (cutErrorsMs.length > 0) t.comment(`at cuts: ${cutErrorsMs.map((ms) => ms.toFixed(1)).join(', ')} ms`);
}

/**
 * Holds the position errors of many calls, taken together, against the bounds.
 *
 * @param lateMs - how late the simulators' stamps may be themselves; on a machine that does nothing else, a few ms
 * @param hiddenMs - what the provider hides of its playout
 */
export function boundErrors(t: Test, errors: readonly number[], lateMs: number, hiddenMs = 0): void {
  const [median, p99] = [medianBoundMs + hiddenMs, p99BoundMs + hiddenMs + lateMs];
  t.ok(errors.length > 1000, 'there is enough to judge by');
  t.comment(`${told(errors)}; stamps up to ${lateMs.toFixed(1)} ms late`);
  t.ok(quantile(errors, 0.5) <= median, `median within ${median} ms`);
  t.ok(quantile(errors, 0.99) <= p99, `p99 within ${p99.toFixed(1)} ms`);
}

function told(errors: readonly number[]): string {
  const [median, p99] = [quantile(errors, 0.5), quantile(errors, 0.99)];
  const [least, most] = [quantile(errors, 0, false), quantile(errors, 1, false)];
  return `median ${median.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${least.toFixed(1)} to ${most.toFixed(1)} ms`;
}

/** Of the magnitudes, unless `magnitude` is false. */
export function quantile(values: readonly number[], share: number, magnitude = true): number {
  const sorted = Float64Array.from(values, (value) => (magnitude ? Math.abs(value) : value)).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}
