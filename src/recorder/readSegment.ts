import { closeSync, constants, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { journalBeginning, laterOf, type JournalPlace } from './JournalPlace.js';

const magic = 0x33304a52;
/** Of versions that were never released. */
const secondMagic = 0x32304a52;
/** Of version 0.2. */
const firstMagic = 0x31304a52;
/** All begin so. */
const magicBytes = Buffer.from('RJ0', 'latin1');
const batchHeaderBytes = 40;
const formerHeaderBytes = 32;
/** What the sum of a batch is of begins here. */
const summedFrom = 12;
/** A disk writes this many bytes whole or not at all. */
const sectorBytes = 512;

/** What was appended to a journal at a time, as it lies in a segment. */
export interface SegmentBatch {
  readonly records: Uint8Array;
  /** Sequences of its first and last record. */
  readonly first: number;
  readonly last: number;
  /** Bytes of the segment in front of it, and up to its end. */
  readonly from: number;
  readonly to: number;
  /** Everything in front of this place was safe from a loss of power when it was written. */
  readonly synced: JournalPlace;
  /** What in front of it can't be read. */
  readonly lost: LostBytes | null;
}

/** Bytes between whole batches, or behind the last. */
export interface LostBytes {
  readonly from: number;
  readonly to: number;
  /** They are what a loss of power may leave, or a process that was killed, of something that wasn't synced. */
  readonly looksTorn: boolean;
}

export interface SegmentContent {
  /** Number of the segment, as its batches say; as its file is called where they don't. */
  readonly number: number;
  /** Bytes of the file. */
  readonly size: number;
  readonly batches: readonly SegmentBatch[];
  /** What is left behind the last whole batch. */
  readonly lostEnd: LostBytes | null;
  /** The latest place up to which everything was safe, as its batches say. */
  readonly synced: JournalPlace;
}

interface Batch extends Omit<SegmentBatch, 'lost'> {
  readonly daemon: number;
  /** The segment that it was written to; null of versions that don't say. */
  readonly segment: number | null;
}

/** What a reader knows of a segment before it has read it. */
export interface SegmentOrigin {
  /** CRC-32 of the name of the daemon that wrote it; batches of others are damage. */
  readonly daemon: number;
  /** From the file's name. */
  readonly number: number;
  /** Where the segment before it ends: former versions synced that before they began another. */
  readonly before: JournalPlace;
}

/**
 * Finds the whole batches in a segment of a journal, which is a sequence of them:
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u32 | magic `RJ03` |
 * | 4 | u32 | length of the records, bytes |
 * | 8 | u32 | CRC-32 of everything behind it |
 * | 12 | u32 | CRC-32 of the daemon's name, which is that of the folder that holds the journal |
 * | 16 | f64 | sequence of the first record |
 * | 24 | u32 | sequence of the last record, less that of the first |
 * | 28 | u32 | number of this segment |
 * | 32 | u32 | number of a segment: up to there everything was safe from a loss of power when the batch was written |
 * | 36 | u32 | and so many bytes of that one |
 * | 40 | … | records as they lay in the ring |
 *
 * Batches with `RJ02` have 32 bytes of header, no numbers, and at 28 how many bytes of their own segment were safe, all those
 * before it being so. Those of version 0.2 have `RJ01`, 32 bytes as well, a CRC-32 of the records alone, perhaps zero for the
 * daemon, and the last sequence as f64.
 */
export function readSegment(bytes: Buffer, origin: SegmentOrigin): SegmentContent {
  const batches: SegmentBatch[] = [];
  let [number, synced, end] = [origin.number, journalBeginning, 0];
  for (let next = nextBatch(bytes, 0, origin); next !== null; next = nextBatch(bytes, end, origin)) {
    const { records, first, last, from, to } = next;
    if (batches.length === 0) number = next.segment ?? number;
    const lost = lostIn(bytes, end, from, origin);
    batches.push({ records, first, last, from, to, synced: next.synced, lost });
    synced = laterOf(synced, next.synced);
    end = to;
  }
  return { number, size: bytes.length, batches, lostEnd: lostIn(bytes, end, bytes.length, origin), synced };
}

/** What the header of a batch says of where and by whom it is written. */
export interface BatchFacts {
  readonly daemon: number;
  readonly segment: number;
  readonly synced: JournalPlace;
  readonly first: number;
  readonly last: number;
}

/**
 * The header of a batch.
 *
 * @param pieces - its records, in the order in which they are written behind it
 */
export function batchHeader(pieces: readonly Uint8Array[], facts: BatchFacts): Buffer {
  const { daemon, segment, synced, first, last } = facts;
  const header = Buffer.alloc(batchHeaderBytes);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(
    pieces.reduce((sum, { length }) => sum + length, 0),
    4,
  );
  header.writeUInt32LE(daemon, 12);
  header.writeDoubleLE(first, 16);
  header.writeUInt32LE(last - first, 24);
  header.writeUInt32LE(segment, 28);
  header.writeUInt32LE(synced.segment, 32);
  header.writeUInt32LE(synced.bytes, 36);
  const sum = pieces.reduce((before, piece) => crc32(piece, before), crc32(header.subarray(summedFrom)));
  header.writeUInt32LE(sum, 8);
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
    const header = Buffer.alloc(formerHeaderBytes);
    if (readSync(file, header, 0, formerHeaderBytes, 0) < formerHeaderBytes) return undefined;
    const first = header.readDoubleLE(16);
    const isOurs = [magic, secondMagic, firstMagic].includes(header.readUInt32LE(0));
    return isOurs && Number.isSafeInteger(first) ? first : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}

function lostIn(bytes: Buffer, from: number, to: number, origin: SegmentOrigin): LostBytes | null {
  return to > from ? { from, to, looksTorn: looksTorn(bytes, from, origin) } : null;
}

/** Whether a write may have begun here that never came to the disk as a whole: its first sector did, or reads as zeros. */
function looksTorn(bytes: Buffer, at: number, origin: SegmentOrigin): boolean {
  const sectorEnd = (Math.floor(at / sectorBytes) + 1) * sectorBytes;
  const start = bytes.subarray(at, Math.min(sectorEnd, at + magicBytes.length));
  if (start.every((byte) => byte === 0)) return true;
  const isBegun = start.equals(magicBytes.subarray(0, start.length));
  // Something whole is of another daemon.
  return isBegun && batchAt(bytes, at, origin) === null;
}

/** The next whole and undamaged batch of the daemon, at `from` or behind it; null where none is. */
function nextBatch(bytes: Buffer, from: number, origin: SegmentOrigin): Batch | null {
  for (let at = bytes.indexOf(magicBytes, from); at >= 0; at = bytes.indexOf(magicBytes, at + 1)) {
    const batch = batchAt(bytes, at, origin);
    if (batch !== null && batch.daemon === origin.daemon) return batch;
  }
  return null;
}

/** The batch at `offset`, or null when no whole and undamaged one lies there. */
function batchAt(bytes: Buffer, from: number, origin: SegmentOrigin): Batch | null {
  if (from + formerHeaderBytes > bytes.length) return null;
  const found = bytes.readUInt32LE(from);
  if (found !== magic && found !== secondMagic && found !== firstMagic) return null;
  const start = from + (found === magic ? batchHeaderBytes : formerHeaderBytes);
  const to = start + bytes.readUInt32LE(from + 4);
  if (to > bytes.length) return null;
  const summed = bytes.subarray(found === firstMagic ? start : from + summedFrom, to);
  if (crc32(summed) !== bytes.readUInt32LE(from + 8)) return null;
  const first = bytes.readDoubleLE(from + 16);
  const last = found === firstMagic ? bytes.readDoubleLE(from + 24) : first + bytes.readUInt32LE(from + 24);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last) || last < first) return null;
  const batch = { records: bytes.subarray(start, to), first, last, from, to };
  const daemon = bytes.readUInt32LE(from + 12);
  if (found === firstMagic) {
    // Whatever lay in front of a batch of version 0.2 is taken for synced, and it may not say whose it is.
    const synced = { segment: origin.number, bytes: to };
    return { ...batch, daemon: daemon === 0 ? origin.daemon : daemon, segment: null, synced };
  }
  if (found === secondMagic) {
    const ownBytes = bytes.readUInt32LE(from + 28);
    const synced = ownBytes === 0 ? origin.before : { segment: origin.number, bytes: ownBytes };
    return { ...batch, daemon, segment: null, synced };
  }
  const synced = { segment: bytes.readUInt32LE(from + 32), bytes: bytes.readUInt32LE(from + 36) };
  return { ...batch, daemon, segment: bytes.readUInt32LE(from + 28), synced };
}
