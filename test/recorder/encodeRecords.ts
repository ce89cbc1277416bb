import { recordBytes, recordHeaderBytes, type TapRecord } from '../../src/tap/TapRecord.js';

/** Records as they lie in the ring and in the journal. */
export function encodeRecords(records: readonly TapRecord[]): Uint8Array {
  const total = records.reduce((sum, record) => sum + recordBytes(record.payload.length), 0);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const record of records) {
    view.setUint32(offset, recordHeaderBytes + record.payload.length, true);
    view.setUint16(offset + 4, record.kind, true);
    view.setUint8(offset + 6, record.track);
    view.setUint8(offset + 7, record.encoding);
    view.setUint32(offset + 8, record.call, true);
    view.setUint32(offset + 12, record.stream, true);
    view.setFloat64(offset + 16, record.arrivalMs, true);
    view.setFloat64(offset + 24, record.providerMs, true);
    view.setFloat64(offset + 32, record.sequence, true);
    bytes.set(record.payload, offset + recordHeaderBytes);
    offset += recordBytes(record.payload.length);
  }
  return bytes;
}
