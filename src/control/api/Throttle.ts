import { setTimeout as sleep } from 'node:timers/promises';

/** What may go at once after a pause, ms of the rate: a page's short recordings never wait. */
const burstMs = 100;

/** Lets so many bytes a second through, of everything together, in the order in which the pieces come. */
export class Throttle {
  readonly #bytesPerSecond: () => number;
  /** Up to this moment, of `performance.now()`, everything is given away. */
  #givenUntilMs = -Infinity;

  /** @param bytesPerSecond - asked for each piece, since it may change */
  constructor(bytesPerSecond: () => number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** The same pieces, later if need be. Ends what it reads from when it is ended itself. */
  async *through(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of pieces) {
      await this.#turn(piece.length);
      yield piece;
    }
  }

  async #turn(bytes: number): Promise<void> {
    const nowMs = performance.now();
    const ms = (bytes / this.#bytesPerSecond()) * 1000;
    this.#givenUntilMs = Math.max(this.#givenUntilMs, nowMs - burstMs) + ms;
    const waitMs = this.#givenUntilMs - nowMs;
    // A timer is no finer.
    if (waitMs >= 1) await sleep(waitMs);
  }
}
