/** Percentiles of the round trips of echoed frames, ms. */
export interface Latency {
  /** Echoes that were matched to a frame; 0: the bot doesn't echo, nothing is measurable and the rest is NaN. */
  readonly samples: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Frames that wait for their echo; older ones are given up. 250 frames are 5 s. */
const maxWaiting = 250;

/** After so many messages without a single match the bot is taken for one that doesn't echo. */
const patience = 500;

/**
 * Round trips through relay and bot, measured by the frames themselves: an echo is a received payload that equals one sent
 * earlier. Matching is first in, first out, so that equal frames (silence) keep their order.
 */
export class LatencyMeter {
  readonly #waiting: { readonly payload: Uint8Array; readonly sentMs: number }[] = [];
  readonly #samples: number[] = [];
  #misses = 0;

  /** Round trips so far, ms, in order of receipt. */
  get samples(): readonly number[] {
    return this.#samples;
  }

  sent(payload: Uint8Array, sentMs: number): void {
    if (this.#hopeless) return;
    this.#waiting.push({ payload, sentMs });
    if (this.#waiting.length > maxWaiting) this.#waiting.shift();
  }

  received(payload: Uint8Array, receivedMs: number): void {
    if (this.#hopeless) return;
    const index = this.#waiting.findIndex((frame) => Buffer.compare(frame.payload, payload) === 0);
    if (index < 0) {
      this.#misses += 1;
      return;
    }
    const frame = this.#waiting[index];
    this.#waiting.splice(0, index + 1);
    if (frame !== undefined) this.#samples.push(receivedMs - frame.sentMs);
  }

  summary(): Latency {
    return latencyOf(this.#samples);
  }

  get #hopeless(): boolean {
    return this.#samples.length === 0 && this.#misses >= patience;
  }
}

/** @param samples - round trips in ms, in any order */
export function latencyOf(samples: readonly number[]): Latency {
  const sorted = Float64Array.from(samples).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN;
  return { samples: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted.at(-1) ?? NaN };
}
