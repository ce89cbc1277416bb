import { basename } from 'node:path';

/**
 * Which recordings in the spool this daemon stores, relieves and tidies up. All of them, unless another daemon has some there, too:
 * one that still ends its calls, or one that has taken over. Then they are those that were known before it took over, and those that
 * the own recorder announces. So no recording is ever two daemons' at once; what is nobody's for a while is taken up by the one that
 * remains.
 *
 * Main writes the cell, at the moment from which it holds and not when this thread gets round to it. What is seen in the spool first,
 * while the cell still says "all" afterwards, was there before anybody else could begin anything.
 */
export class SpoolOwnership {
  readonly #alone: Int32Array;
  readonly #own: Set<string>;

  /**
   * @param alone - cell 0 is 1 while everything is this daemon's; undefined: it always is
   * @param own - ids of recordings that a predecessor of this thread knew
   */
  constructor(alone: SharedArrayBuffer | undefined, own: readonly string[] = []) {
    this.#alone = alone === undefined ? Int32Array.of(1) : new Int32Array(alone);
    this.#own = new Set(own);
  }

  get isAlone(): boolean {
    return Atomics.load(this.#alone, 0) === 1;
  }

  /** Whether a recording is this daemon's. @param folder - seen in the spool just before */
  owns(folder: string): boolean {
    if (!this.isAlone) return this.#own.has(basename(folder));
    this.#own.add(basename(folder));
    return true;
  }

  /** The own recorder has announced it. */
  take(folder: string): void {
    this.#own.add(basename(folder));
  }

  /** It has left the spool. */
  forget(folder: string): void {
    this.#own.delete(basename(folder));
  }

  /** Ids of the recordings that are known to be this daemon's. */
  get known(): string[] {
    return [...this.#own];
  }
}
