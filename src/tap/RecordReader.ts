import {
  recordHeaderBytes,
  type Encoding,
  type RecordKind,
  type TapRecord,
  type Track,
} from './TapRecord.js';

/**
 * Walks over records that lie one behind the other, as in the ring and in a journal batch. Nothing is allocated per record.
 *
 * @param bytes - whole records
 * @param visit - is given the record and its offset in `bytes`; the record is the same object each time, and becomes the next one when
 *   `visit` returns, so what is to be kept of it is copied
 * @throws RangeError when a record's length reaches beyond `bytes`, which only a damaged journal can cause
 */
export function readRecords(bytes: Uint8Array, visit: (record: TapRecord, offset: number) => void): void {
  const record = new RecordCursor(bytes);
  for (let offset = 0; offset < bytes.length; offset = record.end) {
    record.moveTo(offset);
    visit(record, offset);
  }
}

/** What in some runs of records comes after a sequence. */
export interface UnreadRecords {
  /** In pieces that lie in the runs; none where nothing does. */
  readonly pieces: readonly Uint8Array[];
  /** Sequences of the first and the last of them; 0 where there is none. */
  readonly first: number;
  readonly last: number;
}

/**
 * @param runs - whole records, their sequences rising
 * @throws RangeError as {@link readRecords}
 */
export function unreadIn(runs: readonly Uint8Array[], after: number): UnreadRecords {
  const pieces: Uint8Array[] = [];
  let [first, last] = [0, 0];
  for (const run of runs) {
    const record = new RecordCursor(run);
    let start = run.length;
    for (let offset = 0; offset < run.length; offset = record.end) {
      record.moveTo(offset);
      if (record.sequence <= after) continue;
      if (start === run.length) start = offset;
      first ||= record.sequence;
      last = record.sequence;
    }
    if (start < run.length) pieces.push(run.subarray(start));
  }
  return { pieces, first, last };
}

/** A record that is read where it lies: one after the other, or wherever it is moved to. */
export class RecordCursor implements TapRecord {
  kind: RecordKind = 0 as RecordKind;
  track: Track = 0;
  encoding: Encoding = 0;
  call = 0;
  stream = 0;
  arrivalMs = 0;
  providerMs = 0;
  sequence = 0;
  /** Where the next record begins. */
  end = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #from = 0;
  #to = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A view, made anew each time it is asked for: of many records nobody wants it. */
  get payload(): Uint8Array {
    return this.#bytes.subarray(this.#from, this.#to);
  }

  /** @throws RangeError when the record's length reaches beyond the bytes */
  moveTo(offset: number): void {
    const view = this.#view;
    const length = view.getUint32(offset, true);
    if (length < recordHeaderBytes || offset + length > view.byteLength) {
      throw new RangeError(
        `A record of ${length} bytes at ${offset} does not fit into ${view.byteLength} bytes.`,
      );
    }
    this.kind = view.getUint16(offset + 4, true) as RecordKind;
    this.track = view.getUint8(offset + 6) as Track;
    this.encoding = view.getUint8(offset + 7) as Encoding;
    this.call = view.getUint32(offset + 8, true);
    this.stream = view.getUint32(offset + 12, true);
    this.arrivalMs = view.getFloat64(offset + 16, true);
    this.providerMs = view.getFloat64(offset + 24, true);
    this.sequence = view.getFloat64(offset + 32, true);
    this.#from = offset + recordHeaderBytes;
    this.#to = offset + length;
    this.end = offset + ((length + 7) & ~7);
  }
}

/** The record's payload as the JSON that its kind defines. */
export function readFacts(record: TapRecord): unknown {
  return JSON.parse(readText(record));
}

/** The record's payload as text. */
export function readText(record: TapRecord): string {
  const { buffer, byteOffset, byteLength } = record.payload;
  return Buffer.from(buffer, byteOffset, byteLength).toString('utf8');
}
