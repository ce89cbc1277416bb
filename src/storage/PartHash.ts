import { createHash, type Hash } from 'node:crypto';

/** A part of an object by its content; an object that is no multipart one is one part. */
export interface PartSum {
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** Hashes an object's bytes as they come: the whole, and each part that it is divided into. */
export class PartHash {
  readonly #sizes: Iterator<number>;
  readonly #whole = createHash('sha256');
  readonly #parts: PartSum[] = [];
  #part: Hash = createHash('sha256');
  #partBytes = 0;
  #size: number;

  /** @param sizes - bytes of each part; what comes behind the last is a part of its own */
  constructor(sizes: Iterable<number> = []) {
    this.#sizes = sizes[Symbol.iterator]();
    this.#size = this.#next();
  }

  /** Those that are complete. */
  get parts(): readonly PartSum[] {
    return this.#parts;
  }

  update(piece: Buffer): void {
    this.#whole.update(piece);
    let rest = piece;
    while (rest.length > 0) {
      const mine = rest.subarray(0, this.#size - this.#partBytes);
      if (mine.length === 0) {
        this.#endPart();
        continue;
      }
      this.#part.update(mine);
      this.#partBytes += mine.length;
      rest = rest.subarray(mine.length);
    }
  }

  /**
   * Ends the last part, and with it the whole.
   *
   * @returns SHA-256 of the whole, hex
   */
  end(): string {
    this.#endPart();
    return this.#whole.digest('hex');
  }

  #endPart(): void {
    this.#parts.push({ bytes: this.#partBytes, sha256: this.#part.digest('hex') });
    this.#part = createHash('sha256');
    this.#partBytes = 0;
    this.#size = this.#next();
  }

  #next(): number {
    const next = this.#sizes.next();
    return next.done === true ? Infinity : next.value;
  }
}

/** Whether two objects have the same bytes, as far as SHA-256 tells. */
export function sameSums(a: readonly PartSum[], b: readonly PartSum[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ bytes, sha256 }, at) => b[at]?.sha256 === sha256 && b[at].bytes === bytes)
  );
}
