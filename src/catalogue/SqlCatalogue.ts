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
import { RecordingSearch } from './RecordingSearch.js';
import type { CatalogueTables, ChunkRow, RecordingRow, TermRow } from './schema.js';
import { termsOf } from './searchTerms.js';
import { newestFirst, narrowed } from './selection.js';
import { SqlOutbox } from './SqlOutbox.js';

/** Rows of one statement: SQLite numbers 32,766 parameters and PostgreSQL 65,535. */
const rowsAtOnce = 500;

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

  async write(writes: readonly CatalogueWrite[]): Promise<void> {
    const last = new Map(writes.map(({ entry }) => [entry.recordingId, entry]));
    const recordings = [...last.values()].map(recordingRow);
    const terms = [...last.values()].flatMap(termRows);
    const chunks = new Map<string, ChunkRow>();
    for (const { entry, chunks: some = [] } of writes)
      for (const chunk of some) chunks.set(`${entry.recordingId} ${chunk.index}`, chunkRow(entry, chunk));
    await this.#ask(async (db) => {
      await db.transaction().execute(async (transaction) => {
        for (const rows of slices(recordings)) await upsertRecordings(transaction, rows);
        for (const rows of slices(terms))
          await transaction
            .insertInto('terms')
            .values(rows)
            .onConflict((conflict) => conflict.doNothing())
            .execute();
        for (const rows of slices([...chunks.values()])) await upsertChunks(transaction, rows);
      });
    });
  }

  async remove(recordingId: string): Promise<void> {
    const entry = await this.get(recordingId);
    if (entry === undefined) return;
    await this.#ask(async (db) => {
      await db.transaction().execute((transaction) => removeRows(transaction, entry));
    });
  }

  async bury(tombstone: CatalogueTombstone): Promise<void> {
    const { recordingId, accountId } = tombstone;
    const entry = await this.get(recordingId);
    const row = { recording_id: recordingId, account_id: accountId, tombstone: JSON.stringify(tombstone) };
    await this.#ask(async (db) => {
      await db.transaction().execute(async (transaction) => {
        if (entry !== undefined) await removeRows(transaction, entry);
        await transaction
          .insertInto('tombstones')
          .values(row)
          .onConflict((conflict) => conflict.column('recording_id').doNothing())
          .execute();
      });
    });
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

async function removeRows(db: Kysely<CatalogueTables>, entry: CatalogueEntry): Promise<void> {
  const { recordingId } = entry;
  await db
    .deleteFrom('terms')
    .where('term', 'in', termsOf(entry))
    .where('recording_id', '=', recordingId)
    .execute();
  await db.deleteFrom('chunks').where('recording_id', '=', recordingId).execute();
  await db.deleteFrom('recordings').where('recording_id', '=', recordingId).execute();
}

async function upsertRecordings(db: Kysely<CatalogueTables>, rows: RecordingRow[]): Promise<void> {
  await db
    .insertInto('recordings')
    .values(rows)
    .onConflict((conflict) =>
      conflict.column('recording_id').doUpdateSet((row) => ({
        account_id: row.ref('excluded.account_id'),
        call_id: row.ref('excluded.call_id'),
        state: row.ref('excluded.state'),
        start_ms: row.ref('excluded.start_ms'),
        entry: row.ref('excluded.entry'),
        terms: row.ref('excluded.terms'),
      })),
    )
    .execute();
}

async function upsertChunks(db: Kysely<CatalogueTables>, rows: ChunkRow[]): Promise<void> {
  await db
    .insertInto('chunks')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['recording_id', 'chunk_index']).doUpdateSet((row) => ({
        start_sample: row.ref('excluded.start_sample'),
        samples: row.ref('excluded.samples'),
        bytes: row.ref('excluded.bytes'),
        sha256: row.ref('excluded.sha256'),
      })),
    )
    .execute();
}

function recordingRow(entry: CatalogueEntry): RecordingRow {
  return {
    recording_id: entry.recordingId,
    account_id: entry.accountId,
    call_id: entry.callId,
    state: entry.state,
    start_ms: placeOf(entry).startMs,
    entry: JSON.stringify(entry),
    terms: termsOf(entry)
      .map((term) => `\n${term}`)
      .join(''),
  };
}

function termRows(entry: CatalogueEntry): TermRow[] {
  return termsOf(entry).map((term) => ({ term, recording_id: entry.recordingId }));
}

function chunkRow(
  { recordingId }: CatalogueEntry,
  { index, startSample, samples, bytes, sha256 }: CatalogueChunk,
): ChunkRow {
  return {
    recording_id: recordingId,
    chunk_index: index,
    start_sample: startSample,
    samples,
    bytes,
    sha256,
  };
}

function entryIn({ entry }: { readonly entry: string }): CatalogueEntry {
  return JSON.parse(entry) as CatalogueEntry;
}

/** PostgreSQL takes no NUL, and SQLite none behind one: nothing has such an id. */
function isText(text: string): boolean {
  return !text.includes('\0');
}

function* slices<T>(rows: T[]): Generator<T[]> {
  for (let at = 0; at < rows.length; at += rowsAtOnce) yield rows.slice(at, at + rowsAtOnce);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
