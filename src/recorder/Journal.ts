import {
  fdatasync as fdatasyncOf,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  readdirSync,
  writevSync,
} from 'node:fs';
import { open, readdir, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { ReelayError } from '../config/ReelayError.js';
import { syncFolder, syncFolderHere } from '../spool/durable.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { isBefore, journalBeginning, laterOf, type JournalPlace } from './JournalPlace.js';
import { JournalReplay, type JournalBatch } from './JournalReplay.js';
import { batchHeader } from './readSegment.js';
import { Segment } from './Segment.js';

const fdatasync = promisify(fdatasyncOf);

/** A new segment begins after this many bytes, so that old audio can be given back to the disk in pieces of this size. */
const defaultSegmentBytes = 16 * 1024 * 1024;

/**
 * What is written at once, bytes. While the kernel copies it, nothing else runs on that processor where the kernel can't be preempted, be
 * it the thread that moves frames: 25 MiB of a recorder that had fallen behind were seen to take 6 ms at a time.
 */
const writeBytes = 128 * 1024;

/** Tests that may cause faults make segments small, so that these come and go in seconds. */
function usualSegmentBytes({ REELAY_FAULTS, REELAY_SEGMENT_BYTES: bytes }: NodeJS.ProcessEnv): number {
  return REELAY_FAULTS === '1' && bytes !== undefined ? Number(bytes) : defaultSegmentBytes;
}

/**
 * The append-only log of everything the recorder took from the ring, for all calls: the one thing that has to survive a
 * crash, since chunks are rendered from it. A journal is a folder of segments, `<number>.journal`; {@link readSegment} says what
 * lies in them.
 *
 * A batch is handed to the kernel before the next one is, so a killed process leaves at most one torn batch, at the end; reading stops
 * there and appending starts behind the last whole one. A loss of power may leave anything behind what was synced: sectors that
 * read as zeros, whole batches behind them, segments that miss their end or are missing altogether. How far that was, each batch
 * says; what can't be read before that is damage ({@link JournalReplay}). Call numbers mean something within one journal only,
 * so a segment that came from another daemon's is nobody's here.
 *
 * Nothing here waits for the disk but {@link close}: a segment that is full stays open until a {@link sync} has made it safe, and
 * one that nobody needs goes behind, name by name.
 */
export class Journal {
  readonly folder: string;
  readonly #segmentBytes: number;
  readonly #daemon: number;
  /** The last one is being written while {@link #isWriting}; those that wait for a sync have their file open. */
  readonly #segments: Segment[] = [];
  #isWriting = false;
  /** Nobody needs these, but until their names are gone for good, a loss of power may bring them back. */
  readonly #deleted: Segment[] = [];
  #deleting: Promise<void> | null = null;
  /** Folders whose names count, and those of them in which there may be some that can be lost with the power. */
  readonly #folders: readonly string[];
  readonly #unsafeFolders: Set<string>;
  /** What was here at the beginning, too. */
  #isSecured = false;
  #unsynced = true;
  #syncedSequence = 0;
  #syncedTo = journalBeginning;
  #syncing: Promise<void> | null = null;
  /** The sync that will follow the one under way. */
  #nextSync: Promise<void> | null = null;

  /**
   * Opens a journal, or begins one. What lies in it is first to be read with {@link replay}; `append` goes on behind that.
   *
   * @param beside - folders whose names have to be safe, too, before anything of this counts as safe or may go
   * @throws the file system's error when the folder cannot be made
   */
  constructor(folder: string, segmentBytes = usualSegmentBytes(process.env), beside: readonly string[] = []) {
    this.folder = folder;
    this.#segmentBytes = segmentBytes;
    this.#daemon = crc32(basename(dirname(folder)));
    mkdirSync(folder, { recursive: true });
    this.#folders = [dirname(folder), folder, ...beside];
    this.#unsafeFolders = new Set(this.#folders);
    for (const name of readdirSync(folder).sort()) {
      const segment = Segment.named(folder, name);
      if (segment !== undefined) this.#segments.push(segment);
    }
  }

  /**
   * Reads every whole batch, oldest first. A torn end is cut off. What is damaged is passed over and kept: a segment with damage
   * in it, or that isn't of this journal, goes into the quarantine as well, where it outlives the journal.
   *
   * @param quarantine - undefined: damage is told of, and goes with the journal
   * @param isSecured - {@link secureJournal} has been waited for; else what isn't safe from a loss of power is left to the first sync
   * @yields what was appended at a time; the view is valid for as long as the caller keeps it
   */
  *replay(
    warn: (error: ReelayError) => void,
    quarantine?: Quarantine,
    isSecured = false,
  ): Generator<JournalBatch, void, void> {
    const replay = new JournalReplay(this.#segments, this.#daemon, { warn, quarantine });
    for (const batch of replay.batches()) {
      this.#syncedSequence = isSecured ? batch.last : replay.syncedSequence;
      yield batch;
    }
    this.#syncedTo = replay.synced;
    if (isSecured) {
      this.#isSecured = true;
      this.#unsynced = false;
      this.#unsafeFolders.clear();
      return;
    }
    for (const segment of this.#segments)
      if (segment.bytes > 0 && isBefore(this.#syncedTo, endOf(segment))) segment.open('r');
  }

  /** Whether it has no segment at all. */
  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  /**
   * Appends records as one batch, however many pieces they lie in: with one write, unless it is a long one.
   *
   * @param pieces - whole records each, their sequences rising from one to the next
   * @throws the file system's error (`ENOSPC`, `EIO`); the torn batch is cut off again, so that a later try can succeed
   */
  append(pieces: readonly Uint8Array[], firstSequence: number, lastSequence: number): void {
    const segment = this.#current();
    const header = batchHeader(pieces, {
      daemon: this.#daemon,
      segment: segment.number,
      synced: this.#syncedTo,
      first: firstSequence,
      last: lastSequence,
    });
    const parts = [header, ...pieces];
    const total = parts.reduce((sum, { length }) => sum + length, 0);
    let written = 0;
    try {
      for (const group of groupsOf(parts))
        written += writevSync(segment.file, group, segment.bytes + written);
    } finally {
      if (written < total) ftruncateSync(segment.file, segment.bytes);
    }
    if (written < total) {
      throw new ReelayError('spool_unwritable', {
        value: `${written} of ${total} bytes written to the journal`,
        remedy: 'Make room on the disk that holds the spool.',
      });
    }
    segment.bytes += total;
    segment.firstSequence ||= firstSequence;
    segment.lastSequence = lastSequence;
    this.#unsynced = true;
  }

  /** The segment that is to be written: a new one, when there is none or the last is full. */
  #current(): Segment {
    const last = this.#segments.at(-1);
    if (this.#isWriting && last !== undefined && last.bytes < this.#segmentBytes) return last;
    const segment = new Segment(this.folder, (last?.number ?? 0) + 1);
    segment.open('w');
    segment.lastSequence = last?.lastSequence ?? 0;
    this.#segments.push(segment);
    this.#unsafeFolders.add(this.folder);
    this.#isWriting = true;
    return segment;
  }

  /**
   * Puts what was appended so far onto the disk, off this thread: full segments, the one that is being written, and their names.
   *
   * @throws the file system's error; nothing counts as safe then that didn't before
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
    if (!this.#unsynced) return;
    this.#unsynced = false;
    const last = this.#segments.at(-1);
    const reached = { place: endOf(last), sequence: last?.lastSequence ?? 0 };
    const segments = this.#segments.filter(isOpen);
    const folders = [...this.#unsafeFolders];
    this.#unsafeFolders.clear();
    this.#syncing = syncAll(folders, segments).finally(() => (this.#syncing = null));
    try {
      await this.#syncing;
    } catch (error) {
      this.#unsynced = true;
      for (const folder of folders) this.#unsafeFolders.add(folder);
      throw error;
    }
    this.#reached(reached);
    // Whether or not it is full by now, what came into the last one since isn't safe.
    for (const segment of segments) if (segment !== last) segment.close();
  }

  #reached({ place, sequence }: { readonly place: JournalPlace; readonly sequence: number }): void {
    this.#isSecured = true;
    this.#syncedTo = laterOf(this.#syncedTo, place);
    this.#syncedSequence = Math.max(this.#syncedSequence, sequence);
  }

  /** Records up to this one survive a loss of power. */
  get syncedSequence(): number {
    return this.#syncedSequence;
  }

  /**
   * Sequence of the oldest record that the journal holds, or may hold again after a loss of power; 0 when it holds none, or nobody
   * can tell before the first sync. Whatever speaks of older ones may be forgotten.
   */
  get firstSequence(): number {
    if (!this.#isSecured) return 0;
    return (this.#deleted[0] ?? this.#segments[0])?.firstSequence ?? 0;
  }

  /**
   * Deletes the segments whose records are all older than `sequence`, off this thread; those stay that are being written or wait for
   * a sync. Until one is gone for good, {@link firstSequence} stays.
   *
   * @returns when all are gone for good that could go
   * @throws the file system's error; the next call tries again
   */
  release(sequence: number): Promise<void> {
    for (
      let oldest = this.#segments[0];
      this.#isSecured && oldest !== undefined;
      oldest = this.#segments[0]
    ) {
      const isNeeded = oldest.lastSequence >= sequence || isOpen(oldest);
      if (isNeeded || this.#segments.length === 1) break;
      this.#deleted.push(oldest);
      this.#segments.shift();
    }
    this.#deleting ??= this.#delete().finally(() => (this.#deleting = null));
    return this.#deleting;
  }

  /** One after the other, oldest first: a journal that lost one in its middle with the power would be taken for damaged. */
  async #delete(): Promise<void> {
    for (let oldest = this.#deleted[0]; oldest !== undefined; oldest = this.#deleted[0]) {
      await unlink(oldest.path).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      });
      await syncFolder(this.folder);
      this.#deleted.shift();
    }
  }

  /** Puts everything onto the disk, waiting for it on this thread, and ends writing. */
  close(): void {
    const segments = this.#segments.filter(isOpen);
    if (segments.length === 0) return;
    // All of them: a sync that is under way has taken its own off the list, and may fail yet.
    for (const folder of this.#folders) syncFolderHere(folder);
    for (const { file } of segments) fdatasyncSync(file);
    this.#unsafeFolders.clear();
    this.#unsynced = this.#isWriting = false;
    const last = this.#segments.at(-1);
    this.#reached({ place: endOf(last), sequence: last?.lastSequence ?? 0 });
    // A sync that is under way still holds the files.
    const shut = (): void => segments.forEach((segment) => segment.close());
    if (this.#syncing === null) shut();
    else void this.#syncing.catch(() => undefined).then(shut);
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
    const segment = entry.isFile() ? Segment.named(folder, entry.name) : undefined;
    if (segment === undefined) continue;
    const file = await open(segment.path, 'r');
    await file.sync().finally(() => file.close());
  }
  await syncFolder(folder);
  await syncFolder(dirname(folder));
}

/** The same bytes in groups that are written at once. */
function* groupsOf(parts: readonly Uint8Array[]): Generator<Uint8Array[], void, void> {
  let group: Uint8Array[] = [];
  let room = writeBytes;
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      const piece = part.subarray(at, at + room);
      group.push(piece);
      at += piece.length;
      room -= piece.length;
      if (room > 0) continue;
      yield group;
      [group, room] = [[], writeBytes];
    }
  }
  if (group.length > 0) yield group;
}

function isOpen({ file }: Segment): boolean {
  return file >= 0;
}

/** Where what is in a segment ends; of none, the journal's beginning. */
function endOf(segment: Segment | undefined): JournalPlace {
  return segment === undefined ? journalBeginning : { segment: segment.number, bytes: segment.bytes };
}

/** All at once: together they take a disk hardly longer than one of them. Settles when none is under way any more. */
async function syncAll(folders: readonly string[], segments: readonly Segment[]): Promise<void> {
  const syncs = [...folders.map(syncFolder), ...segments.map(({ file }) => fdatasync(file))];
  const failed = (await Promise.allSettled(syncs)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
