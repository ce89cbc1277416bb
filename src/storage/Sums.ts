import { Transform, type TransformCallback } from 'node:stream';
import { PartHash, type PartSum } from './PartHash.js';

/**
 * Passes bytes on and hashes them, the whole and in parts. Where they are held against something, the last ones leave only when the
 * whole is right, so that what is wrong never arrives whole.
 */
export class Sums extends Transform {
  readonly #hash: PartHash;
  readonly #check: ((sha256: string) => Error | null) | null;
  #sha256: string | null = null;
  #held: Buffer | null = null;

  /**
   * @param sizes - bytes of each part; what comes behind the last is a part of its own
   * @param check - says what is wrong with the whole; null: nothing
   */
  constructor(sizes: Iterable<number> = [], check: ((sha256: string) => Error | null) | null = null) {
    super({ highWaterMark: 256 * 1024 });
    this.#hash = new PartHash(sizes);
    this.#check = check;
  }

  /** Hex; null before the end. */
  get sha256(): string | null {
    return this.#sha256;
  }

  /** Of the whole, when it has ended. */
  get parts(): readonly PartSum[] {
    return this.#hash.parts;
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(piece);
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
    this.#sha256 = this.#hash.end();
    const wrong = this.#check?.(this.#sha256) ?? null;
    if (wrong === null && this.#held !== null) this.push(this.#held);
    done(wrong);
  }
}
