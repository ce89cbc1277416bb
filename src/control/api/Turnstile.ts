import type { ServerResponse } from 'node:http';
import { ReelayError } from '../../config/ReelayError.js';

/** Lets so many answers be under way at once and no more. */
export class Turnstile {
  readonly #room: number;
  #inside = 0;

  /** @param room - answers at once */
  constructor(room: number) {
    this.#room = room;
  }

  /**
   * Takes a place until the answer has gone out, or its connection has broken.
   *
   * @throws ReelayError `too_many_downloads`
   */
  enter(response: ServerResponse): void {
    if (this.#inside >= this.#room) {
      const remedy = 'Ask again in some seconds, or for fewer at once.';
      throw new ReelayError('too_many_downloads', { value: this.#room, remedy });
    }
    this.#inside += 1;
    response.once('close', () => (this.#inside -= 1));
  }
}
