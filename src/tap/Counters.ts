/**
 * What the media thread counts, in memory that the control thread reads at a scrape. One writer, plain stores: a counter
 * costs one addition, a reader may see a value that is a moment old.
 */
const names = [
  'calls',
  'callsTotal',
  'streams',
  'pendingStreams',
  'framesFromProvider',
  'framesFromUpstream',
  'bytesFromProvider',
  'bytesFromUpstream',
  'invalidMessages',
  'refusedUpgrades',
  'refusedStreams',
  'upstreamLost',
  'upstreamReconnects',
  'framesDroppedToUpstream',
  'upstreamPauses',
  'tapRecords',
  'tapDroppedRecords',
  'tapRingBytes',
  'recorderRestarts',
  'controlRestarts',
  'unprovenStreams',
  'strangers',
  'drainedStreams',
  'accountQuestions',
  'accountQuestionsUnanswered',
] as const;
export type CounterName = (typeof names)[number];

/** Upper bounds of the latency histogram's buckets, seconds; the last bucket is open. */
export const latencyBounds = [
  0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5,
] as const;

const indexOf = Object.fromEntries(names.map((name, index) => [name, index])) as Record<CounterName, number>;
const histogramStart = names.length;
const sumIndex = histogramStart + latencyBounds.length + 1;
const cells = sumIndex + 1;

export class Counters {
  readonly buffer: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(buffer = new SharedArrayBuffer(cells * 8)) {
    this.buffer = buffer;
    this.#values = new Float64Array(buffer);
  }

  add(name: CounterName, amount = 1): void {
    const index = indexOf[name];
    this.#values[index] = (this.#values[index] ?? 0) + amount;
  }

  set(name: CounterName, value: number): void {
    this.#values[indexOf[name]] = value;
  }

  get(name: CounterName): number {
    return this.#values[indexOf[name]] ?? 0;
  }

  /** One frame's time from its arrival in JavaScript to its being handed to the other socket, seconds. */
  observeLatency(seconds: number): void {
    let bucket = 0;
    while (bucket < latencyBounds.length && seconds > (latencyBounds[bucket] ?? Infinity)) bucket++;
    const index = histogramStart + bucket;
    this.#values[index] = (this.#values[index] ?? 0) + 1;
    this.#values[sumIndex] = (this.#values[sumIndex] ?? 0) + seconds;
  }

  /** Counts per bucket (not cumulative; the last is open) and their sum in seconds. */
  latency(): { readonly counts: readonly number[]; readonly sum: number } {
    return {
      counts: [...this.#values.subarray(histogramStart, sumIndex)],
      sum: this.#values[sumIndex] ?? 0,
    };
  }
}
