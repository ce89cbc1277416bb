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
  /** Recordings of each account that has some. */
  readonly #accounts = new Map<string, number>();

  open(): Promise<void> {
    return Promise.resolve();
  }

  write(writes: readonly CatalogueWrite[]): Promise<readonly CatalogueEntry[]> {
    const refused = writes.map(({ entry }) => entry).filter((entry) => !this.#write(entry));
    return Promise.resolve(refused);
  }

  remove(recordingId: string): Promise<void> {
    const known = this.#byId.get(recordingId);
    if (known === undefined) return Promise.resolve();
    this.#rows.splice(this.#position(known), 1);
    this.#byId.delete(recordingId);
    const { accountId } = known.entry;
    const left = (this.#accounts.get(accountId) ?? 1) - 1;
    if (left > 0) this.#accounts.set(accountId, left);
    else this.#accounts.delete(accountId);
    return Promise.resolve();
  }

  async bury(tombstone: CatalogueTombstone): Promise<boolean> {
    const { recordingId, accountId } = tombstone;
    const owner = this.#byId.get(recordingId)?.entry.accountId;
    if (owner !== undefined && owner !== accountId) return false;
    // What somebody else has said of an id gives way to the account that has had the recording.
    if (owner === accountId || !this.#buried.has(recordingId)) this.#buried.set(recordingId, tombstone);
    await this.remove(recordingId);
    return true;
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

  accountAfter(accountId: string): Promise<string | undefined> {
    let next: string | undefined;
    for (const each of this.#accounts.keys())
      if (each > accountId && (next === undefined || each < next)) next = each;
    return Promise.resolve(next);
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

  /** @returns false where the recording is another account's */
  #write(entry: CatalogueEntry): boolean {
    const known = this.#byId.get(entry.recordingId);
    if (known !== undefined && known.entry.accountId !== entry.accountId) return false;
    if (this.#buried.get(entry.recordingId)?.accountId === entry.accountId) return true;
    const row: Row = { entry, ...placeOf(entry) };
    if (known?.startMs === row.startMs) {
      known.entry = entry;
      return true;
    }
    if (known !== undefined) this.#rows.splice(this.#position(known), 1);
    else this.#accounts.set(entry.accountId, (this.#accounts.get(entry.accountId) ?? 0) + 1);
    this.#byId.set(row.recordingId, row);
    this.#rows.splice(this.#position(row), 0, row);
    return true;
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
