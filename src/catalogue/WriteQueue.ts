import type { CatalogueChunk, CatalogueEntry, CatalogueWrite } from './Catalogue.js';

/** What is written in one go: about 20 ms in SQLite, which holds its thread up meanwhile. */
const writesAtOnce = 64;
const chunksAtOnce = 500;

interface Waiting {
  readonly entry: CatalogueEntry;
  /** By index. */
  readonly chunks: ReadonlyMap<number, CatalogueChunk>;
  /** When the recording came into the queue, in writes since the beginning. */
  readonly since: number;
}

/**
 * Entries that wait to be written, the latest of each recording. Beyond its bound the oldest is dropped and counted: everything in it
 * can be had from spool and stores again.
 */
export class WriteQueue {
  /** Entries that were dropped since the beginning. */
  dropped = 0;
  readonly #most: number;
  /** By recording, in the order in which they came. */
  #waiting = new Map<string, Waiting>();
  #taken: readonly Waiting[] = [];
  #asked = 0;

  /** @param most - recordings that may wait */
  constructor(most: number) {
    this.#most = most;
  }

  /** Recordings that wait, those included that are being written. */
  get size(): number {
    return this.#waiting.size + this.#taken.length;
  }

  /** How many writes have come. */
  get asked(): number {
    return this.#asked;
  }

  /** All writes up to this one are written, or dropped. */
  get done(): number {
    const [next] = this.#waiting.values();
    return Math.min(...this.#taken.map(({ since }) => since), next?.since ?? Infinity, this.#asked + 1) - 1;
  }

  /** @returns false for one that isn't taken, because a recording of the same id waits and is another account's */
  add({ entry, chunks = [] }: CatalogueWrite): boolean {
    const before = this.#waiting.get(entry.recordingId);
    if (before !== undefined && before.entry.accountId !== entry.accountId) return false;
    this.#asked++;
    const all = new Map([...(before?.chunks ?? []), ...chunks.map((chunk) => [chunk.index, chunk] as const)]);
    this.#waiting.set(entry.recordingId, { entry, chunks: all, since: before?.since ?? this.#asked });
    this.#bound();
    return true;
  }

  /** The entry that waits, if one does. */
  get(recordingId: string): CatalogueEntry | undefined {
    return (this.#waiting.get(recordingId) ?? this.#inHand(recordingId))?.entry;
  }

  /** Nothing more of this recording is to be written. */
  forget(recordingId: string): void {
    this.#waiting.delete(recordingId);
  }

  /** What is to be written next, until it is `written` or `putBack`; a recording with many chunks comes several times. */
  take(): CatalogueWrite[] {
    const taken: Waiting[] = [];
    let room = chunksAtOnce;
    for (const [recordingId, waiting] of this.#waiting) {
      if (taken.length === writesAtOnce || room === 0) break;
      const chunks = [...waiting.chunks];
      taken.push({ ...waiting, chunks: new Map(chunks.slice(0, room)) });
      const rest = chunks.slice(room);
      if (rest.length === 0) this.#waiting.delete(recordingId);
      else this.#waiting.set(recordingId, { ...waiting, chunks: new Map(rest) });
      room -= Math.min(room, chunks.length);
    }
    this.#taken = taken;
    return taken.map(({ entry, chunks }) => ({ entry, chunks: [...chunks.values()] }));
  }

  written(): void {
    this.#taken = [];
  }

  /** It could not be written. What has come of the same recordings since then counts. */
  putBack(): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const taken of this.#taken) {
      const { recordingId } = taken.entry;
      const later = waiting.get(recordingId);
      // Another account's of the same id came too late.
      const newer = later?.entry.accountId === taken.entry.accountId ? later : undefined;
      const chunks = new Map([...taken.chunks, ...(newer?.chunks ?? [])]);
      this.#waiting.set(recordingId, { entry: newer?.entry ?? taken.entry, chunks, since: taken.since });
      waiting.delete(recordingId);
    }
    for (const [recordingId, each] of waiting) this.#waiting.set(recordingId, each);
    this.#taken = [];
    this.#bound();
  }

  #bound(): void {
    for (const oldest of this.#waiting.keys()) {
      if (this.#waiting.size <= this.#most) return;
      this.#waiting.delete(oldest);
      this.dropped++;
    }
  }

  #inHand(recordingId: string): Waiting | undefined {
    return this.#taken.find(({ entry }) => entry.recordingId === recordingId);
  }
}
