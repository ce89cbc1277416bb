import {
  closeSync,
  constants,
  fdatasync as fdatasyncOf,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  readdirSync,
  truncateSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { ReelayError } from '../config/ReelayError.js';
import { makeFolderHere, syncFolderHere } from '../spool/durable.js';
import { odd, readPlainHere } from '../spool/plainFile.js';
import type { Quarantine } from '../spool/Quarantine.js';

/**
 * The append-only log of everything the recorder took from the ring, for all calls: the one thing that has to survive a
 * crash, since chunks are rendered from it. A journal is a folder of segments, `<number>.journal`, each a sequence of batches:
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u32 | magic `RJ01` |
 * | 4 | u32 | length of the records, bytes |
 * | 8 | u32 | CRC-32 of the records |
 * | 12 | u32 | CRC-32 of the daemon's name, which is that of the folder that holds the journal; zero in those of version 0.2 |
 * | 16 | f64 | sequence of the first record |
 * | 24 | f64 | sequence of the last record |
 * | 32 | … | records as they lay in the ring |
 *
 * A batch is handed to the kernel in one write, so a killed process leaves at most one torn batch, at the end; reading stops
 * there and appending starts behind the last whole one. What is damaged in between is passed over: reading goes on at the next
 * whole batch, and tells that there is a hole. Call numbers mean something within one journal only, so a segment that came from
 * another daemon's is nobody's here.
 */
const fdatasync = promisify(fdatasyncOf);
const magic = 0x31304a52;
const batchHeaderBytes = 32;
const magicBytes = Buffer.from('RJ01', 'latin1');
const segmentName = /^(\d{8})\.journal$/;
/** Segments end a batch after they are full, and a batch is at most what the ring holds; larger files are nobody's. */
const mostSegmentBytes = 2 ** 31 - 1;

/** A new segment begins after this many bytes, so that old audio can be given back to the disk in pieces of this size. */
const defaultSegmentBytes = 16 * 1024 * 1024;

/** Tests that may cause faults make segments small, so that these come and go in seconds. */
function usualSegmentBytes({ REELAY_FAULTS, REELAY_SEGMENT_BYTES: bytes }: NodeJS.ProcessEnv): number {
  return REELAY_FAULTS === '1' && bytes !== undefined ? Number(bytes) : defaultSegmentBytes;
}

interface Segment {
  readonly number: number;
  readonly path: string;
  /** Sequence of the first record in it; 0 while it is empty. */
  firstSequence: number;
  /** Sequence of the last record that was written when it was closed. */
  lastSequence: number;
}

export interface JournalBatch {
  readonly records: Uint8Array;
  /** Sequences of its first and last record. */
  readonly first: number;
  readonly last: number;
  /** Records between the batch before it and this one can't be read. */
  readonly isAfterHole: boolean;
}

type Batch = Omit<JournalBatch, 'isAfterHole'>;

export class Journal {
  readonly folder: string;
  readonly #segmentBytes: number;
  readonly #daemon: number;
  readonly #segments: Segment[] = [];
  #file = -1;
  #fileBytes = 0;
  #unsynced = false;
  #syncedSequence = 0;
  /** The newest segment's name is not yet safe from a loss of power. */
  #folderUnsynced = false;
  #syncing: Promise<void> | null = null;
  /** The sync that will follow the one under way. */
  #nextSync: Promise<void> | null = null;

  /**
   * Opens a journal, or begins one. What lies in it is first to be read with {@link replay}; `append` goes on behind that.
   *
   * @throws the file system's error when the folder cannot be made
   */
  constructor(folder: string, segmentBytes = usualSegmentBytes(process.env)) {
    this.folder = folder;
    this.#segmentBytes = segmentBytes;
    this.#daemon = crc32(basename(dirname(folder)));
    makeFolderHere(folder);
    for (const name of readdirSync(folder).sort()) {
      const number = segmentName.exec(name)?.[1];
      if (number === undefined) continue;
      this.#segments.push({
        number: Number(number),
        path: join(folder, name),
        firstSequence: 0,
        lastSequence: 0,
      });
    }
  }

  /**
   * Reads every whole batch, oldest first. A torn end is cut off. What is damaged is passed over and kept: a segment with damage
   * in it, or that isn't of this journal, goes into the quarantine as well, where it outlives the journal.
   *
   * @param quarantine - undefined: damage is told of, and goes with the journal
   * @yields what was appended at a time; the view is valid for as long as the caller keeps it
   */
  *replay(warn: (error: ReelayError) => void, quarantine?: Quarantine): Generator<JournalBatch, void, void> {
    let last = 0;
    for (const segment of this.#inOrder()) {
      const bytes = readPlainHere(segment.path, mostSegmentBytes);
      // What is rendered and sealed must not be ahead of what it was rendered from: whoever wrote this may not have come to syncing it.
      if (bytes !== odd && bytes !== undefined) syncFile(segment.path);
      if (bytes === odd) quarantine?.setAside(segment.path, 'a segment of a journal is a plain file');
      if (bytes === odd || bytes === undefined) continue;
      let damaged = 0;
      for (let offset = 0; offset < bytes.length;) {
        const batch = batchAt(bytes, offset, this.#daemon);
        if (batch === null) {
          const next = nextBatch(bytes, offset, this.#daemon);
          if (next < 0 && this.#isTorn(segment, bytes, offset))
            this.#cut(segment, offset, bytes.length, warn);
          else damaged += (next < 0 ? bytes.length : next) - offset;
          offset = next < 0 ? bytes.length : next;
          continue;
        }
        offset += batchHeaderBytes + batch.records.length;
        segment.firstSequence ||= batch.first;
        segment.lastSequence = batch.last;
        // A segment that lies there twice.
        if (batch.last <= last) continue;
        const isAfterHole = last > 0 && batch.first > last + 1;
        last = batch.last;
        this.#syncedSequence = last;
        yield { ...batch, isAfterHole };
      }
      if (damaged > 0) this.#keepDamaged(segment, damaged, bytes.length, warn, quarantine);
    }
  }

  /** Segments as they were written, whatever they are called now. */
  #inOrder(): Segment[] {
    let before = 0;
    const keyed = this.#segments.map((segment) => {
      before = firstIn(segment.path) ?? before;
      return { segment, first: before };
    });
    return keyed.sort((a, b) => a.first - b.first).map(({ segment }) => segment);
  }

  /** Whether no whole batch follows because the process that wrote this one ended: there is less of it than was meant. */
  #isTorn(segment: Segment, bytes: Buffer, offset: number): boolean {
    if (segment !== this.#segments.at(-1)) return false;
    if (offset + batchHeaderBytes > bytes.length) return true;
    if (bytes.readUInt32LE(offset) !== magic) return false;
    return offset + batchHeaderBytes + bytes.readUInt32LE(offset + 4) > bytes.length;
  }

  /**
   * Appends records that lie in one piece, as one batch, with one write.
   *
   * @throws the file system's error (`ENOSPC`, `EIO`); the torn batch is cut off again, so that a later try can succeed
   */
  append(records: Uint8Array, firstSequence: number, lastSequence: number): void {
    if (this.#file < 0 || this.#fileBytes >= this.#segmentBytes) this.#rotate();
    if (this.#folderUnsynced) syncFolderHere(this.folder);
    this.#folderUnsynced = false;
    const header = Buffer.alloc(batchHeaderBytes);
    header.writeUInt32LE(magic, 0);
    header.writeUInt32LE(records.length, 4);
    header.writeUInt32LE(crc32(records), 8);
    header.writeUInt32LE(this.#daemon, 12);
    header.writeDoubleLE(firstSequence, 16);
    header.writeDoubleLE(lastSequence, 24);
    const total = header.length + records.length;
    let written = 0;
    try {
      written = writevSync(this.#file, [header, records], this.#fileBytes);
    } finally {
      if (written < total) ftruncateSync(this.#file, this.#fileBytes);
    }
    if (written < total) {
      throw new ReelayError('spool_unwritable', {
        value: `${written} of ${total} bytes written to the journal`,
        remedy: 'Make room on the disk that holds the spool.',
      });
    }
    this.#fileBytes += total;
    this.#unsynced = true;
    const current = this.#segments.at(-1);
    if (current === undefined) return;
    current.firstSequence ||= firstSequence;
    current.lastSequence = lastSequence;
  }

  /**
   * Puts what was appended so far onto the disk, off this thread.
   *
   * @throws the file system's error
   */
  sync(): Promise<void> {
    // One under way may have begun before the last append; everybody who asks meanwhile shares the one that follows it.
    this.#nextSync ??= (this.#syncing ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        this.#nextSync = null;
        return this.#sync();
      });
    return this.#nextSync;
  }

  async #sync(): Promise<void> {
    if (!this.#unsynced || this.#file < 0) return;
    this.#unsynced = false;
    const sequence = this.#segments.at(-1)?.lastSequence ?? 0;
    this.#syncing = fdatasync(this.#file).finally(() => (this.#syncing = null));
    try {
      await this.#syncing;
      this.#syncedSequence = Math.max(this.#syncedSequence, sequence);
    } catch (error) {
      this.#unsynced = true;
      throw error;
    }
  }

  /** Records up to this one survive a loss of power. */
  get syncedSequence(): number {
    return this.#syncedSequence;
  }

  /** Sequence of the oldest record that the journal still holds; 0 when it holds none. */
  get firstSequence(): number {
    return this.#segments[0]?.firstSequence ?? 0;
  }

  /** Deletes the segments whose records are all older than `sequence`; the one being written stays. */
  release(sequence: number): void {
    let isReleased = false;
    while (this.#segments.length > 1) {
      const [oldest] = this.#segments;
      if (oldest === undefined || oldest.lastSequence >= sequence) break;
      unlinkSync(oldest.path);
      this.#segments.shift();
      isReleased = true;
    }
    // The tombstones of what is in there are forgotten next, and would be missed if the segment came back without them.
    if (isReleased) syncFolderHere(this.folder);
  }

  close(): void {
    if (this.#file >= 0) this.#leave(this.#file);
  }

  /** Puts a segment onto the disk for good. A sync that is under way still holds its file. */
  #leave(file: number): void {
    fsyncSync(file);
    this.#file = -1;
    this.#unsynced = false;
    this.#syncedSequence = Math.max(this.#syncedSequence, this.#segments.at(-1)?.lastSequence ?? 0);
    if (this.#syncing === null) closeSync(file);
    else void this.#syncing.catch(() => undefined).then(() => closeSync(file));
  }

  #rotate(): void {
    if (this.#file >= 0) this.#leave(this.#file);
    const number = (this.#segments.at(-1)?.number ?? 0) + 1;
    const path = join(this.folder, `${String(number).padStart(8, '0')}.journal`);
    this.#file = openSync(path, 'w');
    this.#fileBytes = 0;
    this.#folderUnsynced = true;
    const lastSequence = this.#segments.at(-1)?.lastSequence ?? 0;
    this.#segments.push({ number, path, firstSequence: 0, lastSequence });
  }

  #cut(segment: Segment, whole: number, size: number, warn: (error: ReelayError) => void): void {
    const value = `${segment.path}: ${size - whole} of ${size} bytes`;
    warn(
      new ReelayError('journal_torn', {
        value,
        remedy: 'Nothing to do: this is what a killed process leaves.',
      }),
    );
    // It would look like damage once another segment follows.
    truncateSync(segment.path, whole);
    syncFile(segment.path);
  }

  #keepDamaged(
    { path }: Segment,
    damaged: number,
    size: number,
    warn: (error: ReelayError) => void,
    quarantine: Quarantine | undefined,
  ): void {
    const value = `${path}: ${damaged} of ${size} bytes`;
    warn(new ReelayError('journal_unreadable', { value, remedy: 'Look for disk errors.' }));
    quarantine?.keep(path, `${damaged} of ${size} bytes are damaged, or of another journal`);
  }
}

/** The records of the batch at `offset`, or null when no whole and undamaged batch of this daemon lies there. */
function batchAt(bytes: Buffer, offset: number, daemon: number): Batch | null {
  if (offset + batchHeaderBytes > bytes.length || bytes.readUInt32LE(offset) !== magic) return null;
  const length = bytes.readUInt32LE(offset + 4);
  const start = offset + batchHeaderBytes;
  if (start + length > bytes.length) return null;
  const of = bytes.readUInt32LE(offset + 12);
  if (of !== 0 && of !== daemon) return null;
  const records = bytes.subarray(start, start + length);
  if (crc32(records) !== bytes.readUInt32LE(offset + 8)) return null;
  const [first, last] = [bytes.readDoubleLE(offset + 16), bytes.readDoubleLE(offset + 24)];
  return Number.isSafeInteger(first) && Number.isSafeInteger(last) && last >= first
    ? { records, first, last }
    : null;
}

function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Where the next whole batch begins behind a damaged one; -1 where none does. */
function nextBatch(bytes: Buffer, damaged: number, daemon: number): number {
  for (let at = damaged + 1; ; at++) {
    at = bytes.indexOf(magicBytes, at);
    if (at < 0 || batchAt(bytes, at, daemon) !== null) return at;
  }
}

/** Sequence of the first record that a segment says to hold; undefined where it says nothing that can be read. */
function firstIn(path: string): number | undefined {
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
    return header.readUInt32LE(0) === magic && Number.isSafeInteger(first) ? first : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}
