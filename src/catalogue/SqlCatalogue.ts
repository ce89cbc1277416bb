import type { Kysely, SelectQueryBuilder } from 'kysely';
import { ReelayError } from '../config/ReelayError.js';
import type {
  Catalogue,
  CatalogueChunk,
  CatalogueEntry,
  CataloguePage,
  CatalogueQuery,
  CatalogueTombstone,
  CatalogueWrite,
} from './Catalogue.js';
import type { CatalogueDatabase } from './CatalogueDatabase.js';
import { cursorOf, placeOf } from './Place.js';
import { idsOf, RecordingRows } from './RecordingRows.js';
import { RecordingSearch } from './RecordingSearch.js';
import type { CatalogueTables } from './schema.js';
import { newestFirst, narrowed } from './selection.js';
import { SqlOutbox } from './SqlOutbox.js';

/** The catalogue in a database. */
export class SqlCatalogue implements Catalogue {
  readonly isLasting = true;
  readonly isShared: boolean;
  readonly outbox: SqlOutbox;
  readonly #database: CatalogueDatabase;
  /** Null: it isn't open. */
  #db: Kysely<CatalogueTables> | null = null;

  constructor(database: CatalogueDatabase) {
    this.#database = database;
    this.isShared = database.isShared;
    this.outbox = new SqlOutbox(async (question) => await this.#ask(question));
  }

  async open(): Promise<void> {
    this.#db = await this.#guarded(() => this.#database.open());
  }

  async write(writes: readonly CatalogueWrite[]): Promise<readonly CatalogueEntry[]> {
    const ids = idsOf(writes);
    const refused = await this.#ask((db) =>
      db.transaction().execute(async (transaction) => {
        const rows = new RecordingRows(transaction);
        const refused = await rows.put(writes);
        await rows.dropBuried(ids);
        return refused;
      }),
    );
    // What another daemon buries in the same moment this transaction doesn't see, nor does that daemon see these rows. Its tombstone is
    // there before it looks for rows to take out, so one of the two, looking once more, sees the other.
    if (this.isShared) await this.#ask((db) => new RecordingRows(db).dropBuried(ids));
    return refused;
  }

  async remove(recordingId: string): Promise<void> {
    const entry = await this.get(recordingId);
    if (entry === undefined) return;
    await this.#ask(async (db) => {
      await db.transaction().execute((transaction) => new RecordingRows(transaction).remove(entry));
    });
  }

  async bury(tombstone: CatalogueTombstone): Promise<boolean> {
    const { recordingId, accountId } = tombstone;
    const owner = (await this.get(recordingId))?.accountId;
    if (owner !== undefined && owner !== accountId) return false;
    const row = { account_id: accountId, tombstone: JSON.stringify(tombstone) };
    // First the tombstone alone, see `write`.
    await this.#ask((db) =>
      db
        .insertInto('tombstones')
        .values({ recording_id: recordingId, ...row })
        .onConflict((conflict) => {
          const known = conflict.column('recording_id');
          // What somebody else has said of an id gives way to the account that has had the recording.
          return owner === undefined ? known.doNothing() : known.doUpdateSet(row);
        })
        .execute(),
    );
    await this.#ask(async (db) => {
      await db
        .transaction()
        .execute((transaction) => new RecordingRows(transaction).dropBuried([recordingId]));
    });
    return true;
  }

  async tombstone(recordingId: string): Promise<CatalogueTombstone | undefined> {
    if (!isText(recordingId)) return undefined;
    const row = await this.#ask((db) =>
      db
        .selectFrom('tombstones')
        .select('tombstone')
        .where('recording_id', '=', recordingId)
        .executeTakeFirst(),
    );
    return row === undefined ? undefined : (JSON.parse(row.tombstone) as CatalogueTombstone);
  }

  async get(recordingId: string): Promise<CatalogueEntry | undefined> {
    if (!isText(recordingId)) return undefined;
    const row = await this.#ask((db) =>
      db.selectFrom('recordings').select('entry').where('recording_id', '=', recordingId).executeTakeFirst(),
    );
    return row === undefined ? undefined : entryIn(row);
  }

  async chunks(recordingId: string): Promise<readonly CatalogueChunk[]> {
    const rows = await this.#ask((db) =>
      db
        .selectFrom('chunks')
        .selectAll()
        .where('recording_id', '=', recordingId)
        .orderBy('chunk_index')
        .execute(),
    );
    return rows.map(({ chunk_index: index, start_sample: startSample, samples, bytes, sha256 }) => ({
      index,
      startSample,
      samples,
      bytes,
      sha256,
    }));
  }

  async list(query: CatalogueQuery): Promise<CataloguePage> {
    const asked = [query.account, query.callId];
    if (!asked.every((text) => text === undefined || isText(text))) return { entries: [], next: null };
    // One more than is shown tells whether there is a next page.
    const found = await this.#ask((db) =>
      query.search === undefined ? page(db, query) : new RecordingSearch(db, query).rows(query.limit + 1),
    );
    const entries = found.slice(0, query.limit).map(entryIn);
    const last = entries.at(-1);
    return { entries, next: found.length > entries.length && last ? cursorOf(placeOf(last)) : null };
  }

  async accountAfter(accountId: string): Promise<string | undefined> {
    if (!isText(accountId)) return undefined;
    const row = await this.#ask((db) =>
      db
        .selectFrom('recordings')
        .select('account_id')
        .where('account_id', '>', accountId)
        .orderBy('account_id')
        .limit(1)
        .executeTakeFirst(),
    );
    return row?.account_id;
  }

  async wasRead(place: string): Promise<boolean> {
    const row = await this.#ask((db) =>
      db.selectFrom('places').select('read_ms').where('place', '=', place).executeTakeFirst(),
    );
    return row !== undefined;
  }

  async markRead(place: string): Promise<void> {
    const row = { place, read_ms: Date.now() };
    await this.#ask((db) =>
      db
        .insertInto('places')
        .values(row)
        .onConflict((conflict) => conflict.column('place').doUpdateSet({ read_ms: row.read_ms }))
        .execute(),
    );
  }

  async sync(): Promise<void> {
    await this.#guarded(() => this.#database.sync());
  }

  async close(): Promise<void> {
    this.#db = null;
    await this.#database.close();
  }

  async #ask<T>(work: (db: Kysely<CatalogueTables>) => Promise<T>): Promise<T> {
    const db = this.#db;
    if (db === null) throw this.#unavailable(undefined);
    return await this.#guarded(() => work(db));
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ReelayError) throw error;
      if (this.#database.judge(error) === 'fault') throw this.#unavailable(error);
      throw new ReelayError('catalogue_refused', { value: reasonOf(error), cause: error });
    }
  }

  #unavailable(cause: unknown): ReelayError {
    const reason = cause === undefined ? 'it is not open' : reasonOf(cause);
    const remedy = 'Ask again in a few seconds.';
    return new ReelayError('catalogue_unavailable', {
      value: `${this.#database.name} (${reason})`,
      remedy,
      cause,
    });
  }
}

async function page(db: Kysely<CatalogueTables>, query: CatalogueQuery): Promise<{ entry: string }[]> {
  const rows: SelectQueryBuilder<CatalogueTables, 'recordings', { entry: string }> = db
    .selectFrom('recordings')
    .select('entry');
  return await newestFirst(narrowed(rows, query))
    .limit(query.limit + 1)
    .execute();
}

function entryIn({ entry }: { readonly entry: string }): CatalogueEntry {
  return JSON.parse(entry) as CatalogueEntry;
}

/** PostgreSQL takes no NUL, and SQLite none behind one: nothing has such an id. */
function isText(text: string): boolean {
  return !text.includes('\0');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
