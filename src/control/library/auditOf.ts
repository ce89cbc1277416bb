import type { ObjectStore } from '../../storage/ObjectStore.js';
import { readSmall } from '../../storage/readSmall.js';
import { type AuditEntry, entriesIn } from './AuditEntry.js';
import { mostObjectBytes } from './AuditLog.js';

/** What is asked of an account's audit log. */
export interface AuditQuery {
  readonly accountId: string;
  /** UTC, `YYYYMMDD`. */
  readonly day: string;
  /** Default: any. */
  readonly recordingId?: string | undefined;
  /** ISO 8601, in UTC and with milliseconds; nothing earlier. Default: the day's beginning. */
  readonly from?: string | undefined;
}

export interface AuditPage {
  /** In the order of their times. */
  readonly entries: readonly AuditEntry[];
  /** The `from` that gives the rest, of which some may be among these, too; null where nothing is left out. */
  readonly next: string | null;
}

/** Entries of one answer, some 5 MB. */
const mostEntries = 20_000;
/** Objects of one day: one a minute for each of a hundred daemons is 144,000. Whoever puts more there hides nothing but what is last. */
const mostObjects = 200_000;
const readAtOnce = 4;

/**
 * What was done with an account's recordings on a day. Read piece by piece: what is held is bounded, whatever lies in the store.
 *
 * @param most - entries
 * @throws the store's own error
 */
export async function auditOf(store: ObjectStore, query: AuditQuery, most = mostEntries): Promise<AuditPage> {
  const first = new FirstEntries(most);
  const keys = await objectsOf(store, query);
  for (let at = 0; at < keys.length; at += readAtOnce) {
    const some = keys.slice(at, at + readAtOnce);
    const texts = await Promise.all(some.map((key) => readSmall(store, key, mostObjectBytes)));
    for (const text of texts)
      first.add(entriesIn(text?.toString() ?? '').filter((each) => isAsked(each, query)));
  }
  return first.page;
}

/** In the order of the times in their names. */
async function objectsOf(store: ObjectStore, { accountId, day }: AuditQuery): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(`_reelay/${accountId}/audit/${day}/`)) {
    if (keys.length >= mostObjects) break;
    keys.push(key);
  }
  return keys.sort();
}

function isAsked(entry: AuditEntry, { accountId, recordingId, from = '' }: AuditQuery): boolean {
  return (
    entry.accountId === accountId &&
    entry.recordingId === (recordingId ?? entry.recordingId) &&
    entry.time >= from
  );
}

/** The earliest of the entries that it is given. Several daemons write at once, so they come in no order. */
class FirstEntries {
  readonly #most: number;
  #entries: AuditEntry[] = [];
  /** The earliest time of those that were left out. */
  #next: string | null = null;

  constructor(most: number) {
    this.#most = most;
  }

  add(entries: readonly AuditEntry[]): void {
    for (const each of entries) this.#entries.push(each);
    if (this.#entries.length > 2 * this.#most) this.#cut();
  }

  get page(): AuditPage {
    this.#cut();
    return { entries: this.#entries, next: this.#next };
  }

  #cut(): void {
    this.#entries.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    const [out] = this.#entries.splice(this.#most);
    if (out !== undefined && (this.#next === null || out.time < this.#next)) this.#next = out.time;
  }
}
