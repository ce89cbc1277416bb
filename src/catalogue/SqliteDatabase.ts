import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Kysely } from 'kysely';
import type { Database } from 'node-sqlite3-wasm';
import { syncFolder } from '../spool/durable.js';
import type { CatalogueDatabase } from './CatalogueDatabase.js';
import { FileLock } from './FileLock.js';
import { migrate } from './migrations.js';
import type { CatalogueTables } from './schema.js';
import { SqliteDialect } from './SqliteDialect.js';

/** Pages of the file that are kept in memory, KiB. */
const cacheKib = 8192;

/*
 * One process has the file, hence the exclusive lock; a write-ahead log needs no shared memory then. SQLite itself syncs nothing and
 * never moves the log into the file: `sync` does both, in the order that SQLite would, without holding its thread up for the disk.
 */
const settings = [
  'locking_mode = exclusive',
  'journal_mode = wal',
  'synchronous = off',
  'wal_autocheckpoint = 0',
  `cache_size = -${cacheKib}`,
];

/** What SQLite says of a file that is none of its own, or not any more. */
const damage = /malformed|not a database|disk image|file is encrypted|corrupt/i;

/** What it says of something that it was given. */
const refusal = /constraint|datatype mismatch|too big/i;

interface Opened {
  readonly lock: FileLock;
  readonly database: Database;
  readonly db: Kysely<CatalogueTables>;
}

/** A catalogue in one file, of one daemon. */
export class SqliteDatabase implements CatalogueDatabase {
  readonly name: string;
  readonly isShared = false;
  readonly #path: string;
  readonly #setAside: (path: string, error: unknown) => void;
  #opened: Opened | null = null;
  /** It turned out to be damaged while it was in use: it is not looked at again when it is opened next. */
  #isDamaged = false;

  /**
   * @param path - absolute; made when it isn't there
   * @param setAside - told of a file that could not be read, and where it was moved to
   */
  constructor(path: string, setAside: (path: string, error: unknown) => void) {
    this.#path = path;
    this.name = `sqlite:${path}`;
    this.#setAside = setAside;
  }

  async open(): Promise<Kysely<CatalogueTables>> {
    mkdirSync(dirname(this.#path), { recursive: true });
    const lock = await FileLock.take(this.#path);
    try {
      // SQLite's own lock is a folder that a killed process leaves behind. Whoever has ours is alone.
      rmSync(`${this.#path}.lock`, { recursive: true, force: true });
      if (this.#isDamaged) this.#moveAway('it was damaged while it was in use');
      this.#isDamaged = false;
      this.#opened = { lock, ...(await this.#openOrReplace()) };
      return this.#opened.db;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  judge(error: unknown): 'refusal' | 'fault' {
    const message = error instanceof Error ? error.message : '';
    if (damage.test(message)) this.#isDamaged = true;
    return refusal.test(message) ? 'refusal' : 'fault';
  }

  async sync(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    await syncFile(`${this.#path}-wal`);
    // Its name, too: a log of before that came back would be read over what is newer.
    await syncFolder(dirname(this.#path));
    // All of the log is on the disk before any of it is in the file; the log is begun anew only by a write after that.
    opened.database.get('pragma wal_checkpoint(passive)');
    await syncFile(this.#path);
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    // Closing moves the rest of the log into the file, so that it has to be on the disk before.
    await this.sync().catch(() => undefined);
    this.#opened = null;
    await opened.db.destroy().catch(() => undefined);
    closeFile(opened.database);
    await opened.lock.release();
  }

  async #openOrReplace(): Promise<Omit<Opened, 'lock'>> {
    try {
      return await this.#openFile();
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#moveAway(error);
      return await this.#openFile();
    }
  }

  async #openFile(): Promise<Omit<Opened, 'lock'>> {
    // Only where it is used: it is compiled anew in each thread.
    const { default: sqlite } = await import('node-sqlite3-wasm');
    const database = new sqlite.Database(this.#path);
    const db = new Kysely<CatalogueTables>({ dialect: new SqliteDialect(database) });
    try {
      for (const setting of settings) database.get(`pragma ${setting}`);
      await migrate(db, 'sqlite');
      return { database, db };
    } catch (error) {
      await db.destroy().catch(() => undefined);
      closeFile(database);
      throw error;
    }
  }

  /** Nothing in it can't be had again; who wants to know what was wrong finds it beside its place. */
  #moveAway(error: unknown): void {
    const aside = `${this.#path}.damaged`;
    for (const part of ['', '-wal', '-journal']) {
      rmSync(aside + part, { force: true });
      try {
        renameSync(this.#path + part, aside + part);
      } catch (reason) {
        if ((reason as NodeJS.ErrnoException).code !== 'ENOENT') throw reason;
      }
    }
    rmSync(`${this.#path}.lock`, { recursive: true, force: true });
    this.#setAside(aside, error);
  }
}

/** Also one that a later version has made: what it holds is had again sooner than it is understood. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Error && (damage.test(error.message) || /migration/i.test(error.message));
}

function closeFile(database: Database): void {
  try {
    database.close();
  } catch {
    // A disk that refuses; what was in the log is read from it at the next opening.
  }
}

/** Waited for by one of libuv's threads. */
async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+').catch(() => undefined);
  if (file === undefined) return;
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
