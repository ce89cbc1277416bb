/**
 * Maps the arrival of messages here to a stream's own time. A message that was late makes the difference between the two
 * clocks bigger, never smaller, so the smallest difference of the last ten seconds is the one of the fastest message; what
 * remains is its one-way delay, a constant of some tens of ms on the internet and nothing on loopback.
 */
export interface StreamClockState {
  readonly startArrivalMs: number;
  /** Smallest difference per quarter of a second, oldest first: at most {@link windowMs} ÷ {@link bucketMs} of them. */
  readonly buckets: { readonly bucket: number; offsetMs: number }[];
  /** Smallest difference in the window; null before the first message. */
  offsetMs: number | null;
}

const bucketMs = 250;
const windowMs = 10_000;

export function createStreamClock(startArrivalMs: number): StreamClockState {
  return { startArrivalMs, buckets: [], offsetMs: null };
}

/**
 * Takes note of a message.
 *
 * @param endMs - stream time of the end of the message's audio, ms
 */
export function observe(clock: StreamClockState, arrivalMs: number, endMs: number): void {
  const offsetMs = arrivalMs - endMs;
  const bucket = Math.floor(arrivalMs / bucketMs);
  const last = clock.buckets.at(-1);
  if (last?.bucket === bucket) {
    last.offsetMs = Math.min(last.offsetMs, offsetMs);
    clock.offsetMs = Math.min(clock.offsetMs ?? Infinity, offsetMs);
    return;
  }
  clock.buckets.push({ bucket, offsetMs });
  const oldest = bucket - windowMs / bucketMs;
  while ((clock.buckets[0]?.bucket ?? Infinity) < oldest) clock.buckets.shift();
  clock.offsetMs = clock.buckets.reduce((least, each) => Math.min(least, each.offsetMs), Infinity);
}

/** Stream time at a moment of the local clock, ms; before the first message it runs from the receipt of the start. */
export function streamTime(clock: StreamClockState, arrivalMs: number): number {
  return arrivalMs - (clock.offsetMs ?? clock.startArrivalMs);
}
