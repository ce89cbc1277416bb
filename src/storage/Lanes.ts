/**
 * Runs jobs side by side in lanes that don't delay each other: at most `width` of one lane at a time, in the order in which they
 * came. A job that is asked for again while it runs runs once more afterwards; asked for while it waits, it runs once.
 */
export class Lanes {
  readonly #width: number;
  readonly #run: (job: string) => Promise<void>;
  readonly #waiting = new Map<string, Set<string>>();
  readonly #running = new Map<string, Set<string>>();
  #idle: (() => void)[] = [];

  /** @param run - must not reject */
  constructor(width: number, run: (job: string) => Promise<void>) {
    this.#width = width;
    this.#run = run;
  }

  add(lane: string, job: string): void {
    setOf(this.#waiting, lane).add(job);
    this.#next(lane);
  }

  /** Jobs that run now. */
  get running(): number {
    let count = 0;
    for (const jobs of this.#running.values()) count += jobs.size;
    return count;
  }

  /** Resolves when nothing runs or waits. */
  async idle(): Promise<void> {
    if (!this.#isBusy()) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #isBusy(): boolean {
    return this.#running.size > 0 || this.#waiting.size > 0;
  }

  #next(lane: string): void {
    const waiting = setOf(this.#waiting, lane);
    const running = setOf(this.#running, lane);
    for (const job of waiting) {
      if (running.size >= this.#width) break;
      if (running.has(job)) continue;
      waiting.delete(job);
      running.add(job);
      void this.#run(job).finally(() => {
        running.delete(job);
        this.#next(lane);
      });
    }
    if (waiting.size === 0) this.#waiting.delete(lane);
    if (running.size === 0) this.#running.delete(lane);
    if (this.#isBusy()) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function setOf(map: Map<string, Set<string>>, lane: string): Set<string> {
  const set = map.get(lane) ?? new Set<string>();
  map.set(lane, set);
  return set;
}
