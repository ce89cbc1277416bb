/** How long it is tried to get into a room for the first time, and to get back into it, ms. */
const firstMs = 30_000;
const againMs = 60_000;
/** Pause between two tries, doubled each time, ms. */
const firstPauseMs = 250;
const longestPauseMs = 5000;
/** Who was in a room for less was hardly there: something in it may be what breaks its process, ms. */
const settledMs = 10_000;

/**
 * How long, and how often, it is tried to get into a room. Who is thrown out comes back at once, so that the gap is short; who is thrown
 * out again and again, each time sooner than it could be called a stay, comes back less and less often, and in the end no more. Else a
 * room that breaks its process would do so to the other rooms of each process for as long as it is there.
 */
export class Patience {
  #hasBeenInside: boolean;
  #untilMs: number;
  #pauseMs = firstPauseMs;
  #sinceMs = Infinity;
  #shortStays = 0;
  #isProcessBroken = false;

  /** @param hasBeenInside - a predecessor has, so that it is a way back */
  constructor(hasBeenInside: boolean, nowMs: number) {
    this.#hasBeenInside = hasBeenInside;
    this.#untilMs = this.#deadline(nowMs);
  }

  get hasBeenInside(): boolean {
    return this.#hasBeenInside;
  }

  /** It was thrown out more than once before it was in the room for long. */
  get isWary(): boolean {
    return this.#shortStays > 1;
  }

  /** Its process was lost this time, too, so that it had better have one to itself. */
  get isToBeAlone(): boolean {
    return this.isWary && this.#isProcessBroken;
  }

  entered(nowMs: number): void {
    this.#hasBeenInside = true;
    this.#sinceMs = nowMs;
  }

  /**
   * It was thrown out.
   *
   * @param isProcessLost - with its process, and not by the server
   * @returns whether it may go back at once
   */
  left(nowMs: number, isProcessLost: boolean): boolean {
    this.#isProcessBroken = isProcessLost;
    if (nowMs - this.#sinceMs >= settledMs) {
      this.#shortStays = 0;
      this.#pauseMs = firstPauseMs;
    }
    this.#shortStays++;
    if (this.isWary) return false;
    this.renew(nowMs);
    return true;
  }

  /** All of its time is before it again: that it isn't inside is nobody's fault. */
  renew(nowMs: number): void {
    this.#untilMs = this.#deadline(nowMs);
  }

  isOver(nowMs: number): boolean {
    return nowMs >= this.#untilMs;
  }

  /** How long to wait before the next try, ms: longer each time. */
  pause(): number {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(2 * pauseMs, longestPauseMs);
    return pauseMs;
  }

  #deadline(nowMs: number): number {
    return nowMs + (this.#hasBeenInside ? againMs : firstMs);
  }
}
