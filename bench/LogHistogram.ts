/** Values below this have a bucket each; above, every doubling has half as many, so that a bucket is less than 1 % wide. */
const fine = 256;
const half = fine / 2;
const octaves = 20;

/** Counts durations, µs, up to about two minutes, to within 0.8 %; counting makes no garbage. */
export class LogHistogram {
  readonly counts: Float64Array;
  max = 0;

  /** @param counts - of another one, as it came from another process */
  constructor(counts: ArrayLike<number> = [], max = 0) {
    this.counts = new Float64Array(fine + octaves * half);
    this.counts.set(counts);
    this.max = max;
  }

  add(us: number): void {
    const value = us < 0 ? 0 : Math.round(us);
    if (value > this.max) this.max = value;
    const at = Math.min(bucketOf(value), this.counts.length - 1);
    this.counts[at] = (this.counts[at] ?? 0) + 1;
  }

  merge(other: LogHistogram): this {
    other.counts.forEach((count, at) => (this.counts[at] = (this.counts[at] ?? 0) + count));
    this.max = Math.max(this.max, other.max);
    return this;
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** @returns ms; NaN when nothing was counted */
  quantile(share: number): number {
    const wanted = share * this.total;
    let seen = 0;
    for (const [at, count] of this.counts.entries()) {
      if (count > 0 && seen + count >= wanted) {
        const [from, to] = [lowerEdge(at), lowerEdge(at + 1)];
        return Math.min(this.max, from + ((wanted - seen) / count) * (to - from)) / 1000;
      }
      seen += count;
    }
    return NaN;
  }
}

function bucketOf(value: number): number {
  if (value < fine) return value;
  const octave = 31 - Math.clz32(value) - 7;
  return fine + (octave - 1) * half + ((value >>> octave) - half);
}

function lowerEdge(bucket: number): number {
  if (bucket < fine) return bucket;
  const octave = Math.floor((bucket - fine) / half) + 1;
  return (half + ((bucket - fine) % half)) * 2 ** octave;
}
