import {
  closeSync,
  fdatasync as fdatasyncOf,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  truncateSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { ReelayError } from '../config/ReelayError.js';
import { makeFolderHere, syncFolder, syncFolderHere } from '../spool/durable.js';
import { odd, readPlainHere } from '../spool/plainFile.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { batchHeader, firstIn, readSegment, type SegmentBatch } from './readSegment.js';

/**
 * The append-only log of everything the recorder took from the ring, for all calls: the one thing that has to survive a
 * crash, since chunks are rendered from it. A journal is a folder of segments, `<number>.journal`; {@link readSegment} says what
 * lies in them.
 *
 * A batch is handed to the kernel in one write, so a killed process leaves at most one torn batch, at the end; reading stops
 * there and appending starts behind the last whole one. A loss of power may leave anything behind what was synced: sectors that
 * read as zeros, and whole batches behind them. Segments but the last one were synced before the next began, and of the last one
 * the batches say how much was; what can't be read before that is damage. Both are passed over: reading goes on at the next
 * whole batch, and tells that there is a hole. Call numbers mean something within one journal only, so a segment that came from
 * another daemon's is nobody's here.
 */
const fdatasync = promisify(fdatasyncOf);
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

export interface JournalBatch extends SegmentBatch {
  /** Records between the batch before it and this one can't be read. */
  readonly isAfterHole: boolean;
}

export class Journal {
  readonly folder: string;
  readonly #segmentBytes: number;
  readonly #daemon: number;
  readonly #segments: Segment[] = [];
  #file = -1;
  #fileBytes = 0;
  #unsynced = false;
  #syncedSequence = 0;
  /** Of the segment that is being written. */
  #syncedBytes = 0;
  /** The segment whose name is not yet safe from a loss of power; null: all are. */
  #unnamed: Segment | null = null;
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
   * @param isSecured - {@link secureJournal} has been waited for
   * @yields what was appended at a time; the view is valid for as long as the caller keeps it
   */
  *replay(
    warn: (error: ReelayError) => void,
    quarantine?: Quarantine,
    isSecured = false,
  ): Generator<JournalBatch, void, void> {
    let last = 0;
    // What is rendered and sealed must not be ahead of what it was rendered from: whoever wrote this may not have come to syncing it,
    // nor the name of the last segment.
    if (!this.isEmpty && !isSecured) syncFolderHere(this.folder);
    for (const segment of this.#inOrder()) {
      const bytes = readPlainHere(segment.path, mostSegmentBytes);
      if (bytes !== odd && bytes !== undefined && !isSecured) syncFile(segment.path);
      if (bytes === odd) quarantine?.setAside(segment.path, 'a segment of a journal is a plain file');
      if (bytes === odd || bytes === undefined) continue;
      const { batches, damaged, torn, wholeBytes } = readSegment(bytes, this.#daemon, this.#isLast(segment));
      for (const batch of batches) {
        segment.firstSequence ||= batch.first;
        segment.lastSequence = batch.last;
        // A segment that lies there twice.
        if (batch.last <= last) continue;
        const isAfterHole = last > 0 && batch.first > last + 1;
        last = batch.last;
        this.#syncedSequence = last;
        yield { ...batch, isAfterHole };
      }
      if (torn > 0) this.#leaveTorn(segment, torn, wholeBytes, bytes.length, warn);
      if (damaged > 0) this.#keepDamaged(segment, damaged, bytes.length, warn, quarantine);
    }
  }

  /** Whether it has no segment at all. */
  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  #isLast(segment: Segment): boolean {
    return segment === this.#segments.at(-1);
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

  /**
   * Appends records that lie in one piece, as one batch, with one write.
   *
   * @throws the file system's error (`ENOSPC`, `EIO`); the torn batch is cut off again, so that a later try can succeed
   */
  append(records: Uint8Array, firstSequence: number, lastSequence: number): void {
    if (this.#file < 0 || this.#fileBytes >= this.#segmentBytes) this.#rotate();
    const sequences = { first: firstSequence, last: lastSequence };
    const header = batchHeader(records, {
      ...sequences,
      daemon: this.#daemon,
      syncedBytes: this.#syncedBytes,
    });
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
   * Puts what was appended so far onto the disk, off this thread: the name of a new segment first.
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
    const [file, bytes] = [this.#file, this.#fileBytes];
    this.#syncing = this.#syncWithName(this.#file).finally(() => (this.#syncing = null));
    try {
      await this.#syncing;
      this.#syncedSequence = Math.max(this.#syncedSequence, sequence);
      if (file === this.#file) this.#syncedBytes = bytes;
    } catch (error) {
      this.#unsynced = true;
      throw error;
    }
  }

  /** Nothing of what is in a segment is safe before its name is. */
  async #syncWithName(file: number): Promise<void> {
    const named = this.#unnamed;
    if (named !== null) await syncFolder(this.folder);
    // Another may have been begun meanwhile.
    if (this.#unnamed === named) this.#unnamed = null;
    await fdatasync(file);
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
    if (this.#unnamed !== null) syncFolderHere(this.folder);
    this.#unnamed = null;
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
    this.#syncedBytes = 0;
    const lastSequence = this.#segments.at(-1)?.lastSequence ?? 0;
    this.#unnamed = { number, path, firstSequence: 0, lastSequence };
    this.#segments.push(this.#unnamed);
  }

  /** What nobody had synced, and is not whole: it is cut off, unless something whole lies behind. */
  #leaveTorn(
    { path }: Segment,
    torn: number,
    wholeBytes: number,
    size: number,
    warn: (error: ReelayError) => void,
  ): void {
    const value = `${path}: ${torn} of ${size} bytes`;
    const remedy = 'Nothing to do: this is what a killed process leaves, or a loss of power.';
    warn(new ReelayError('journal_torn', { value, remedy }));
    if (wholeBytes === size) return;
    // It would look like damage once another segment follows.
    truncateSync(path, wholeBytes);
    syncFile(path);
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

/**
 * Makes what a daemon has written that is gone safe from a loss of power, segments and their names. Off this thread, which has to show
 * that it is alive: on a busy disk each may take seconds.
 *
 * @throws the file system's error
 */
export async function secureJournal(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile() || !segmentName.test(entry.name)) continue;
    const file = await open(join(folder, entry.name), 'r');
    await file.sync().finally(() => file.close());
  }
  await syncFolder(folder);
}

function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
