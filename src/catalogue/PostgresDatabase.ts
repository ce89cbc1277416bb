import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import type { CatalogueDatabase } from './CatalogueDatabase.js';
import { migrate } from './migrations.js';
import type { CatalogueTables } from './schema.js';

/** Connections of a daemon: lists wait neither for each other nor for what is being written. */
const mostConnections = 4;
/** How long the server may take to be reached, and to answer, ms. */
const connectMs = 3000;
const answerMs = 10_000;
/** How long a broken connection may take to be closed until it isn't waited for any more, ms. */
const partingMs = 2000;

/** A catalogue that several daemons share. */
export class PostgresDatabase implements CatalogueDatabase {
  readonly name: string;
  readonly isShared = true;
  readonly #url: string;
  #db: Kysely<CatalogueTables> | null = null;

  /** @param url - `postgres://user:password@host:port/database?…`, as libpq has it */
  constructor(url: string) {
    this.#url = url;
    const { protocol, host, pathname } = new URL(url);
    this.name = `${protocol}//${host}${pathname}`;
  }

  async open(): Promise<Kysely<CatalogueTables>> {
    const db = new Kysely<CatalogueTables>({
      dialect: new PostgresDialect({ pool: await poolOf(this.#url) }),
    });
    this.#db = db;
    try {
      await migrate(db, 'postgres');
      return db;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Classes 22 and 23 of its error codes (appendix A of PostgreSQL's manual): data, and constraints. */
  judge(error: unknown): 'refusal' | 'fault' {
    const { code } = (error ?? {}) as { readonly code?: unknown };
    return typeof code === 'string' && /^2[23][0-9A-Z]{3}$/.test(code) ? 'refusal' : 'fault';
  }

  /** What is committed is on the server's disk. */
  sync(): Promise<void> {
    return Promise.resolve();
  }

  async close(): Promise<void> {
    const db = this.#db;
    this.#db = null;
    if (db === null) return;
    const closed = db.destroy().catch(() => undefined);
    await Promise.race([closed, sleep(partingMs, undefined, { ref: false })]);
  }
}

async function poolOf(url: string): Promise<pg.Pool> {
  // Only where it is used.
  const { default: pg } = await import('pg');
  const bigint: number = pg.types.builtins.INT8;
  const pool = new pg.Pool({
    connectionString: url,
    max: mostConnections,
    connectionTimeoutMillis: connectMs,
    query_timeout: answerMs,
    statement_timeout: answerMs,
    keepAlive: true,
    application_name: 'reelay',
    types: {
      // These come as text, unless somebody says that they are small enough for a number.
      getTypeParser: (type: number, format?: 'text' | 'binary') =>
        // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- databases have types that pg doesn't name
        type === bigint ? Number : (pg.types.getTypeParser(type, format) as (value: string) => unknown),
    },
  });
  // A connection that breaks while nobody uses it; the next question opens another.
  pool.on('error', () => undefined);
  return pool;
}
