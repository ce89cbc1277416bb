import { closeSync, constants, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';

const magic = 0x32304a52;
const formerMagic = 0x31304a52;
/** Both begin so. */
const magicBytes = Buffer.from('RJ0', 'latin1');
const batchHeaderBytes = 32;
/** What the sum of a batch is of begins here. */
const summedFrom = 12;
/** A disk writes this many bytes whole or not at all. */
const sectorBytes = 512;

/** What was appended to a journal at a time. */
export interface SegmentBatch {
  readonly records: Uint8Array;
  /** Sequences of its first and last record. */
  readonly first: number;
  readonly last: number;
  /** Something in front of it can't be read, and is what a loss of power leaves of records that weren't synced. */
  readonly isAfterTear: boolean;
}

export interface SegmentContent {
  readonly batches: readonly SegmentBatch[];
  /** Bytes that can't be read, though they had been synced or aren't what a loss of power leaves. */
  readonly damaged: number;
  /** Bytes that can't be read, and that nobody was told to be safe. */
  readonly torn: number;
  /** Where a torn end begins; all of the segment where there is none. */
  readonly wholeBytes: number;
}

interface Batch extends Omit<SegmentBatch, 'isAfterTear'> {
  readonly daemon: number;
  /** Bytes of its segment that were synced when it was written; null of version 0.2, which doesn't say. */
  readonly syncedBytes: number | null;
}

/** Bytes between whole batches, or behind the last. */
interface Lost {
  readonly from: number;
  readonly to: number;
}

/**
 * Finds the whole batches in a segment of a journal, which is a sequence of them:
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u32 | magic `RJ02` |
 * | 4 | u32 | length of the records, bytes |
 * | 8 | u32 | CRC-32 of everything behind it |
 * | 12 | u32 | CRC-32 of the daemon's name, which is that of the folder that holds the journal |
 * | 16 | f64 | sequence of the first record |
 * | 24 | u32 | sequence of the last record, less that of the first |
 * | 28 | u32 | bytes of this segment that were safe from a loss of power when the batch was written |
 * | 32 | … | records as they lay in the ring |
 *
 * Batches of version 0.2 have `RJ01`, a CRC-32 of the records alone, perhaps zero for the daemon, and the last sequence as f64.
 *
 * @param daemon - CRC-32 of the name of the one that wrote it; batches of others are damage
 * @param mayBeTorn - no other segment was begun after this one
 */
export function readSegment(bytes: Buffer, daemon: number, mayBeTorn: boolean): SegmentContent {
  const found: { batch: Batch; lost: Lost | null }[] = [];
  let syncedBytes = 0;
  let offset = 0;
  for (let next = nextBatch(bytes, 0, daemon); next !== null; next = nextBatch(bytes, offset, daemon)) {
    const { batch, at } = next;
    found.push({ batch, lost: at > offset ? { from: offset, to: at } : null });
    offset = at + batchHeaderBytes + batch.records.length;
    // Whatever lay in front of a batch of version 0.2 is taken for synced.
    syncedBytes = Math.max(syncedBytes, batch.syncedBytes ?? offset);
  }
  const end = { from: offset, to: bytes.length };
  const isTorn = (lost: Lost | null) =>
    mayBeTorn && lost !== null && lost.from >= syncedBytes && looksTorn(bytes, lost.from);
  let isAfterTear = false;
  const batches = found.map(({ batch, lost }) => {
    isAfterTear ||= isTorn(lost);
    const { records, first, last } = batch;
    return { records, first, last, isAfterTear };
  });
  const all = [...found.map(({ lost }) => lost), end].filter((lost) => lost !== null);
  return {
    batches,
    damaged: total(all.filter((lost) => !isTorn(lost))),
    torn: total(all.filter(isTorn)),
    wholeBytes: isTorn(end) ? offset : bytes.length,
  };
}

/** The header of a batch of these records. */
export function batchHeader(
  records: Uint8Array,
  { first, last, daemon, syncedBytes }: Omit<Batch, 'records'>,
): Buffer {
  const header = Buffer.alloc(batchHeaderBytes);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(records.length, 4);
  header.writeUInt32LE(daemon, 12);
  header.writeDoubleLE(first, 16);
  header.writeUInt32LE(last - first, 24);
  header.writeUInt32LE(syncedBytes ?? 0, 28);
  header.writeUInt32LE(crc32(records, crc32(header.subarray(summedFrom))), 8);
  return header;
}

/** Sequence of the first record that a segment says to hold; undefined where it says nothing that can be read. */
export function firstIn(path: string): number | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    const header = Buffer.alloc(batchHeaderBytes);
    if (readSync(file, header, 0, batchHeaderBytes, 0) < batchHeaderBytes) return undefined;
    const first = header.readDoubleLE(16);
    const isOurs = [magic, formerMagic].includes(header.readUInt32LE(0));
    return isOurs && Number.isSafeInteger(first) ? first : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}

/** Whether a write may have begun here that never came to the disk as a whole: its first sector did, or reads as zeros. */
function looksTorn(bytes: Buffer, at: number): boolean {
  const sectorEnd = (Math.floor(at / sectorBytes) + 1) * sectorBytes;
  const start = bytes.subarray(at, Math.min(sectorEnd, at + magicBytes.length));
  if (start.every((byte) => byte === 0)) return true;
  const isBegun = start.equals(magicBytes.subarray(0, start.length));
  // Something whole is of another daemon.
  return isBegun && batchAt(bytes, at) === null;
}

/** The next whole and undamaged batch of a daemon, at `from` or behind it; null where none is. */
function nextBatch(bytes: Buffer, from: number, daemon: number): { batch: Batch; at: number } | null {
  for (let at = bytes.indexOf(magicBytes, from); at >= 0; at = bytes.indexOf(magicBytes, at + 1)) {
    const batch = batchAt(bytes, at);
    if (batch === null) continue;
    if (batch.daemon === daemon || (batch.syncedBytes === null && batch.daemon === 0)) return { batch, at };
  }
  return null;
}

/** The batch at `offset`, or null when no whole and undamaged one lies there. */
function batchAt(bytes: Buffer, offset: number): Batch | null {
  if (offset + batchHeaderBytes > bytes.length) return null;
  const isFormer = bytes.readUInt32LE(offset) === formerMagic;
  if (!isFormer && bytes.readUInt32LE(offset) !== magic) return null;
  const start = offset + batchHeaderBytes;
  const end = start + bytes.readUInt32LE(offset + 4);
  if (end > bytes.length) return null;
  const summed = bytes.subarray(isFormer ? start : offset + summedFrom, end);
  if (crc32(summed) !== bytes.readUInt32LE(offset + 8)) return null;
  const first = bytes.readDoubleLE(offset + 16);
  const last = isFormer ? bytes.readDoubleLE(offset + 24) : first + bytes.readUInt32LE(offset + 24);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || last < first) return null;
  return {
    records: bytes.subarray(start, end),
    first,
    last,
    daemon: bytes.readUInt32LE(offset + 12),
    syncedBytes: isFormer ? null : bytes.readUInt32LE(offset + 28),
  };
}

function total(lost: readonly Lost[]): number {
  return lost.reduce((sum, { from, to }) => sum + to - from, 0);
}
