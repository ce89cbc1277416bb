import { type Kysely, type Migration, Migrator, sql } from 'kysely';
import type { CatalogueTables } from './schema.js';

export type SqlKind = 'sqlite' | 'postgres';

/** Where the names of the steps that were taken are kept; kysely's own names might be another program's. */
const tables = {
  migrationTableName: 'reelay_migrations',
  migrationLockTableName: 'reelay_migrations_lock',
};

const mostTries = 10;

/**
 * Brings a database to the tables of this version. Several daemons may do so at once: PostgreSQL lets one after the other.
 *
 * @throws what the database says; an Error of kysely's where a later version has been here
 */
export async function migrate(db: Kysely<CatalogueTables>, kind: SqlKind): Promise<void> {
  const migrations = migrationsOf(kind);
  // Another schema of the same database may have its own; kysely would take that for this one's.
  const migrationTableSchema = kind === 'postgres' ? await schemaOf(db) : undefined;
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve(migrations) },
    ...tables,
    ...(migrationTableSchema === undefined ? {} : { migrationTableSchema }),
  });
  for (let tries = 1; ; tries++) {
    const { error } = await migrator.migrateToLatest();
    if (error === undefined) return;
    if (tries < mostTries && isOfAnother(error)) continue;
    throw error instanceof Error ? error : new Error('the tables cannot be made');
  }
}

/**
 * kysely looks for its tables in all schemas of a database, and fails when somebody drops another one meanwhile: PostgreSQL's
 * invalid_schema_name and undefined_table. A schema of ours that isn't there stays away.
 */
function isOfAnother(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === '3F000' || code === '42P01';
}

async function schemaOf(db: Kysely<CatalogueTables>): Promise<string | undefined> {
  const { rows } = await sql<{ name: string | null }>`select current_schema() as name`.execute(db);
  return rows[0]?.name ?? undefined;
}

/** In the order of their names. One that was released is never changed. */
function migrationsOf(kind: SqlKind): Record<string, Migration> {
  return {
    '2026-11-22-recordings': { up: (db: Kysely<unknown>) => recordings(db, kind) },
    '2026-11-23-tombstones': { up: (db: Kysely<unknown>) => tombstones(db, kind) },
    '2026-11-24-deliveries': { up: (db: Kysely<unknown>) => deliveries(db, kind) },
  };
}

async function deliveries(db: Kysely<unknown>, kind: SqlKind): Promise<void> {
  const text = kind === 'postgres' ? sql`text collate "C"` : sql`text`;
  await db.schema
    .createTable('deliveries')
    .addColumn('event_id', text, (column) => column.notNull())
    .addColumn('endpoint', text, (column) => column.notNull())
    .addColumn('account_id', text, (column) => column.notNull())
    .addColumn('recording_id', text, (column) => column.notNull())
    .addColumn('type', 'text', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('state', text, (column) => column.notNull())
    .addColumn('tries', 'integer', (column) => column.notNull())
    .addColumn('due_ms', 'bigint', (column) => column.notNull())
    .addColumn('problem', 'text')
    .addColumn('is_kept', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('deliveries_key', ['event_id', 'endpoint'])
    .execute();
  for (const [name, columns] of Object.entries({
    due: ['state', 'due_ms'],
    recording: ['recording_id', 'endpoint', 'state', 'sequence'],
  }))
    await db.schema.createIndex(`deliveries_by_${name}`).on('deliveries').columns(columns).execute();
}

async function tombstones(db: Kysely<unknown>, kind: SqlKind): Promise<void> {
  const text = kind === 'postgres' ? sql`text collate "C"` : sql`text`;
  await db.schema
    .createTable('tombstones')
    .addColumn('recording_id', text, (column) => column.primaryKey().notNull())
    .addColumn('account_id', text, (column) => column.notNull())
    .addColumn('tombstone', 'text', (column) => column.notNull())
    .execute();
}

async function recordings(db: Kysely<unknown>, kind: SqlKind): Promise<void> {
  // Compared byte by byte, which is the order of cursors and what an index needs to find beginnings.
  const text = kind === 'postgres' ? sql`text collate "C"` : sql`text`;
  await db.schema
    .createTable('recordings')
    .addColumn('recording_id', text, (column) => column.primaryKey().notNull())
    .addColumn('account_id', text, (column) => column.notNull())
    .addColumn('call_id', text, (column) => column.notNull())
    .addColumn('state', text, (column) => column.notNull())
    .addColumn('start_ms', 'bigint', (column) => column.notNull())
    .addColumn('entry', 'text', (column) => column.notNull())
    .addColumn('terms', text, (column) => column.notNull())
    .execute();
  // Each ends in the order of lists, so that a page is read off and nothing sorted.
  const indexes = { all: [], account: ['account_id'], call: ['call_id', 'account_id'], state: ['state'] };
  for (const [name, columns] of Object.entries({ ...indexes, account_state: ['account_id', 'state'] }))
    await db.schema
      .createIndex(`recordings_by_${name}`)
      .on('recordings')
      .columns([...columns, 'start_ms', 'recording_id'])
      .execute();
  await db.schema
    .createTable('chunks')
    .addColumn('recording_id', text, (column) => column.notNull())
    .addColumn('chunk_index', 'integer', (column) => column.notNull())
    .addColumn('start_sample', 'bigint', (column) => column.notNull())
    .addColumn('samples', 'bigint', (column) => column.notNull())
    .addColumn('bytes', 'bigint', (column) => column.notNull())
    .addColumn('sha256', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('chunks_key', ['recording_id', 'chunk_index'])
    .execute();
  await db.schema
    .createTable('terms')
    .addColumn('term', text, (column) => column.notNull())
    .addColumn('recording_id', text, (column) => column.notNull())
    .addPrimaryKeyConstraint('terms_key', ['term', 'recording_id'])
    .execute();
  await db.schema
    .createTable('places')
    .addColumn('place', text, (column) => column.primaryKey().notNull())
    .addColumn('read_ms', 'bigint', (column) => column.notNull())
    .execute();
}
