import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Kysely } from 'kysely';
import sqlite from 'node-sqlite3-wasm';
import type { Catalogue } from '../../src/catalogue/Catalogue.js';
import { catalogueAt } from '../../src/catalogue/catalogueAt.js';
import { SqliteDialect } from '../../src/catalogue/SqliteDialect.js';
import { entry } from './fixtures/entry.js';

const holder = fileURLToPath(new URL('fixtures/catalogueHolder.js', import.meta.url));

/** Another process that has the file open and has written the entry `held`. */
async function held(t: Test, path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [holder, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

async function ids(catalogue: Catalogue): Promise<string[]> {
  return (await catalogue.list({ limit: 100 })).entries.map(({ recordingId }) => recordingId);
}

await t.test(
  'what was written is there at the next opening, and nothing else is left beside the file',
  async (t) => {
    const path = join(t.testdir({}), 'made', 'catalogue.db');
    for (const round of [0, 1, 2]) {
      const catalogue = catalogueAt(`sqlite:${path}`);
      await catalogue.open();
      await catalogue.write([{ entry: entry(`r${round}`, round) }]);
      if (round === 1) await catalogue.sync();
      t.equal((await ids(catalogue)).length, round + 1);
      await catalogue.close();
      await catalogue.close();
    }
    for (const rest of ['-wal', '.lock', '.owner', '.damaged']) t.notOk(existsSync(path + rest), rest);
  },
);

await t.test(
  'a file that another process has is left alone; when that is killed, it is taken over whole',
  async (t) => {
    for (const folder of ['short', `long${'-'.repeat(120)}`]) {
      const dir = join(t.testdir({}), folder);
      mkdirSync(dir);
      const path = join(dir, 'catalogue.db');
      const child = await held(t, path);
      const catalogue = catalogueAt(`sqlite:${path}`);
      await t.rejects(catalogue.open(), { code: 'catalogue_locked', remedy: /Stop the daemon/ });
      child.kill('SIGKILL');
      await once(child, 'exit');
      t.ok(existsSync(`${path}.lock`), 'SQLite’s own lock is left behind');
      await catalogue.open();
      t.strictSame(await ids(catalogue), ['held']);
      const second = catalogueAt(`sqlite:${path}`);
      await t.rejects(second.open(), { code: 'catalogue_locked' }, 'nor by another one in the same process');
      await catalogue.close();
      await second.open();
      t.strictSame(await ids(second), ['held']);
      await second.close();
    }
  },
);

await t.test('a file that cannot be read is set aside and built anew', async (t) => {
  const dir = t.testdir({});
  const path = join(dir, 'catalogue.db');
  const fill = async () => {
    const catalogue = catalogueAt(`sqlite:${path}`);
    await catalogue.open();
    await catalogue.write([{ entry: entry('a', 1) }]);
    await catalogue.close();
    return readFileSync(path);
  };
  const whole = await fill();
  const damaged: readonly (readonly [string, Buffer])[] = [
    ['something else', Buffer.from('this is a text and not a database'.repeat(200))],
    [
      'a database whose first page is torn',
      Buffer.concat([whole.subarray(0, 100), Buffer.alloc(3996, 255), whole.subarray(4096)]),
    ],
  ];
  for (const [name, content] of damaged) {
    writeFileSync(path, content);
    const told: string[] = [];
    const catalogue = catalogueAt(`sqlite:${path}`, (aside) => told.push(aside));
    await catalogue.open();
    t.strictSame(told, [`${path}.damaged`], name);
    t.ok(readFileSync(`${path}.damaged`).equals(content));
    t.strictSame(await ids(catalogue), []);
    await catalogue.write([{ entry: entry('b', 1) }]);
    await catalogue.close();
  }
});

await t.test(
  'damage that shows while it is in use makes it unavailable, and the next opening builds it anew',
  async (t) => {
    const path = join(t.testdir({}), 'catalogue.db');
    const first = catalogueAt(`sqlite:${path}`);
    await first.open();
    for (let round = 0; round < 40; round++)
      await first.write(Array.from({ length: 50 }, (_, at) => ({ entry: entry(`r${round * 50 + at}`, at) })));
    await first.close();
    const content = readFileSync(path);
    // All but the pages that opening looks at.
    content.fill(255, 16 * 4096);
    writeFileSync(path, content);
    const told: string[] = [];
    const catalogue = catalogueAt(`sqlite:${path}`, (aside) => told.push(aside));
    await catalogue.open();
    await t.rejects(turnAll(catalogue), { code: 'catalogue_unavailable' });
    await catalogue.close();
    await catalogue.open();
    t.strictSame(told, [`${path}.damaged`]);
    t.strictSame(await ids(catalogue), []);
    await catalogue.close();
  },
);

await t.test('a file of a later version is set aside, too', async (t) => {
  const path = join(t.testdir({}), 'catalogue.db');
  const first = catalogueAt(`sqlite:${path}`);
  await first.open();
  await first.close();
  const later = new sqlite.Database(path);
  later.exec('pragma locking_mode = exclusive');
  later.run('insert into reelay_migrations values (?, ?)', ['9999-later', new Date().toISOString()]);
  later.close();
  const told: string[] = [];
  const catalogue = catalogueAt(`sqlite:${path}`, (aside) => told.push(aside));
  await catalogue.open();
  t.strictSame(told, [`${path}.damaged`]);
  t.strictSame(await ids(catalogue), []);
  await catalogue.close();
});

await t.test(
  'a statement that has failed is good for the next one, and a transaction that has failed leaves nothing',
  async (t) => {
    const database = new sqlite.Database(join(t.testdir({}), 'any.db'));
    const db = new Kysely<{ t: { id: number } }>({ dialect: new SqliteDialect(database) });
    await db.schema
      .createTable('t')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .execute();
    const add = (id: number) => db.insertInto('t').values({ id }).execute();
    await add(1);
    await t.rejects(add(1), { message: /UNIQUE constraint/ });
    await add(2);
    await t.rejects(
      db.transaction().execute(async (transaction) => {
        await transaction.insertInto('t').values({ id: 3 }).execute();
        await transaction.insertInto('t').values({ id: 1 }).execute();
      }),
      { message: /UNIQUE constraint/ },
    );
    const order: string[] = [];
    await Promise.all([
      db.transaction().execute(async (transaction) => {
        await transaction.insertInto('t').values({ id: 4 }).execute();
        await new Promise(setImmediate);
        order.push('transaction');
      }),
      db
        .selectFrom('t')
        .select('id')
        .execute()
        .then((rows) => order.push(`list of ${rows.length}`)),
    ]);
    t.strictSame(
      order,
      ['transaction', 'list of 3'],
      'nobody comes into the middle of another’s transaction',
    );
    // More different ones than are kept ready.
    for (let limit = 1; limit < 200; limit++)
      await db
        .selectFrom('t')
        .select('id')
        .where(
          'id',
          'in',
          Array.from({ length: limit }, (_, at) => at),
        )
        .execute();
    t.strictSame(await db.selectFrom('t').selectAll().orderBy('id').execute(), [
      { id: 1 },
      { id: 2 },
      { id: 4 },
    ]);
    await db.destroy();
    database.close();
  },
);

async function turnAll(catalogue: Catalogue): Promise<void> {
  for (let cursor: string | undefined; ;) {
    const { next } = await catalogue.list({ limit: 1000, cursor });
    if (next === null) return;
    cursor = next;
  }
}
