import type { Metric } from 'prom-client';
import type { Bounds, Histogram } from '../../tap/Histogram.js';

export interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

/** prom-client's own counters and histograms can't be set to what another thread has counted, so they are written out here. */
export function foreign(
  name: string,
  help: string,
  type: 'counter' | 'gauge' | 'histogram',
  values: () => readonly Value[] | Promise<readonly Value[]>,
): Metric {
  const get = async () => ({ name, help, type, values: await values(), aggregator: 'sum' });
  return { name, help, type, get, aggregator: 'sum', reset: () => undefined } as unknown as Metric;
}

/** One of several histograms that have a name in common. */
export interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
  readonly histogram: Histogram;
}

/** Histograms of other threads, in seconds. */
export function foreignHistogram(
  name: string,
  help: string,
  bounds: Bounds,
  members: readonly Labelled[],
): Metric {
  return foreign(name, help, 'histogram', () =>
    members.flatMap(({ labels, histogram }) => series(name, labels, histogram, bounds)),
  );
}

function series(
  name: string,
  labels: Readonly<Record<string, string>>,
  histogram: Histogram,
  bounds: Bounds,
): Value[] {
  const { below, count, sum } = histogram.read(bounds);
  const bucket = (le: number | string, value: number): Value => ({
    metricName: `${name}_bucket`,
    labels: { ...labels, le },
    value,
  });
  return [
    ...below.map(({ seconds, count }) => bucket(seconds, count)),
    bucket('+Inf', count),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
