import type { Logger } from 'pino';

export interface DrainOptions {
  /** Resolves when the calls that are up have ended by themselves. */
  readonly ended: () => Promise<void>;
  /** Calls that are up. */
  readonly calls: () => number;
  /** How long calls may go on, s; asked again and again, because it may change meanwhile. */
  readonly seconds: () => number;
  readonly log: Logger;
}

const lookMs = 200;
/** How often it is told what is waited for, ms. */
const tellMs = 60_000;

/** The time between the wish that a daemon ends and the end of its calls. */
export class Drain {
  readonly #options: DrainOptions;
  #beganMs: number | null = null;
  #isHurried = false;
  #over: () => void = () => undefined;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  get hasBegun(): boolean {
    return this.#beganMs !== null;
  }

  get isHurried(): boolean {
    return this.#isHurried;
  }

  /** Of the time that calls have, ms. */
  get leftMs(): number {
    if (this.#isHurried || this.#beganMs === null) return 0;
    return Math.max(0, this.#beganMs + this.#options.seconds() * 1000 - performance.now());
  }

  /** Resolves when no call is up any more, the time is over, or somebody is in a hurry. */
  async run(): Promise<void> {
    this.#beganMs = performance.now();
    const { ended, calls, seconds, log } = this.#options;
    const over = new Promise<void>((resolve) => (this.#over = resolve));
    // It may last for as long as a call; what counts are those that are up when it begins.
    if (calls() > 0)
      log.info({ calls: calls(), seconds: seconds() }, 'ending: calls that are up may end by themselves');
    void ended().then(this.#over);
    let toldMs = this.#beganMs;
    const looking = setInterval(() => {
      if (this.leftMs === 0) return this.#over();
      if (performance.now() - toldMs < tellMs) return;
      toldMs = performance.now();
      log.info({ calls: calls(), seconds: Math.round(this.leftMs / 1000) }, 'calls are still up');
    }, lookMs);
    if (this.leftMs === 0) this.#over();
    await over;
    clearInterval(looking);
    if (calls() > 0)
      log.warn({ calls: calls(), hurried: this.#isHurried }, 'calls that are still up are cut');
  }

  /** Calls get no more time. */
  hurry(): void {
    this.#isHurried = true;
    this.#over();
  }
}
