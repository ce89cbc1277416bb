import type { Histogram } from './Histogram.js';

/** A process that was frozen for longer, with its machine, adds no more than this, ms. */
const longestMs = 60_000;

/**
 * How late an event loop comes to what arrives: the delay that a message would have met, had one arrived at every look. A timer
 * tells how long the loop was busy elsewhere; a loop that is looked at every 20 ms and stood still for a second has kept fifty
 * messages waiting, the first for a second, the last for 20 ms, and each of them is counted (else a long standstill would weigh no
 * more than a short one). A timer's own resolution is 1 ms, so what is below tells nothing.
 */
export class LoopGauge {
  readonly #histogram: Histogram;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #lookedMs = 0;

  constructor(histogram: Histogram, everyMs: number) {
    this.#histogram = histogram;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#lookedMs = performance.now();
    this.#timer = setInterval(this.#look, this.#everyMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  readonly #look = (): void => {
    const nowMs = performance.now();
    const lateMs = Math.max(0, nowMs - this.#lookedMs - this.#everyMs);
    this.#lookedMs = nowMs;
    this.#histogram.observe(lateMs);
    for (let ms = Math.min(lateMs, longestMs) - this.#everyMs; ms > 0; ms -= this.#everyMs) {
      this.#histogram.observe(ms);
    }
  };
}
