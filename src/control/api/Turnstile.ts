import type { ServerResponse } from 'node:http';
import { ReelayError } from '../../config/ReelayError.js';

/** Lets so many answers be under way at once and no more, half of them for one account: nobody takes all there is away from the others. */
export class Turnstile {
  readonly #room: number;
  readonly #roomOfOne: number;
  #inside = 0;
  readonly #insideOfOne = new Map<string, number>();

  /** @param room - answers at once */
  constructor(room: number) {
    this.#room = room;
    this.#roomOfOne = Math.max(1, Math.floor(room / 2));
  }

  /**
   * Takes a place until the answer has gone out, or its connection has broken.
   *
   * @param accountId - whose recording it is about
   * @throws ReelayError `too_many_downloads`
   */
  enter(response: ServerResponse, accountId: string): void {
    // Its client went while something was looked up: nobody would ever say that the place is free.
    if (response.closed) return;
    const mine = this.#insideOfOne.get(accountId) ?? 0;
    const isFull = this.#inside >= this.#room;
    if (isFull || mine >= this.#roomOfOne) {
      const remedy = 'Ask again in some seconds, or for fewer at once.';
      throw new ReelayError('too_many_downloads', { value: isFull ? this.#room : this.#roomOfOne, remedy });
    }
    this.#inside += 1;
    this.#insideOfOne.set(accountId, mine + 1);
    response.once('close', () => this.#leave(accountId));
  }

  #leave(accountId: string): void {
    const mine = (this.#insideOfOne.get(accountId) ?? 1) - 1;
    this.#inside -= 1;
    if (mine === 0) this.#insideOfOne.delete(accountId);
    else this.#insideOfOne.set(accountId, mine);
  }
}
