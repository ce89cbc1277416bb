import { Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** One link that all streams through it share: together they pass so many bytes per second. */
export class Bandwidth {
  readonly #bytesPerSecond: number;
  /** When the link has passed on everything that was given to it, ms of `performance.now()`. */
  #freeMs = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  stream(): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        void this.#pass(chunk.length).then(() => done(null, chunk), done);
      },
    });
  }

  async #pass(bytes: number): Promise<void> {
    const now = performance.now();
    this.#freeMs = Math.max(now, this.#freeMs) + (bytes * 1000) / this.#bytesPerSecond;
    // Timers count in ms; what is less is made up for by the next piece.
    if (this.#freeMs - now >= 1) await sleep(this.#freeMs - now);
  }
}
