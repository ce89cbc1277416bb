import {
  closeSync,
  copyFileSync,
  fdatasync as fdatasyncOf,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  truncateSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { ReelayError } from '../config/ReelayError.js';
import { syncFolderHere } from '../spool/durable.js';

/**
 * The append-only log of everything the recorder took from the ring, for all calls: the one thing that has to survive a
 * crash, since chunks are rendered from it. A journal is a folder of segments, `<number>.journal`, each a sequence of batches:
 *
 * | offset | type | field |
 * |---|---|---|
 * | 0 | u32 | magic `RJ01` |
 * | 4 | u32 | length of the records, bytes |
 * | 8 | u32 | CRC-32 of the records |
 * | 12 | u32 | zero |
 * | 16 | f64 | sequence of the first record |
 * | 24 | f64 | sequence of the last record |
 * | 32 | … | records as they lay in the ring |
 *
 * A batch is handed to the kernel in one write, so a killed process leaves at most one torn batch, at the end; reading stops
 * there and appending starts behind the last whole one.
 */
const fdatasync = promisify(fdatasyncOf);
const magic = 0x31304a52;
const batchHeaderBytes = 32;
const segmentName = /^(\d{8})\.journal$/;

/** A new segment begins after this many bytes, so that old audio can be given back to the disk in pieces of this size. */
const defaultSegmentBytes = 16 * 1024 * 1024;

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
}

export class Journal {
  readonly folder: string;
  readonly #segmentBytes: number;
  readonly #segments: Segment[] = [];
  #file = -1;
  #fileBytes = 0;
  #unsynced = false;
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
  constructor(folder: string, segmentBytes = defaultSegmentBytes) {
    this.folder = folder;
    this.#segmentBytes = segmentBytes;
    mkdirSync(folder, { recursive: true });
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
   * Reads every whole batch, oldest first. A torn end is cut off; of a segment that is damaged in its middle a copy is kept
   * beside the others as `.damaged`, and it is read up to the damage.
   *
   * @yields what was appended at a time; the view is valid for as long as the caller keeps it
   */
  *replay(warn: (error: ReelayError) => void): Generator<JournalBatch, void, void> {
    for (const segment of this.#segments) {
      const bytes = readFileSync(segment.path);
      let offset = 0;
      for (;;) {
        const batch = batchAt(bytes, offset);
        if (batch === null) break;
        segment.firstSequence ||= batch.first;
        segment.lastSequence = batch.last;
        offset += batchHeaderBytes + batch.records.length;
        yield batch;
      }
      if (offset < bytes.length) this.#cut(segment, offset, bytes.length, warn);
    }
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
    this.#syncing = fdatasync(this.#file).finally(() => (this.#syncing = null));
    try {
      await this.#syncing;
    } catch (error) {
      this.#unsynced = true;
      throw error;
    }
  }

  /** Sequence of the oldest record that the journal still holds; 0 when it holds none. */
  get firstSequence(): number {
    return this.#segments[0]?.firstSequence ?? 0;
  }

  /** Deletes the segments whose records are all older than `sequence`; the one being written stays. */
  release(sequence: number): void {
    while (this.#segments.length > 1) {
      const [oldest] = this.#segments;
      if (oldest === undefined || oldest.lastSequence >= sequence) return;
      unlinkSync(oldest.path);
      this.#segments.shift();
    }
  }

  close(): void {
    if (this.#file >= 0) this.#leave(this.#file);
  }

  /** Puts a segment onto the disk for good. A sync that is under way still holds its file. */
  #leave(file: number): void {
    fsyncSync(file);
    this.#file = -1;
    this.#unsynced = false;
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
    const torn = segment === this.#segments.at(-1);
    warn(
      new ReelayError(torn ? 'journal_torn' : 'journal_unreadable', {
        value: `${segment.path}: ${size - whole} of ${size} bytes`,
        remedy: torn ? 'Nothing to do: this is what a killed process leaves.' : 'Look for disk errors.',
      }),
    );
    // What is whole stays: it may have to be read again. A torn end would look like damage once another segment follows.
    if (!torn) copyFileSync(segment.path, `${segment.path}.damaged`);
    truncateSync(segment.path, whole);
  }
}

/** The records of the batch at `offset`, or null when no whole and undamaged batch lies there. */
function batchAt(bytes: Buffer, offset: number): JournalBatch | null {
  if (offset + batchHeaderBytes > bytes.length || bytes.readUInt32LE(offset) !== magic) return null;
  const length = bytes.readUInt32LE(offset + 4);
  const start = offset + batchHeaderBytes;
  if (start + length > bytes.length) return null;
  const records = bytes.subarray(start, start + length);
  if (crc32(records) !== bytes.readUInt32LE(offset + 8)) return null;
  return { records, first: bytes.readDoubleLE(offset + 16), last: bytes.readDoubleLE(offset + 24) };
}
