import type { Kysely } from 'kysely';
import type { Busy, Delivery, DeliveryKey, DeliveryResult, Outbox } from './Delivery.js';
import type { CatalogueTables, DeliveryRow } from './schema.js';

/** Rows of one statement. */
const rowsAtOnce = 500;

/** Asks the database of a catalogue, and says in the catalogue's words what is wrong with it. */
export type AskCatalogue = <T>(question: (db: Kysely<CatalogueTables>) => Promise<T>) => Promise<T>;

/** The deliveries in a catalogue's database. */
export class SqlOutbox implements Outbox {
  readonly #ask: AskCatalogue;

  constructor(ask: AskCatalogue) {
    this.#ask = ask;
  }

  async post(deliveries: readonly Delivery[]): Promise<void> {
    const rows = deliveries.map(rowOf);
    await this.#ask(async (db) => {
      for (let at = 0; at < rows.length; at += rowsAtOnce)
        await db
          .insertInto('deliveries')
          .values(rows.slice(at, at + rowsAtOnce))
          .onConflict((conflict) => conflict.doNothing())
          .execute();
    });
  }

  async due(nowMs: number, most: number, busy?: Busy): Promise<readonly Delivery[]> {
    const rows = await this.#ask((db) =>
      heads(db, busy)
        .selectAll('one')
        .where('one.due_ms', '<=', nowMs)
        .orderBy('one.due_ms')
        .orderBy('one.sequence')
        .limit(most)
        .execute(),
    );
    return rows.map(deliveryIn);
  }

  async nextDueMs(busy?: Busy): Promise<number | null> {
    const row = await this.#ask((db) =>
      heads(db, busy).select('one.due_ms').orderBy('one.due_ms').limit(1).executeTakeFirst(),
    );
    return row === undefined ? null : row.due_ms;
  }

  async claim({ eventId, endpoint, dueMs }: Delivery, untilMs: number): Promise<boolean> {
    const claimed = await this.#ask((db) =>
      db
        .updateTable('deliveries')
        .set({ due_ms: untilMs })
        .where('event_id', '=', eventId)
        .where('endpoint', '=', endpoint)
        .where('state', '=', 'waiting')
        .where('due_ms', '=', dueMs)
        .returning('event_id')
        .executeTakeFirst(),
    );
    return claimed !== undefined;
  }

  async settle({ eventId, endpoint }: DeliveryKey, result: DeliveryResult): Promise<boolean> {
    const { state, tries, dueMs, problem } = result;
    const row = await this.#ask((db) =>
      db
        .updateTable('deliveries')
        .set({ state, tries, due_ms: dueMs, problem })
        .where('event_id', '=', eventId)
        .where('endpoint', '=', endpoint)
        .returning('is_kept')
        .executeTakeFirst(),
    );
    return row?.is_kept === 1;
  }

  async markKept({ eventId, endpoint }: DeliveryKey, isKept: boolean): Promise<void> {
    await this.#ask((db) =>
      db
        .updateTable('deliveries')
        .set({ is_kept: isKept ? 1 : 0 })
        .where('event_id', '=', eventId)
        .where('endpoint', '=', endpoint)
        .execute(),
    );
  }

  async deliveriesOf(recordingId: string, accountId?: string): Promise<readonly Delivery[]> {
    const rows = await this.#ask((db) =>
      db
        .selectFrom('deliveries')
        .selectAll()
        .where('recording_id', '=', recordingId)
        .$if(accountId !== undefined, (query) => query.where('account_id', '=', accountId ?? ''))
        .orderBy('sequence')
        .orderBy('endpoint')
        .execute(),
    );
    return rows.map(deliveryIn);
  }

  async forgetBefore(ms: number): Promise<void> {
    await this.#ask((db) =>
      db.deleteFrom('deliveries').where('state', '!=', 'waiting').where('due_ms', '<', ms).execute(),
    );
  }
}

/** The first that waits of each account's recording and endpoint. */
function heads(db: Kysely<CatalogueTables>, busy: Busy = { endpoints: [], accounts: [] }) {
  const { endpoints, accounts } = busy;
  return db
    .selectFrom('deliveries as one')
    .where('one.state', '=', 'waiting')
    .$if(endpoints.length > 0, (query) => query.where('one.endpoint', 'not in', endpoints))
    .$if(accounts.length > 0, (query) => query.where('one.account_id', 'not in', accounts))
    .where((of) =>
      of.not(
        of.exists(
          of
            .selectFrom('deliveries as earlier')
            .select('earlier.event_id')
            .whereRef('earlier.recording_id', '=', 'one.recording_id')
            .whereRef('earlier.endpoint', '=', 'one.endpoint')
            .whereRef('earlier.account_id', '=', 'one.account_id')
            .where('earlier.state', '=', 'waiting')
            .whereRef('earlier.sequence', '<', 'one.sequence'),
        ),
      ),
    );
}

function rowOf(delivery: Delivery): DeliveryRow {
  const { eventId, endpoint, accountId, recordingId, type, sequence, body, createdMs } = delivery;
  const { state, tries, dueMs, problem, isKept } = delivery;
  return {
    event_id: eventId,
    endpoint,
    account_id: accountId,
    recording_id: recordingId,
    type,
    sequence,
    body,
    created_ms: createdMs,
    state,
    tries,
    due_ms: dueMs,
    problem,
    is_kept: isKept ? 1 : 0,
  };
}

function deliveryIn(row: DeliveryRow): Delivery {
  return {
    eventId: row.event_id,
    endpoint: row.endpoint,
    accountId: row.account_id,
    recordingId: row.recording_id,
    type: row.type,
    sequence: row.sequence,
    body: row.body,
    createdMs: row.created_ms,
    state: row.state,
    tries: row.tries,
    dueMs: row.due_ms,
    problem: row.problem,
    isKept: row.is_kept === 1,
  };
}
