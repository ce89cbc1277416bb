import { RecordCursor } from '../tap/RecordReader.js';
import { RecordKind, type TapRecord } from '../tap/TapRecord.js';

/** So much may wait, bytes, beside one record of the largest size: 40 ms of a thousand calls lie in a megabyte. */
const mostBytes = 8 * 1024 * 1024;
const leastBytes = 256 * 1024;

/** Of one call, in the order in which they came: numbers of records. */
interface Waiting {
  readonly first: number;
  last: number;
}

/**
 * Records that the journal has and the timelines don't yet, to be given to them call by call. All calls together are more than a
 * processor's cache holds: in the order in which frames come, each would find its timeline in main memory, a dozen times a frame. Those
 * of one call that are given one behind the other find it there once.
 *
 * Audio waits until it is much, or is asked for; anything else takes what its call has waiting with it, at once, and a clock what all
 * have. So each call's records stay in order, and so do all with every clock.
 */
export class WaitingRecords {
  readonly #apply: (record: TapRecord) => void;
  #bytes = new Uint8Array(leastBytes);
  #cursor = new RecordCursor(this.#bytes);
  #end = 0;
  /** Of each record where in the bytes it lies, and which one of its call comes next; 0 for none. They are numbered from 1. */
  #offsets: Int32Array = new Int32Array(1024);
  #next: Int32Array = new Int32Array(1024);
  #count = 0;
  readonly #calls = new Map<number, Waiting>();

  /** @param apply - is given a record that is valid until it returns; never throws */
  constructor(apply: (record: TapRecord) => void) {
    this.#apply = apply;
  }

  /**
   * Takes records, as a copy. They go on at once as far as there is no room for them to wait.
   *
   * @param records - whole ones, one behind the other
   */
  add(records: Uint8Array): void {
    for (let from = 0; from < records.length;) {
      const to = this.#wholeUpTo(records, from);
      this.#take(records.subarray(from, to));
      from = to;
      if (from < records.length) this.flush();
    }
  }

  /** Gives all that waits. */
  flush(): void {
    for (const { first } of this.#calls.values()) this.#give(first);
    this.#calls.clear();
    this.#end = 0;
    this.#count = 0;
  }

  #take(records: Uint8Array): void {
    const start = this.#end;
    this.#end += records.length;
    this.#reserve();
    this.#bytes.set(records, start);
    const cursor = new RecordCursor(this.#bytes);
    for (let offset = start; offset < this.#end; offset = cursor.end) {
      cursor.moveTo(offset);
      const number = this.#number(offset);
      if (cursor.kind === RecordKind.clock) this.#giveAll(number);
      else this.#append(cursor, number);
    }
  }

  #append({ call, kind }: TapRecord, number: number): void {
    const waiting = this.#calls.get(call);
    if (waiting === undefined) this.#calls.set(call, { first: number, last: number });
    else {
      this.#next[waiting.last] = number;
      waiting.last = number;
    }
    if (kind === RecordKind.audio || kind === RecordKind.muted) return;
    this.#give(waiting?.first ?? number);
    this.#calls.delete(call);
  }

  /** What all calls have waiting, and then a record that is about all of them. */
  #giveAll(number: number): void {
    for (const { first } of this.#calls.values()) this.#give(first);
    this.#calls.clear();
    this.#give(number);
  }

  #give(first: number): void {
    for (let number = first; number !== 0; number = this.#next[number] ?? 0) {
      this.#cursor.moveTo(this.#offsets[number] ?? 0);
      this.#apply(this.#cursor);
    }
  }

  #number(offset: number): number {
    const number = ++this.#count;
    if (number === this.#offsets.length) {
      this.#offsets = grown(this.#offsets);
      this.#next = grown(this.#next);
    }
    this.#offsets[number] = offset;
    this.#next[number] = 0;
    return number;
  }

  /** Where the last record ends that there is room for; at least one is taken where nothing waits. */
  #wholeUpTo(records: Uint8Array, from: number): number {
    if (this.#end + records.length - from <= mostBytes) return records.length;
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    let to = from;
    while (to < records.length) {
      const end = to + ((view.getUint32(to, true) + 7) & ~7);
      if (this.#end + end - from > mostBytes && (to > from || this.#end > 0)) break;
      to = end;
    }
    return to;
  }

  #reserve(): void {
    if (this.#end <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.#end, 2 * this.#bytes.length));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#cursor = new RecordCursor(bytes);
  }
}

function grown(numbers: Int32Array): Int32Array {
  const more = new Int32Array(2 * numbers.length);
  more.set(numbers);
  return more;
}
