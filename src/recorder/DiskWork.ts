const firstWaitMs = 250;
const longestWaitMs = 5000;

/** What one recording has to do on the disk, in order: a job that fails is tried again until it succeeds, and those behind it wait. */
export class DiskWork {
  readonly #run: (job: () => Promise<void>) => Promise<void>;
  readonly #failed: (error: unknown) => void;
  #last: Promise<void> = Promise.resolve();

  /**
   * @param run - runs a job when it is its turn among those of other recordings
   * @param failed - told of each try that failed
   */
  constructor(run: (job: () => Promise<void>) => Promise<void>, failed: (error: unknown) => void) {
    this.#run = run;
    this.#failed = failed;
  }

  /** @param job - may be run any number of times until it doesn't throw */
  add(job: () => Promise<void> | void): void {
    this.#last = this.#last.then(() => this.#persist(job));
  }

  /** Settles when there is nothing left, also of what is added meanwhile. */
  async settled(): Promise<void> {
    for (let last: Promise<void> | null = null; last !== this.#last;) {
      last = this.#last;
      await last;
    }
  }

  async #persist(job: () => Promise<void> | void): Promise<void> {
    for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
      try {
        await this.#run(async () => job());
        return;
      } catch (error) {
        this.#failed(error);
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  }
}
