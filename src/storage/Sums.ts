import { createHash, type Hash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';

/** A part of an object by its content; an object that is no multipart one is one part. */
export interface PartSum {
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/**
 * Passes bytes on and hashes them: the whole, and each part that they are divided into. Where they are held against something,
 * the last ones leave only when the whole is right, so that what is wrong never arrives whole.
 */
export class Sums extends Transform {
  readonly #sizes: Iterator<number>;
  readonly #whole = createHash('sha256');
  readonly #parts: PartSum[] = [];
  #part: Hash = createHash('sha256');
  #partBytes = 0;
  #size: number;
  #sha256: string | null = null;
  readonly #check: ((sha256: string) => Error | null) | null;
  #held: Buffer | null = null;

  /**
   * @param sizes - bytes of each part; what comes behind the last is a part of its own
   * @param check - says what is wrong with the whole; null: nothing
   */
  constructor(sizes: Iterable<number> = [], check: ((sha256: string) => Error | null) | null = null) {
    super({ highWaterMark: 256 * 1024 });
    this.#check = check;
    this.#sizes = sizes[Symbol.iterator]();
    this.#size = this.#next();
  }

  /** Hex; null before the end. */
  get sha256(): string | null {
    return this.#sha256;
  }

  /** Of the whole, when it has ended. */
  get parts(): readonly PartSum[] {
    return this.#parts;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
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
    if (this.#check === null) {
      done(null, piece);
      return;
    }
    const before = this.#held;
    this.#held = piece;
    if (before === null) done();
    else done(null, before);
  }

  override _flush(done: TransformCallback): void {
    this.#endPart();
    this.#sha256 = this.#whole.digest('hex');
    const wrong = this.#check?.(this.#sha256) ?? null;
    if (wrong === null && this.#held !== null) this.push(this.#held);
    done(wrong);
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
