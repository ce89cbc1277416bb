import type { Logger } from 'pino';

const linesPerSecond = 20;

/**
 * Log lines about upgrades that were refused. They are bounded, because anyone on the network can cause them, and writing a
 * log line takes time from the thread that moves media.
 */
export class RefusalLog {
  readonly #log: Logger;
  #lines = 0;
  #suppressed = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  warn(fields: Readonly<Record<string, unknown>>, message: string): void {
    if (this.#lines++ < linesPerSecond) this.#log.warn(fields, message);
    else this.#suppressed++;
  }

  /** To be called once a second. */
  tick(): void {
    if (this.#suppressed > 0) this.#log.warn({ upgrades: this.#suppressed }, 'further upgrades were refused');
    this.#lines = 0;
    this.#suppressed = 0;
  }
}
