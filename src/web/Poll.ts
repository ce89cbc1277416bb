/** Does something again and again while somebody can see the page, each time after the time before has ended. */
export class Poll {
  readonly #work: () => Promise<void>;
  readonly #everyMs: () => number;
  #timer: number | undefined;
  #isRunning = false;
  #isWorking = false;
  #isAskedAgain = false;
  readonly #seen = (): void => {
    if (!document.hidden) this.now();
  };

  /** @param work - must not throw. @param everyMs - the pause between two, asked for each time */
  constructor(work: () => Promise<void>, everyMs: () => number) {
    this.#work = work;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#isRunning = true;
    document.addEventListener('visibilitychange', this.#seen);
    this.now();
  }

  stop(): void {
    this.#isRunning = false;
    document.removeEventListener('visibilitychange', this.#seen);
    window.clearTimeout(this.#timer);
  }

  /** Does it at once, or once more when it is being done, and goes on from there. */
  now(): void {
    window.clearTimeout(this.#timer);
    if (this.#isWorking) this.#isAskedAgain = true;
    else if (this.#isRunning) void this.#once();
  }

  async #once(): Promise<void> {
    this.#isWorking = true;
    this.#isAskedAgain = false;
    await this.#work();
    this.#isWorking = false;
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isAskedAgain) this.now();
    else if (this.#isRunning && !document.hidden)
      this.#timer = window.setTimeout(() => this.now(), this.#everyMs());
  }
}
