import {
  CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { Database, JSValue, Statement } from 'node-sqlite3-wasm';

/** Statements that are kept ready; making one takes longer than running it. */
const mostStatements = 64;

/**
 * SQLite for kysely, as WebAssembly: it lives in its thread's own memory, and a thread that is ended in the middle of it takes nothing
 * else along. A query runs at once and holds its thread up for as long as it takes.
 *
 * @param database - open; whoever has opened it closes it after this
 */
export class SqliteDialect implements Dialect {
  readonly #driver: SqliteDriver;

  constructor(database: Database) {
    this.#driver = new SqliteDriver(database);
  }

  createDriver(): Driver {
    return this.#driver;
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  createAdapter(): DialectAdapter {
    return new SqliteAdapter();
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

/** There is one connection, which goes from one user to the next. */
class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection;
  /** Resolves when the last one who asked has given it back. */
  #free: Promise<void> = Promise.resolve();
  #giveBack: () => void = () => undefined;

  constructor(database: Database) {
    this.#connection = new SqliteConnection(database);
  }

  init(): Promise<void> {
    return Promise.resolve();
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#free;
    let giveBack: () => void = () => undefined;
    this.#free = new Promise((resolve) => (giveBack = resolve));
    await before;
    this.#giveBack = giveBack;
    return this.#connection;
  }

  releaseConnection(): Promise<void> {
    this.#giveBack();
    return Promise.resolve();
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  destroy(): Promise<void> {
    this.#connection.close();
    return Promise.resolve();
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #database: Database;
  /** By their SQL; the last used one is the last. */
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- so that SQLite's errors reject instead of being thrown
  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.delete(sql);
    try {
      const rows = statement.all(parameters as JSValue[]) as R[];
      this.#statements.set(sql, statement);
      return { rows };
    } catch (error) {
      // One that has failed says so again when it is used next.
      finalize(statement);
      throw error;
    } finally {
      const [oldest] = this.#statements;
      if (this.#statements.size > mostStatements && oldest !== undefined) {
        this.#statements.delete(oldest[0]);
        finalize(oldest[1]);
      }
    }
  }

  // eslint-disable-next-line require-yield, @typescript-eslint/require-await -- nobody asks for it
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('a stream of rows is not something that this dialect gives');
  }

  /** Its memory is given back by nobody else. */
  close(): void {
    for (const statement of this.#statements.values()) finalize(statement);
    this.#statements.clear();
  }
}

/** It is given back even where SQLite repeats the error that it ended with. */
function finalize(statement: Statement): void {
  try {
    statement.finalize();
  } catch {
    // It has been told already.
  }
}
