import { type Counters, directions, loopNames } from '../../tap/Counters.js';
import type { Histogram } from '../../tap/Histogram.js';
import type { LatencyDocument } from './SystemDocument.js';

/** How far back is looked, where somebody asks often enough, ms. */
const windowMs = 10_000;
/** Least time between two snapshots that are kept, ms: of a window there are no more than eleven. */
const snapshotMs = 1000;

interface Snapshot {
  readonly atMs: number;
  readonly cells: ReadonlyMap<Histogram, Float64Array>;
}

/**
 * Quantiles of what was measured lately. Histograms only ever grow, so what came lately is the difference to a snapshot; one is taken when
 * somebody asks, and nobody's time is spent on it otherwise.
 */
export class LatencyWindow {
  readonly #counters: Counters;
  readonly #histograms: readonly Histogram[];
  /** The oldest first. */
  #snapshots: Snapshot[] = [];

  constructor(counters: Counters, nowMs = Date.now()) {
    this.#counters = counters;
    this.#histograms = [...Object.values(counters.latency), ...Object.values(counters.loopDelay)];
    this.#snapshots.push(this.#snapshot(nowMs));
  }

  read(nowMs = Date.now()): LatencyDocument {
    const before = this.#before(nowMs);
    const quantile = (histogram: Histogram, share: number): number =>
      histogram.quantileSince(before.cells.get(histogram) ?? null, share);
    const { latency, loopDelay } = this.#counters;
    return {
      since: new Date(before.atMs).toISOString(),
      relay: directions.map((direction) => ({
        direction,
        p50Ms: quantile(latency[direction], 0.5),
        p99Ms: quantile(latency[direction], 0.99),
      })),
      loops: loopNames.map((thread) => ({ thread, p99Ms: quantile(loopDelay[thread], 0.99) })),
    };
  }

  /** The latest snapshot that is old enough, or the oldest there is. */
  #before(nowMs: number): Snapshot {
    const firstKept = this.#snapshots.findLastIndex(({ atMs }) => nowMs - atMs >= windowMs);
    if (firstKept > 0) this.#snapshots = this.#snapshots.slice(firstKept);
    const latest = this.#snapshots.at(-1);
    if (latest === undefined || nowMs - latest.atMs >= snapshotMs)
      this.#snapshots.push(this.#snapshot(nowMs));
    const [oldest] = this.#snapshots;
    return oldest ?? this.#snapshot(nowMs);
  }

  #snapshot(atMs: number): Snapshot {
    return { atMs, cells: new Map(this.#histograms.map((each) => [each, each.snapshot()])) };
  }
}
