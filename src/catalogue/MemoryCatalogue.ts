import { ReelayError } from '../config/ReelayError.js';
import type { Catalogue, CatalogueEntry, CataloguePage, CatalogueQuery } from './Catalogue.js';

/** Where a recording stands in the order: newest start first, then by id so that the order is total. */
interface Place {
  readonly startMs: number;
  readonly recordingId: string;
}

interface Row extends Place {
  entry: CatalogueEntry;
}

/**
 * The catalogue of one daemon, in memory: rebuilt at every start, about 500 bytes for a recording. Adding the newest costs one
 * append; a page costs a binary search and the rows that are looked at.
 */
export class MemoryCatalogue implements Catalogue {
  readonly #byId = new Map<string, Row>();
  /** Oldest first. */
  readonly #rows: Row[] = [];

  upsert(entry: CatalogueEntry): Promise<void> {
    const known = this.#byId.get(entry.recordingId);
    const row: Row = { entry, recordingId: entry.recordingId, startMs: Date.parse(entry.startTime) };
    if (known?.startMs === row.startMs) {
      known.entry = entry;
      return Promise.resolve();
    }
    if (known !== undefined) this.#rows.splice(this.#position(known), 1);
    this.#byId.set(row.recordingId, row);
    this.#rows.splice(this.#position(row), 0, row);
    return Promise.resolve();
  }

  get(recordingId: string): Promise<CatalogueEntry | undefined> {
    return Promise.resolve(this.#byId.get(recordingId)?.entry);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- so that a bad cursor rejects instead of throwing
  async list(query: CatalogueQuery): Promise<CataloguePage> {
    return this.#page(query);
  }

  #page(query: CatalogueQuery): CataloguePage {
    let at = query.cursor === undefined ? this.#rows.length : this.#position(placeOf(query.cursor));
    const found: Row[] = [];
    while (at-- > 0) {
      const row = this.#rows[at];
      if (row === undefined || row.startMs < (query.fromMs ?? -Infinity)) break;
      if (!matches(row, query)) continue;
      const last = found.at(-1);
      if (found.length === query.limit && last !== undefined)
        return { entries: found.map(({ entry }) => entry), next: cursorOf(last) };
      found.push(row);
    }
    return { entries: found.map(({ entry }) => entry), next: null };
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

function isOlder(a: Place, b: Place): boolean {
  return a.startMs === b.startMs ? a.recordingId < b.recordingId : a.startMs < b.startMs;
}

function matches({ entry, startMs }: Row, query: CatalogueQuery): boolean {
  if (startMs >= (query.toMs ?? Infinity)) return false;
  if (query.account !== undefined && entry.accountId !== query.account) return false;
  if (query.callId !== undefined && entry.callId !== query.callId) return false;
  if (query.state !== undefined && entry.state !== query.state) return false;
  return query.visible?.(entry.accountId) ?? true;
}

function cursorOf({ startMs, recordingId }: Place): string {
  return Buffer.from(JSON.stringify([startMs, recordingId])).toString('base64url');
}

function placeOf(cursor: string): Place {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(value) && typeof value[0] === 'number' && typeof value[1] === 'string')
      return { startMs: value[0], recordingId: value[1] };
  } catch {
    // Falls through to the same answer as a cursor of another shape.
  }
  const remedy = 'Give the "next" of the answer before, or no cursor.';
  throw new ReelayError('request_invalid', { value: `cursor ${cursor}`, remedy });
}
