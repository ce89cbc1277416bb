/** A disk that refuses for less than this is asked again and not told of, ms. */
const patienceMs = 1000;
/** So long nothing may be refused until it counts as well, ms: one that refuses only the syncs takes everything else meanwhile. */
const wellAfterMs = 2000;

/** Whether the spool's disk takes what it is given, told once when that changes however often it is asked. Times are of any steady clock, ms. */
export class DiskState {
  readonly #changed: (error: unknown) => void;
  #sinceMs: number | null = null;
  #lastMs = 0;
  #isBlocked = false;

  /** @param changed - told the error that blocks it, or null when it is over */
  constructor(changed: (error: unknown) => void) {
    this.#changed = changed;
  }

  refused(error: unknown, nowMs: number): void {
    this.#sinceMs ??= nowMs;
    this.#lastMs = nowMs;
    if (this.#isBlocked || nowMs - this.#sinceMs < patienceMs) return;
    this.#isBlocked = true;
    this.#changed(error);
  }

  /** To be called at every turn of a loop. */
  look(nowMs: number): void {
    if (this.#sinceMs === null || nowMs - this.#lastMs < wellAfterMs) return;
    this.#sinceMs = null;
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.#changed(null);
  }
}
