/**
 * Which samples are there: sorted, disjoint, non-touching intervals, flattened to `[from, to, from, to, …]`, `to` exclusive.
 * A talking call has one or two of them, so every operation walks from the end, where the changes are.
 */
export type Coverage = number[];

/** Adds `[from, to)`. */
export function cover(coverage: Coverage, from: number, to: number): void {
  if (to <= from) return;
  const last = coverage.length;
  const lastTo = coverage[last - 1] ?? -Infinity;
  if (from > lastTo) {
    coverage.push(from, to);
    return;
  }
  if (from === lastTo) {
    coverage[last - 1] = to;
    return;
  }
  const before = within(coverage, -Infinity, from);
  const after = within(coverage, to, Infinity);
  let [low, high] = [from, to];
  if (before.at(-1) === from) {
    before.pop();
    low = before.pop() ?? low;
  }
  if (after[0] === to) {
    after.shift();
    high = after.shift() ?? high;
  }
  coverage.splice(0, coverage.length, ...before, low, high, ...after);
}

/** Removes everything from `position` on. */
export function cutFrom(coverage: Coverage, position: number): void {
  while (coverage.length > 0 && (coverage[coverage.length - 2] ?? 0) >= position) coverage.length -= 2;
  if ((coverage.at(-1) ?? -Infinity) > position) coverage[coverage.length - 1] = position;
}

/** Removes `[from, to)`. */
export function cutOut(coverage: Coverage, from: number, to: number): void {
  if (to <= from) return;
  const after = within(coverage, to, Infinity);
  cutFrom(coverage, from);
  coverage.push(...after);
}

/** Removes everything before `position`. */
export function cutBefore(coverage: Coverage, position: number): void {
  let drop = 0;
  while ((coverage[drop + 1] ?? Infinity) <= position) drop += 2;
  if (drop > 0) coverage.splice(0, drop);
  if ((coverage[0] ?? Infinity) < position) coverage[0] = position;
}

/** The covered parts of `[from, to)`. */
export function within(coverage: Coverage, from: number, to: number): Coverage {
  const parts: Coverage = [];
  for (let i = 0; i < coverage.length; i += 2) {
    const low = Math.max(coverage[i] ?? 0, from);
    const high = Math.min(coverage[i + 1] ?? 0, to);
    if (low < high) parts.push(low, high);
  }
  return parts;
}

/** The parts of `[from, to)` that are not covered. */
export function missing(coverage: Coverage, from: number, to: number): Coverage {
  const parts: Coverage = [];
  let position = from;
  const covered = within(coverage, from, to);
  for (let i = 0; i < covered.length; i += 2) {
    const low = covered[i] ?? 0;
    if (low > position) parts.push(position, low);
    position = covered[i + 1] ?? 0;
  }
  if (position < to) parts.push(position, to);
  return parts;
}

/** Samples in it. */
export function total(coverage: Coverage): number {
  let sum = 0;
  for (let i = 0; i < coverage.length; i += 2) sum += (coverage[i + 1] ?? 0) - (coverage[i] ?? 0);
  return sum;
}
