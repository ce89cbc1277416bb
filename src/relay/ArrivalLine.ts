/** How long arriving calls may take in one turn of the event loop, ms: longer only for a single piece of work. */
const turnMs = 0.5;

/**
 * Where the work for calls that arrive waits for its turn. To let a socket in, and to begin its call, takes a few tenths of a
 * millisecond each; two hundred that arrive together would hold up the frames of all calls that are up by fifty. So in each turn of
 * the event loop there is a little of it, first come, first served, and whatever the sockets have brought meanwhile goes between.
 * While few arrive nothing waits.
 */
export class ArrivalLine {
  #waiting: (() => void)[] = [];
  #next = 0;
  #spentMs = 0;
  #isTurning = false;

  get length(): number {
    return this.#waiting.length - this.#next;
  }

  /** @param work - done at once when there is time for it in this turn; it must not throw */
  take(work: () => void): void {
    if (this.length > 0 || this.#spentMs >= turnMs) this.#waiting.push(work);
    else this.#do(work);
    if (this.#isTurning) return;
    this.#isTurning = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#spentMs = 0;
    while (this.length > 0 && this.#spentMs < turnMs) {
      const work = this.#waiting[this.#next];
      this.#next++;
      if (work !== undefined) this.#do(work);
    }
    if (this.#next === this.#waiting.length) [this.#waiting, this.#next] = [[], 0];
    this.#isTurning = this.#spentMs > 0;
    if (this.#isTurning) setImmediate(this.#turn);
  };

  #do(work: () => void): void {
    const startMs = performance.now();
    work();
    this.#spentMs += performance.now() - startMs;
  }
}
