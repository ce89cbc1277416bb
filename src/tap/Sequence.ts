/** Numbers of tap records: from 1, without holes, each given once. */
export interface Sequence {
  next(): number;
}

/** Of one ring alone. */
export class OwnSequence implements Sequence {
  #last = 0;

  next(): number {
    return ++this.#last;
  }
}

/**
 * Of several rings, each with its own producer: whoever writes a record takes the next number, so the numbers say in which order all of
 * them were written. Beside `Ring.ts` this is the only file that touches `Atomics`; the native thread counts in the same 64 bits.
 */
export class SharedSequence implements Sequence {
  /** One cell; 64 bits, because a day at full load has more records than 32 can count. */
  readonly cells: BigUint64Array;

  constructor(buffer = new SharedArrayBuffer(8)) {
    this.cells = new BigUint64Array(buffer);
  }

  next(): number {
    return Number(Atomics.add(this.cells, 0, 1n)) + 1;
  }
}
