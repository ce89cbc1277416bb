const nothing = new Uint8Array(0);

/**
 * Cuts a stream of bytes at whole sample frames. The bytes after the last whole frame are carried over to the next message,
 * as jambonz's own client does: a shifted byte would turn everything after it into noise.
 */
export class PcmAlignment {
  readonly #frameBytes: number;
  #carry: Uint8Array = nothing;

  /** @param frameBytes - bytes per sample times channels */
  constructor(frameBytes: number) {
    this.#frameBytes = frameBytes;
  }

  /** Whether a part of a frame waits for the rest of it. */
  get isSplit(): boolean {
    return this.#carry.length > 0;
  }

  /** @returns whole frames only; the message itself, uncopied, in the usual case */
  push(bytes: Uint8Array): Uint8Array {
    const whole = this.#carry.length === 0 ? bytes : Buffer.concat([this.#carry, bytes]);
    const rest = whole.length % this.#frameBytes;
    if (rest === 0) {
      this.#carry = nothing;
      return whole;
    }
    this.#carry = Uint8Array.from(whole.subarray(whole.length - rest));
    return whole.subarray(0, whole.length - rest);
  }
}
