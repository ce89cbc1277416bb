import type { Histogram } from './Histogram.js';

/** As often as a call's frames come, ms. */
export const lookEveryMs = 20;
/** A process that was frozen for longer, with its machine, adds no more than this, ms. */
const longestMs = 60_000;

/**
 * How late an event loop comes to what arrives: the delay that a frame would have met, had one arrived every 20 ms. A timer tells
 * how long the loop was busy elsewhere; a loop that stood still for a second has kept fifty frames waiting, the first for a second,
 * the last for 20 ms, and each of them is counted (else a long standstill would weigh no more than a short one). A timer's own
 * resolution is 1 ms, so what is below tells nothing.
 */
export class LoopGauge {
  readonly #histogram: Histogram;
  #timer: NodeJS.Timeout | undefined;
  #lookedMs = 0;

  constructor(histogram: Histogram) {
    this.#histogram = histogram;
  }

  start(): void {
    this.#lookedMs = performance.now();
    this.#timer = setInterval(this.#look, lookEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  readonly #look = (): void => {
    const nowMs = performance.now();
    const lateMs = Math.max(0, nowMs - this.#lookedMs - lookEveryMs);
    this.#lookedMs = nowMs;
    this.#histogram.observe(lateMs);
    for (let ms = Math.min(lateMs, longestMs) - lookEveryMs; ms > 0; ms -= lookEveryMs) {
      this.#histogram.observe(ms);
    }
  };
}
