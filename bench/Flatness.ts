/** A value at a time, seconds. */
export interface Point {
  readonly atSeconds: number;
  readonly value: number;
}

/** How a series went, in its own unit. */
export interface Flatness {
  /** Medians of its first and its last quarter. */
  readonly first: number;
  readonly last: number;
  readonly most: number;
  /** By Theil and Sen: the median of the slopes between all pairs of points, which a third of outliers can't move. Per hour. */
  readonly perHour: number;
  /** What that slope makes of the whole time of the series. */
  readonly growth: number;
}

/** Points beyond which every n-th is taken: their pairs grow with the square. */
const mostPoints = 600;

/** @throws RangeError for less than eight points, of which nothing can be said */
export function flatnessOf(series: readonly Point[]): Flatness {
  if (series.length < 8) throw new RangeError(`${series.length} points say nothing about a slope`);
  const every = Math.ceil(series.length / mostPoints);
  const points = series.filter((_point, index) => index % every === 0);
  const slopes: number[] = [];
  for (const [index, from] of points.entries()) {
    for (const to of points.slice(index + 1)) {
      const seconds = to.atSeconds - from.atSeconds;
      if (seconds > 0) slopes.push((to.value - from.value) / seconds);
    }
  }
  const slope = median(slopes);
  const values = series.map(({ value }) => value);
  const quarter = Math.ceil(values.length / 4);
  const seconds = (series.at(-1)?.atSeconds ?? 0) - (series[0]?.atSeconds ?? 0);
  return {
    first: median(values.slice(0, quarter)),
    last: median(values.slice(-quarter)),
    most: values.reduce((most, value) => Math.max(most, value), -Infinity),
    perHour: slope * 3600,
    growth: slope * seconds,
  };
}

/**
 * The least value of each stretch of a series: of a heap, which rises until it is collected, what is really held.
 *
 * @param seconds - length of a stretch
 */
export function floorOf(series: readonly Point[], seconds: number): Point[] {
  const least = new Map<number, Point>();
  for (const point of series) {
    const stretch = Math.floor(point.atSeconds / seconds);
    const known = least.get(stretch);
    if (known === undefined || point.value < known.value) least.set(stretch, point);
  }
  return [...least.values()];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}
