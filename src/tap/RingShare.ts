/**
 * What one call holds of a ring, without following its records: bytes are counted in two portions, before and after a mark, and the
 * older one is forgotten when the consumer has come past the mark. So the answer is never too low, and too high by no more than what the
 * call wrote in the time in which the ring was last emptied. Positions are bytes that ever went through the ring.
 */
export class RingShare {
  #mark = 0;
  #older = 0;
  #newer = 0;

  /**
   * @param bytes - of a record that was just written
   * @param written - position behind it
   * @param released - up to where the consumer is done
   */
  add(bytes: number, written: number, released: number): void {
    if (released >= this.#mark) {
      this.#older = this.#newer;
      this.#newer = 0;
      this.#mark = written - bytes;
    }
    this.#newer += bytes;
  }

  /** Bytes that the consumer may not have released. */
  heldBytes(released: number): number {
    return released >= this.#mark ? this.#newer : this.#older + this.#newer;
  }
}
