import { recordBytes, sequenceAt } from './TapRecord.js';

/**
 * Where the threads meet: a ring of records in shared memory. This and `Sequence.ts` are the only files that touch `Atomics`.
 *
 * Roles are fixed: one producer (the media thread, {@link RingWriter}, or the native thread that moves frames, `native/live/ring.h`)
 * and one consumer (the recorder, {@link RingReader}).
 * Both are wait-free: the producer never waits for the consumer, a full ring makes `reserve` answer -1.
 *
 *     0        8        16                                                        64 + capacity
 *     | W | R  | epoch  |  …  | record | record | record | (free) | record | skip |
 *                       64    ^ R                         ^ W
 *
 * W and R are Int32 cells counting in units of 8 bytes, modulo 2^32: W is where the next record goes, R the first record the
 * consumer has not released. Records never wrap: one that doesn't fit before the end is preceded by a skip marker (length
 * 0xFFFFFFFF) and begins at the start. Whatever lies between R and W outlives the consumer: a recorder that dies leaves it
 * for its successor. `epoch` counts the consumers. The cell behind it is 1 as soon as there is, or was, a producer. The rest of the header is about producers
 * whose threads are ended while they write: {@link endProducer}.
 */
const headerBytes = 64;
const writeCell = 0;
const readCell = 1;
const epochCell = 2;
const openCell = 3;
/** Of 64 bits: the number that the producer is about to take, and those that its predecessors may have taken with them. */
const claimCell = 3;
const lostCell = 4;
const lostCells = 4;
const unit = 8;
const skipMarker = 0xff_ff_ff_ff;

/** @param bytes - capacity, rounded up to a power of two, at least 4 MiB so that the largest record fits easily */
export function createRing(bytes: number): SharedArrayBuffer {
  const capacity = 2 ** Math.ceil(Math.log2(Math.max(bytes, 4_194_304)));
  return new SharedArrayBuffer(headerBytes + capacity);
}

/**
 * Says that the ring has a producer, before that takes its first number of the sequence: until then nobody need look for its records.
 * {@link RingWriter} does so itself; for the native thread it is done by whoever starts it.
 */
export function openRing(ring: SharedArrayBuffer): void {
  Atomics.store(new Int32Array(ring, 0, headerBytes / 4), openCell, 1);
}

/**
 * The ring's producer has ended, and its thread with it: what number it may have taken without showing its record is written down, the latest four
 * of them. To be called before it has a successor.
 */
export function endProducer(ring: SharedArrayBuffer): void {
  const cells = new BigUint64Array(ring, 0, headerBytes / 8);
  const claimed = Atomics.exchange(cells, claimCell, 0n);
  if (claimed === 0n) return;
  const lost = cells.subarray(lostCell, lostCell + lostCells);
  const oldest = lost.reduce((least, number, index) => (number < (lost[least] ?? 0n) ? index : least), 0);
  Atomics.store(lost, oldest, claimed);
}

/** Two seconds of 16 kHz stereo, as jambonz sends after a stall, bytes: that a record beyond it finds no room says nothing of others' frames. */
const mostOrdinary = 128 * 1024;

/** The producer's end. No method allocates; none throws for lack of room. */
export class RingWriter {
  /** The ring's record area; a reserved record is written here at the offset that `reserve` gave. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes. */
  readonly capacity: number;
  readonly #cells: Int32Array;
  readonly #claims: BigUint64Array;
  #write: number;
  #end: number;
  #writtenBytes: number;
  #isOverfull = false;

  constructor(ring: SharedArrayBuffer) {
    this.capacity = ring.byteLength - headerBytes;
    this.bytes = new Uint8Array(ring, headerBytes);
    this.view = new DataView(ring, headerBytes);
    this.#cells = new Int32Array(ring, 0, headerBytes / 4);
    this.#claims = new BigUint64Array(ring, 0, headerBytes / 8);
    this.#write = Atomics.load(this.#cells, writeCell);
    this.#end = this.#write;
    this.#writtenBytes = this.usedBytes();
    openRing(ring);
  }

  /**
   * Room for one record, not yet visible to the consumer.
   *
   * @returns its byte offset in {@link bytes}, or -1 when the ring is full
   */
  reserve(payloadBytes: number): number {
    const need = recordBytes(payloadBytes);
    const offset = this.#offsetOf(this.#write);
    const tail = this.capacity - offset;
    const skipped = tail < need ? tail : 0;
    if (this.usedBytes() + skipped + need > this.capacity) {
      this.#isOverfull ||= need <= mostOrdinary;
      return -1;
    }
    if (skipped > 0) this.view.setUint32(offset, skipMarker, true);
    this.#end = (this.#write + (skipped + need) / unit) | 0;
    return skipped > 0 ? 0 : offset;
  }

  /** Shows the reserved record to the consumer. */
  commit(): void {
    this.#writtenBytes += ((this.#end - this.#write) >>> 0) * unit;
    this.#write = this.#end;
    Atomics.store(this.#cells, writeCell, this.#write);
  }

  /**
   * Numbers the reserved record and shows it, in a thread that others may end at any moment. It says which number it is about to take, so that
   * {@link endProducer} can tell the consumer which one will never come.
   *
   * @param offset - of the record, as `reserve` gave it
   * @param numbers - one cell, of which the record gets the next number
   */
  commitNumbered(offset: number, numbers: BigUint64Array): void {
    let last = Atomics.load(numbers, 0);
    for (;;) {
      Atomics.store(this.#claims, claimCell, last + 1n);
      const found = Atomics.compareExchange(numbers, 0, last, last + 1n);
      if (found === last) break;
      last = found;
    }
    this.view.setFloat64(offset + sequenceAt, Number(last) + 1, true);
    this.commit();
    Atomics.store(this.#claims, claimCell, 0n);
  }

  /**
   * It had no room for an ordinary record, and hasn't a quarter of it free since. Audio waits for that: in a ring that is kept on the brim
   * each frame that finds room is told of as the end of a gap, and those reports take more of the consumer than the audio does.
   */
  get isOverfull(): boolean {
    if (this.#isOverfull && this.usedBytes() <= (this.capacity / 4) * 3) this.#isOverfull = false;
    return this.#isOverfull;
  }

  /** Bytes that the consumer hasn't released. */
  usedBytes(): number {
    return ((this.#write - Atomics.load(this.#cells, readCell)) >>> 0) * unit;
  }

  /** Bytes that were ever written: where in all that went through the ring the next record begins. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  #offsetOf(position: number): number {
    return ((position >>> 0) * unit) % this.capacity;
  }
}

/** The consumer's end. */
export class RingReader {
  /** Which consumer of this ring this is, from 1. */
  readonly epoch: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #cells: Int32Array;
  readonly #claims: BigUint64Array;
  readonly #capacity: number;
  /** What `peek` has shown last: bytes of records, and of the ring, which are more where it skips its end. */
  #shown: { readonly records: number; readonly room: number }[] = [];

  /** Becomes the ring's consumer. The predecessor must have ended: two consumers at once corrupt the ring. */
  constructor(ring: SharedArrayBuffer) {
    this.#capacity = ring.byteLength - headerBytes;
    this.#bytes = new Uint8Array(ring, headerBytes);
    this.#view = new DataView(ring, headerBytes);
    this.#cells = new Int32Array(ring, 0, headerBytes / 4);
    this.#claims = new BigUint64Array(ring, 0, headerBytes / 8);
    this.epoch = Atomics.add(this.#cells, epochCell, 1) + 1;
  }

  /** Whether there is a producer, or was one. */
  get isOpen(): boolean {
    return Atomics.load(this.#cells, openCell) !== 0;
  }

  /** Whether a producer was ended that may have had this number, and hasn't shown its record. */
  hasLost(number: number): boolean {
    return this.#claims.subarray(lostCell, lostCell + lostCells).includes(BigInt(number));
  }

  /**
   * Everything that waits, as runs of whole records of which each lies in one piece: none, one, or two where the ring begins
   * anew. They are views of shared memory, valid until they are released.
   */
  peek(): readonly Uint8Array[] {
    const read = Atomics.load(this.#cells, readCell);
    const waiting = ((Atomics.load(this.#cells, writeCell) - read) >>> 0) * unit;
    const runs: Uint8Array[] = [];
    this.#shown = [];
    for (let shown = 0; shown < waiting;) {
      const start = ((read >>> 0) * unit + shown) % this.#capacity;
      const room = Math.min(waiting - shown, this.#capacity - start);
      const records = this.#runOf(start, room);
      if (records > 0) runs.push(this.#bytes.subarray(start, start + records));
      // What is left of the room is behind a skip marker: the next record lies at the ring's start.
      this.#shown.push({ records, room });
      shown += room;
    }
    return runs;
  }

  /**
   * Gives back to the producer what `peek` showed last, once.
   *
   * @param bytes - so much of it, from its beginning: whole records; missing: all of it
   */
  release(bytes = Infinity): void {
    let [left, released] = [bytes, 0];
    for (const { records, room } of this.#shown) {
      released += left >= records ? room : left;
      left -= records;
      if (left < 0) break;
    }
    const read = Atomics.load(this.#cells, readCell);
    Atomics.store(this.#cells, readCell, (read + released / unit) | 0);
    this.#shown = [];
  }

  /** Length of the records from `start`, up to a skip marker or to `limit` bytes. */
  #runOf(start: number, limit: number): number {
    let run = 0;
    while (run < limit) {
      const length = this.#view.getUint32(start + run, true);
      if (length === skipMarker) break;
      run += (length + 7) & ~7;
    }
    return run;
  }
}
