import {
  recordHeaderBytes,
  type Encoding,
  type RecordKind,
  type TapRecord,
  type Track,
} from './TapRecord.js';

/**
 * Walks over records that lie one behind the other, as in the ring and in a journal batch.
 *
 * @param bytes - whole records; the payloads handed out are views of it
 * @param visit - is given the record and its offset in `bytes`
 * @throws RangeError when a record's length reaches beyond `bytes`, which only a damaged journal can cause
 */
export function readRecords(bytes: Uint8Array, visit: (record: TapRecord, offset: number) => void): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  while (offset < bytes.length) {
    const length = view.getUint32(offset, true);
    if (length < recordHeaderBytes || offset + length > bytes.length) {
      throw new RangeError(
        `A record of ${length} bytes at ${offset} does not fit into ${bytes.length} bytes.`,
      );
    }
    visit(
      {
        kind: view.getUint16(offset + 4, true) as RecordKind,
        track: view.getUint8(offset + 6) as Track,
        encoding: view.getUint8(offset + 7) as Encoding,
        call: view.getUint32(offset + 8, true),
        stream: view.getUint32(offset + 12, true),
        arrivalMs: view.getFloat64(offset + 16, true),
        providerMs: view.getFloat64(offset + 24, true),
        sequence: view.getFloat64(offset + 32, true),
        payload: bytes.subarray(offset + recordHeaderBytes, offset + length),
      },
      offset,
    );
    offset += (length + 7) & ~7;
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
