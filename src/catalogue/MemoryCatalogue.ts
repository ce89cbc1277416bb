import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Catalogue,
  type CatalogueEntry,
  type CataloguePage,
  type CatalogueQuery,
  type CatalogueTombstone,
  type CatalogueWrite,
  isVisible,
} from './Catalogue.js';
import { MemoryOutbox } from './MemoryOutbox.js';
import { cursorOf, type Place, placeAt, placeOf } from './Place.js';
import { beginningsOf, isFound } from './searchTerms.js';

interface Row extends Place {
  entry: CatalogueEntry;
}

/** Rows that a search looks at before it lets others in. */
const slice = 2000;

/**
 * The catalogue of one daemon, in memory: rebuilt at every start, about 500 bytes for a recording. Adding the newest costs one
 * append; a page costs a binary search and the rows that are looked at.
 */
export class MemoryCatalogue implements Catalogue {
  readonly isLasting = false;
  readonly isShared = false;
  readonly outbox = new MemoryOutbox();
  readonly #byId = new Map<string, Row>();
  /** Oldest first. */
  readonly #rows: Row[] = [];
  readonly #read = new Set<string>();
  readonly #buried = new Map<string, CatalogueTombstone>();

  open(): Promise<void> {
    return Promise.resolve();
  }

  write(writes: readonly CatalogueWrite[]): Promise<void> {
    for (const { entry } of writes) this.#write(entry);
    return Promise.resolve();
  }

  remove(recordingId: string): Promise<void> {
    const known = this.#byId.get(recordingId);
    if (known !== undefined) this.#rows.splice(this.#position(known), 1);
    this.#byId.delete(recordingId);
    return Promise.resolve();
  }

  async bury(tombstone: CatalogueTombstone): Promise<void> {
    await this.remove(tombstone.recordingId);
    this.#buried.set(tombstone.recordingId, tombstone);
  }

  tombstone(recordingId: string): Promise<CatalogueTombstone | undefined> {
    return Promise.resolve(this.#buried.get(recordingId));
  }

  get(recordingId: string): Promise<CatalogueEntry | undefined> {
    return Promise.resolve(this.#byId.get(recordingId)?.entry);
  }

  /** They would take more memory than everything else. */
  chunks(): Promise<null> {
    return Promise.resolve(null);
  }

  async list(query: CatalogueQuery): Promise<CataloguePage> {
    const beginnings = beginningsOf(query.search ?? '');
    const found: Row[] = [];
    let after = query.cursor === undefined ? undefined : placeAt(query.cursor);
    // Where it stands is found anew after each slice, since rows may come and go meanwhile.
    for (;;) {
      let at = after === undefined ? this.#rows.length : this.#position(after);
      const end = Math.max(0, at - slice);
      while (at-- > end) {
        const row = this.#rows[at];
        if (row === undefined || row.startMs < (query.fromMs ?? -Infinity)) return pageOf(found, null);
        after = row;
        if (!matches(row, query) || !isFound(row.entry, beginnings)) continue;
        const last = found.at(-1);
        if (found.length === query.limit && last !== undefined) return pageOf(found, cursorOf(last));
        found.push(row);
      }
      if (end === 0) return pageOf(found, null);
      await nextTurn();
    }
  }

  wasRead(place: string): Promise<boolean> {
    return Promise.resolve(this.#read.has(place));
  }

  markRead(place: string): Promise<void> {
    this.#read.add(place);
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #write(entry: CatalogueEntry): void {
    const known = this.#byId.get(entry.recordingId);
    const row: Row = { entry, ...placeOf(entry) };
    if (known?.startMs === row.startMs) {
      known.entry = entry;
      return;
    }
    if (known !== undefined) this.#rows.splice(this.#position(known), 1);
    this.#byId.set(row.recordingId, row);
    this.#rows.splice(this.#position(row), 0, row);
  }

  /** Index of the first row that isn't older than the place. */
  #position(place: Place): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.#rows[middle];
      if (row !== undefined && isOlder(row, place)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function pageOf(rows: readonly Row[], next: string | null): CataloguePage {
  return { entries: rows.map(({ entry }) => entry), next };
}

function isOlder(a: Place, b: Place): boolean {
  return a.startMs === b.startMs ? a.recordingId < b.recordingId : a.startMs < b.startMs;
}

function matches({ entry, startMs }: Row, query: CatalogueQuery): boolean {
  if (startMs >= (query.toMs ?? Infinity)) return false;
  if (query.account !== undefined && entry.accountId !== query.account) return false;
  if (query.callId !== undefined && entry.callId !== query.callId) return false;
  if (query.state !== undefined && entry.state !== query.state) return false;
  return isVisible(query.visible, entry.accountId);
}
