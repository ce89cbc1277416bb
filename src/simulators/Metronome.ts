/** Something that has work at certain times. */
export interface Rider {
  /** When `run` wants to be called next, on the clock of `performance.now()`; Infinity: not now. */
  readonly dueMs: number;
  run(nowMs: number): void;
}

/**
 * One timer for any number of simulated calls. Each rider names the time of its next work; whoever is due is run, and the timer
 * is set for the earliest of the rest. Looking through all riders at each wake-up costs far less than a timer each.
 */
export class Metronome {
  /** The one that callers share unless they are given their own. */
  static readonly shared = new Metronome();

  readonly #riders = new Set<Rider>();
  #timer: NodeJS.Timeout | undefined;
  #armedForMs = Infinity;

  add(rider: Rider): void {
    this.#riders.add(rider);
    this.wake(rider.dueMs);
  }

  remove(rider: Rider): void {
    this.#riders.delete(rider);
    if (this.#riders.size === 0) this.#disarm();
  }

  /** A rider's due time moved to an earlier one. */
  wake(dueMs: number): void {
    if (dueMs < this.#armedForMs) this.#arm(dueMs);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#armedForMs = Infinity;
  }

  #arm(dueMs: number): void {
    this.#disarm();
    if (dueMs === Infinity) return;
    this.#armedForMs = dueMs;
    this.#timer = setTimeout(this.#turn, Math.max(1, Math.ceil(dueMs - performance.now())));
  }

  readonly #turn = (): void => {
    // Armed for the past while riders run, so that a wake() from inside doesn't set a timer that is thrown away at once.
    this.#armedForMs = -Infinity;
    for (const rider of this.#riders) {
      const nowMs = performance.now();
      if (rider.dueMs <= nowMs) rider.run(nowMs);
    }
    let next = Infinity;
    for (const rider of this.#riders) next = Math.min(next, rider.dueMs);
    this.#arm(next);
  };
}
