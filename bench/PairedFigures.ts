import { randomFrom } from '../test/acceptance/randomFrom.js';

/** An estimate with its 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Two values that were measured one after the other under the same circumstances. */
export interface Paired {
  readonly base: number;
  readonly other: number;
}

const resamples = 4000;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

/**
 * The median of paired values and its bootstrap interval (percentiles of {@link resamples} resamples, the same ones every time).
 * One pair has no interval: its ends are NaN.
 */
export function estimate(values: readonly number[]): Estimate {
  const value = median(values);
  if (values.length < 2) return { value, low: NaN, high: NaN };
  const random = randomFrom(values.length);
  const medians = Array.from({ length: resamples }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)] ?? NaN)),
  ).sort((a, b) => a - b);
  const at = (share: number): number => medians[Math.round(share * (resamples - 1))] ?? NaN;
  return { value, low: at(0.025), high: at(0.975) };
}

/** By how much the second of each pair exceeds what it may be; at most 0 is within. */
export function excess(pairs: readonly Paired[], factor: number, slack: number): Estimate {
  return estimate(pairs.map(({ base, other }) => other - Math.max(factor * base, base + slack)));
}

/** How many times its base the second of each pair is. */
export function ratio(pairs: readonly Paired[]): Estimate {
  const { value, low, high } = estimate(pairs.map(({ base, other }) => Math.log(other / base)));
  return { value: Math.exp(value), low: Math.exp(low), high: Math.exp(high) };
}
