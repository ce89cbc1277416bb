/**
 * Which of a room's audio tracks are heard: as many at once as there may be, in the order in which they came. The others wait until one of
 * them goes.
 */
export class Hearing {
  readonly #most: number;
  readonly #heard = new Set<string>();
  readonly #waiting = new Map<string, () => void>();

  /** @param most - at least 1 */
  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Hears a track now, or when there is a place; one that is known already stays as it is.
   *
   * @returns false when it has to wait, and didn't before
   */
  want(sid: string, hear: () => void): boolean {
    if (this.#heard.has(sid) || this.#waiting.has(sid)) return true;
    if (this.#heard.size >= this.#most) {
      this.#waiting.set(sid, hear);
      return false;
    }
    this.#heard.add(sid);
    hear();
    return true;
  }

  /** A track isn't there any more. Its place is the next one's. */
  gone(sid: string): void {
    this.#waiting.delete(sid);
    if (!this.#heard.delete(sid)) return;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next[0]);
    this.want(...next);
  }

  /** None of the tracks is there any more: the room was joined anew. */
  clear(): void {
    this.#heard.clear();
    this.#waiting.clear();
  }
}
