/** Steps within each doubling: a bucket is a sixteenth of its lower bound wide, so a quantile is told to 6 %. */
const stepBits = 4;
const steps = 1 << stepBits;
/** 67 s, in µs; what takes longer counts as that. */
const longestUs = 2 ** 26 - 1;
const buckets = bucketOf(longestUs) + 1;

/** Float64 cells that one histogram takes: its buckets, then the sum. */
export const histogramCells = buckets + 1;

/** Upper bounds for the eyes of others, a part of the buckets' own. */
export interface Bounds {
  /** The first and the last bound, powers of two of µs, from 16. */
  readonly fromUs: number;
  readonly toUs: number;
  /** Bounds in each doubling: 1, 2, 4, 8 or 16. */
  readonly perDoubling: number;
}

export interface Distribution {
  /** Seconds and the number of values below, cumulative. */
  readonly below: readonly { readonly seconds: number; readonly count: number }[];
  readonly count: number;
  /** Seconds. */
  readonly sum: number;
}

/**
 * Times as a log-linear histogram in shared memory: each doubling is divided into equal steps, as in HdrHistogram and in the
 * exponent and mantissa of a float. One writer, any number of readers. To observe is a shift, two additions, and no search.
 */
export class Histogram {
  readonly #cells: Float64Array;
  readonly #others: readonly Float64Array[];

  /**
   * @param cells - `histogramCells` of them
   * @param others - cells that other threads observe into; what is read here is the sum of all
   */
  constructor(cells: Float64Array, others: readonly Float64Array[] = []) {
    this.#cells = cells;
    this.#others = others;
  }

  /** @param ms - as `performance.now()` tells them apart; the histogram keeps whole µs */
  observe(ms: number): void {
    const cells = this.#cells;
    const index = bucketOf(ms * 1000);
    cells[index] = (cells[index] ?? 0) + 1;
    cells[buckets] = (cells[buckets] ?? 0) + ms;
  }

  get count(): number {
    return this.snapshot()
      .subarray(0, buckets)
      .reduce((sum, count) => sum + count, 0);
  }

  /** What the histogram holds now; to be given to {@link quantileSince}. */
  snapshot(): Float64Array {
    const all = this.#cells.slice();
    for (const cells of this.#others)
      for (const [index, count] of cells.entries()) all[index] = (all[index] ?? 0) + count;
    return all;
  }

  /**
   * @param before - a former snapshot, or none for all that was ever observed
   * @param share - for example 0.99
   * @returns a bound in ms that this share of the values since then stayed below, at most 6 % too high; 0 when there were none
   */
  quantileSince(before: Float64Array | null, share: number): number {
    const now = this.snapshot();
    const since = (index: number): number => (now[index] ?? 0) - (before?.[index] ?? 0);
    let total = 0;
    for (let index = 0; index < buckets; index++) total += since(index);
    if (total === 0) return 0;
    const wanted = Math.ceil(share * total);
    let seen = 0;
    let index = -1;
    while (seen < wanted) seen += since(++index);
    return lowerBoundUs(index + 1) / 1000;
  }

  read({ fromUs, toUs, perDoubling }: Bounds): Distribution {
    const stride = steps / perDoubling;
    const cells = this.snapshot();
    const below: { seconds: number; count: number }[] = [];
    let count = 0;
    let next = bucketOf(fromUs);
    const last = bucketOf(toUs);
    for (let index = 0; index < buckets; index++) {
      if (index === next && next <= last) {
        below.push({ seconds: lowerBoundUs(index) / 1e6, count });
        next += stride;
      }
      count += cells[index] ?? 0;
    }
    return { below, count, sum: (cells[buckets] ?? 0) / 1000 };
  }
}

/** Up to 16 µs a bucket is 1 µs wide. */
function bucketOf(us: number): number {
  const whole = us < longestUs ? us >>> 0 : longestUs;
  if (whole < steps) return whole;
  const shift = 31 - stepBits - Math.clz32(whole);
  return (shift << stepBits) + (whole >>> shift);
}

function lowerBoundUs(index: number): number {
  if (index < steps) return index;
  const shift = (index >>> stepBits) - 1;
  return (index - (shift << stepBits)) * 2 ** shift;
}
