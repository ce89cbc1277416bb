import type { Logger } from 'pino';

/** Losses of a thread that is in trouble and still told one by one; later ones are told together. */
const toldOneByOne = 10;
const togetherMs = 60_000;

/** What the log says of a thread that is lost, perhaps again and again: all of it at first, then once a minute how often. */
export class LossLog {
  readonly #log: Logger;
  #losses = 0;
  #untold = 0;
  #toldMs = 0;

  constructor(name: string, log: Logger) {
    this.#log = log.child({ worker: name, code: 'thread_lost' });
  }

  failed(error: unknown): void {
    if (this.#isTold()) this.#log.error({ err: error }, 'a thread failed');
  }

  silent(patienceMs: number): void {
    if (this.#isTold()) this.#log.error({ patienceMs }, 'a thread stopped answering and is ended');
  }

  stuck(): void {
    this.#log.error(
      'a thread cannot be ended: the system keeps it, as it does while a disk hangs; its successor waits for that',
    );
  }

  /** A thread has ended and another takes its place. */
  again(about: {
    readonly exitCode: number | null;
    readonly backoffMs: number;
    readonly cause: string;
  }): void {
    if (this.#isTold()) {
      this.#log.warn({ ...about, untold: this.#untold }, 'a thread is started again');
      this.#untold = 0;
      this.#toldMs = performance.now();
    } else this.#untold += 1;
    this.#losses += 1;
  }

  trouble(isInTrouble: boolean): void {
    if (isInTrouble)
      this.#log.error('a thread is in trouble: it is lost again and again, or does not come back');
    else this.#log.info('a thread that was in trouble works again');
    if (!isInTrouble) this.#losses = 0;
  }

  #isTold(): boolean {
    return this.#losses < toldOneByOne || performance.now() - this.#toldMs >= togetherMs;
  }
}
