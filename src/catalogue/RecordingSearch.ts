import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Expression, type Kysely, sql, type SqlBool } from 'kysely';
import type { CatalogueQuery } from './Catalogue.js';
import type { Place } from './Place.js';
import type { CatalogueTables } from './schema.js';
import { beginningsOf } from './searchTerms.js';
import { narrowed, newestFirst, notOlderThan, olderThan, type Rows } from './selection.js';

/** As many are taken from the index of terms and sorted; more than that are met soon enough by going through the list. */
const mostIndexed = 500;
/** Rows that are looked at before others are let in. */
const slice = 2000;

/** The last code point of what terms are made of. */
const last = '\uffff';

/**
 * Looks for recordings by the beginning of a term, newest first. What few recordings have is found in the index of terms; what many
 * have, by going through the list until there are enough. Either way takes a time that doesn't grow with the number of recordings by
 * much: the rarer a term, the longer the way through the list, but then it is in the index.
 */
export class RecordingSearch {
  readonly #db: Kysely<CatalogueTables>;
  readonly #query: CatalogueQuery;
  readonly #beginnings: readonly string[];

  constructor(db: Kysely<CatalogueTables>, query: CatalogueQuery) {
    this.#db = db;
    this.#query = query;
    this.#beginnings = beginningsOf(query.search ?? '');
  }

  /** @throws ReelayError `request_invalid` for a cursor that was not given out */
  async rows(limit: number): Promise<{ readonly entry: string }[]> {
    if (this.#beginnings.length === 0) return await this.#through(limit);
    const few = await this.#indexed();
    return few === null ? await this.#through(limit) : await this.#among(few, limit);
  }

  /** Ids of those that have such a term; null where they are many. */
  async #indexed(): Promise<string[] | null> {
    const ids = new Set<string>();
    for (const beginning of this.#beginnings) {
      const found = await this.#db
        .selectFrom('terms')
        .select('recording_id')
        .where('term', '>=', beginning)
        .where('term', '<', beginning + last)
        .limit(mostIndexed + 1)
        .execute();
      if (found.length > mostIndexed) return null;
      for (const row of found) ids.add(row.recording_id);
    }
    return [...ids];
  }

  async #among(ids: readonly string[], limit: number): Promise<{ readonly entry: string }[]> {
    if (ids.length === 0) return [];
    const rows = this.#db.selectFrom('recordings').select('entry').where('recording_id', 'in', ids);
    return await newestFirst(narrowed(rows, this.#query, true))
      .where(this.#isFound())
      .limit(limit)
      .execute();
  }

  async #through(limit: number): Promise<{ readonly entry: string }[]> {
    const found: { readonly entry: string }[] = [];
    for (let after: Place | null = null; ;) {
      const end: Place | undefined = await this.#endOfSlice(after);
      const rows = this.#rest(this.#db.selectFrom('recordings').select('entry'), after);
      const within = end === undefined ? rows : rows.where(notOlderThan(end));
      found.push(
        ...(await newestFirst(within)
          .where(this.#isFound())
          .limit(limit - found.length)
          .execute()),
      );
      if (end === undefined || found.length >= limit) return found;
      after = end;
      await nextTurn();
    }
  }

  /** The last recording of the next slice; undefined where fewer are left. */
  async #endOfSlice(after: Place | null): Promise<Place | undefined> {
    const places = this.#db
      .selectFrom('recordings')
      .select(['start_ms as startMs', 'recording_id as recordingId']);
    return await newestFirst(this.#rest(places, after))
      .limit(1)
      .offset(slice - 1)
      .executeTakeFirst();
  }

  #rest<O>(rows: Rows<O>, after: Place | null): Rows<O> {
    const all = narrowed(rows, this.#query);
    return after === null ? all : all.where(olderThan(after));
  }

  #isFound(): Expression<SqlBool> {
    const beginnings = this.#beginnings.map((beginning) => {
      const pattern = `%\n${beginning.replace(/[\\%_]/g, '\\$&')}%`;
      return sql<SqlBool>`terms like ${pattern} escape '\\'`;
    });
    return beginnings.length === 0 ? sql<SqlBool>`1 = 1` : sql<SqlBool>`(${sql.join(beginnings, sql` or `)})`;
  }
}
