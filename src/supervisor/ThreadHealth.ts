/** Losses within `lossesMs` that are more than bad luck. */
const mostLosses = 3;
const lossesMs = 60_000;
/** A successor that doesn't work within this time is a trouble of its own, ms. */
const backWithinMs = 5000;
/** How long a thread has to work before its trouble is over, ms. */
const wellAfterMs = 30_000;

/**
 * Tells one quick restart, which nobody need hear of, from a thread that is in trouble: lost three times within a minute, or not
 * back within five seconds. The trouble is over when it has worked for half a minute. Times are ms of any steady clock.
 */
export class ThreadHealth {
  #losses: number[] = [];
  #lostMs: number | null = null;
  #worksSinceMs: number | null = null;
  /** Lost too often since the last look. */
  #isOften = false;
  #isInTrouble = false;

  get isInTrouble(): boolean {
    return this.#isInTrouble;
  }

  lost(nowMs: number): void {
    this.#losses = [...this.#losses.slice(1 - mostLosses), nowMs];
    const [first = nowMs] = this.#losses;
    if (this.#losses.length === mostLosses && nowMs - first < lossesMs) this.#isOften = true;
    this.#lostMs ??= nowMs;
    this.#worksSinceMs = null;
  }

  /** It does its work at this moment. */
  works(nowMs: number): void {
    this.#lostMs = null;
    this.#worksSinceMs ??= nowMs;
  }

  /** @returns whether trouble began or ended since the last look */
  look(nowMs: number): boolean {
    const before = this.#isInTrouble;
    const isAway = this.#lostMs !== null && nowMs - this.#lostMs >= backWithinMs;
    const isWell = this.#worksSinceMs !== null && nowMs - this.#worksSinceMs >= wellAfterMs;
    if (this.#isOften || isAway) this.#isInTrouble = true;
    else if (isWell) this.#isInTrouble = false;
    this.#isOften = false;
    return this.#isInTrouble !== before;
  }
}
