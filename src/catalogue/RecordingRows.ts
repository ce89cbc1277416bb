import type { Kysely } from 'kysely';
import type { CatalogueChunk, CatalogueEntry, CatalogueWrite } from './Catalogue.js';
import { placeOf } from './Place.js';
import type { CatalogueTables, ChunkRow, RecordingRow, TermRow } from './schema.js';
import { termsOf } from './searchTerms.js';

/** Rows of one statement: SQLite numbers 32,766 parameters and PostgreSQL 65,535. */
const rowsAtOnce = 500;

/** What a database has of recordings: a row of each, those of its chunks, and the terms by which it is found. */
export class RecordingRows {
  readonly #db: Kysely<CatalogueTables>;

  /** @param db - or a transaction in it */
  constructor(db: Kysely<CatalogueTables>) {
    this.#db = db;
  }

  /**
   * Writes those that are their accounts' own.
   *
   * @returns the others: an id is the account's that had it first
   */
  async put(writes: readonly CatalogueWrite[]): Promise<readonly CatalogueEntry[]> {
    const taken = await this.#own(writes);
    await this.#putRecordings(taken);
    // Another daemon may have been first since then. From here on the rows are locked.
    const sure = await this.#own(taken);
    await this.#putParts(sure);
    const own = new Set(sure);
    return writes.filter((write) => !own.has(write)).map(({ entry }) => entry);
  }

  /** Takes out recordings that their own account has deleted, of those with these ids. */
  async dropBuried(ids: readonly string[]): Promise<void> {
    for (const some of slices(ids)) {
      const rows = await this.#db
        .selectFrom('recordings')
        .innerJoin('tombstones', 'tombstones.recording_id', 'recordings.recording_id')
        .select('recordings.entry')
        .whereRef('tombstones.account_id', '=', 'recordings.account_id')
        .where('recordings.recording_id', 'in', some)
        .orderBy('recordings.recording_id')
        .execute();
      for (const { entry } of rows) await this.remove(JSON.parse(entry) as CatalogueEntry);
    }
  }

  async remove(entry: CatalogueEntry): Promise<void> {
    const { recordingId } = entry;
    // In the order in which they are put: two daemons that are about the same recording wait for each other at its row and nowhere else.
    await this.#db.deleteFrom('recordings').where('recording_id', '=', recordingId).execute();
    await this.#db
      .deleteFrom('terms')
      .where('term', 'in', termsOf(entry))
      .where('recording_id', '=', recordingId)
      .execute();
    await this.#db.deleteFrom('chunks').where('recording_id', '=', recordingId).execute();
  }

  /** Those whose id no other account has, neither in a row nor further in front. */
  async #own(writes: readonly CatalogueWrite[]): Promise<readonly CatalogueWrite[]> {
    const owners = await this.#ownersOf(idsOf(writes));
    return writes.filter(({ entry: { recordingId, accountId } }) => {
      const owner = owners.get(recordingId) ?? accountId;
      owners.set(recordingId, owner);
      return owner === accountId;
    });
  }

  async #ownersOf(ids: readonly string[]): Promise<Map<string, string>> {
    const owners = new Map<string, string>();
    for (const some of slices(ids)) {
      const rows = await this.#db
        .selectFrom('recordings')
        .select(['recording_id', 'account_id'])
        .where('recording_id', 'in', some)
        .execute();
      for (const row of rows) owners.set(row.recording_id, row.account_id);
    }
    return owners;
  }

  async #putRecordings(writes: readonly CatalogueWrite[]): Promise<void> {
    for (const rows of slices(latestOf(writes).map(recordingRow))) await this.#upsertRecordings(rows);
  }

  async #putParts(writes: readonly CatalogueWrite[]): Promise<void> {
    const chunks = new Map<string, ChunkRow>();
    for (const { entry, chunks: some = [] } of writes)
      for (const chunk of some) chunks.set(`${entry.recordingId} ${chunk.index}`, chunkRow(entry, chunk));
    for (const rows of slices(latestOf(writes).flatMap(termRows)))
      await this.#db
        .insertInto('terms')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    for (const rows of slices([...chunks.values()])) await this.#upsertChunks(rows);
  }

  async #upsertRecordings(rows: RecordingRow[]): Promise<void> {
    await this.#db
      .insertInto('recordings')
      .values(rows)
      .onConflict((conflict) =>
        conflict
          .column('recording_id')
          .doUpdateSet((row) => ({
            call_id: row.ref('excluded.call_id'),
            state: row.ref('excluded.state'),
            start_ms: row.ref('excluded.start_ms'),
            entry: row.ref('excluded.entry'),
            terms: row.ref('excluded.terms'),
          }))
          // An id is the account's that had it first.
          .whereRef('recordings.account_id', '=', 'excluded.account_id'),
      )
      .execute();
  }

  async #upsertChunks(rows: ChunkRow[]): Promise<void> {
    await this.#db
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
}

/** Each once. */
export function idsOf(writes: readonly CatalogueWrite[]): string[] {
  return [...new Set(writes.map(({ entry }) => entry.recordingId))];
}

/** The last of each recording, by id: another daemon that takes up the same ones locks their rows, too. */
function latestOf(writes: readonly CatalogueWrite[]): CatalogueEntry[] {
  const latest = new Map(writes.map(({ entry }) => [entry.recordingId, entry]));
  return [...latest.values()].sort((one, other) => (one.recordingId < other.recordingId ? -1 : 1));
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

function* slices<T>(rows: readonly T[]): Generator<T[]> {
  for (let at = 0; at < rows.length; at += rowsAtOnce) yield rows.slice(at, at + rowsAtOnce);
}
