import { type Expression, type SelectQueryBuilder, sql, type SqlBool } from 'kysely';
import type { CatalogueQuery } from './Catalogue.js';
import { type Place, placeAt } from './Place.js';
import type { CatalogueTables } from './schema.js';

export type Rows<O> = SelectQueryBuilder<CatalogueTables, 'recordings', O>;

/**
 * Recordings that a query asks for, its search aside.
 *
 * @param areFew - they are already few, and are to be looked up and sorted. SQLite keeps no statistics that would tell it so, and would
 *   rather go through all of an account's; so it isn't offered those indexes
 * @throws ReelayError `request_invalid` for a cursor that was not given out
 */
export function narrowed<O>(
  rows: Rows<O>,
  query: CatalogueQuery,
  areFew = query.callId !== undefined,
): Rows<O> {
  const { account, callId, state, visible, fromMs, toMs, cursor } = query;
  const accountId = areFew ? sql<string>`account_id || ''` : sql<string>`account_id`;
  if (callId !== undefined) rows = rows.where('call_id', '=', callId);
  if (account !== undefined) rows = rows.where(accountId, '=', account);
  if (visible !== undefined && 'only' in visible) rows = rows.where(accountId, '=', visible.only);
  else if (visible !== undefined && visible.except.length > 0)
    rows = rows.where(accountId, 'not in', visible.except);
  if (state !== undefined)
    rows = rows.where(areFew ? sql<string>`state || ''` : sql<string>`state`, '=', state);
  if (fromMs !== undefined) rows = rows.where('start_ms', '>=', fromMs);
  if (toMs !== undefined) rows = rows.where('start_ms', '<', toMs);
  return cursor === undefined ? rows : rows.where(olderThan(placeAt(cursor)));
}

export function olderThan({ startMs, recordingId }: Place): Expression<SqlBool> {
  return sql<SqlBool>`(start_ms, recording_id) < (${startMs}, ${recordingId})`;
}

export function notOlderThan({ startMs, recordingId }: Place): Expression<SqlBool> {
  return sql<SqlBool>`(start_ms, recording_id) >= (${startMs}, ${recordingId})`;
}

export function newestFirst<O>(rows: Rows<O>): Rows<O> {
  return rows.orderBy('start_ms', 'desc').orderBy('recording_id', 'desc');
}
