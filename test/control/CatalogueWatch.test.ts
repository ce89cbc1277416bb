import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { catalogueAt } from '../../src/catalogue/catalogueAt.js';
import { Alerts } from '../../src/control/monitoring/Alerts.js';
import { CatalogueNote } from '../../src/control/library/CatalogueNote.js';
import { CatalogueWatch } from '../../src/control/library/CatalogueWatch.js';
import { dayOf } from '../../src/control/library/StoreScan.js';
import { writeDurably } from '../../src/spool/durable.js';
import { entry } from '../catalogue/fixtures/entry.js';
import { Signal } from '../fixtures/Signal.js';

const dayMs = 86_400_000;

/** A daemon's watch over the catalogue of a folder, as of one start. */
class Watched {
  readonly watch: CatalogueWatch;
  readonly note: string;
  readonly ready: boolean[] = [];
  #next = new Signal();

  constructor(t: Test, dir: string, url = `sqlite:${join(dir, 'reelay.db')}`) {
    const log = pino({ level: 'silent' });
    this.note = join(dir, 'catalogue.json');
    this.watch = new CatalogueWatch({
      url,
      note: new CatalogueNote(this.note, writeDurably),
      alerts: new Alerts(log, () => undefined),
      away: () => undefined,
      ready: (isShort) => {
        this.ready.push(isShort);
        this.#next.fire();
        this.#next = new Signal();
      },
      log,
    });
    t.teardown(() => this.watch.stop());
  }

  async isReady(): Promise<void> {
    while (this.ready.length === 0) await this.#next.fired;
  }

  async noted(): Promise<unknown> {
    return JSON.parse(await readFile(this.note, 'utf8'));
  }
}

await t.test(
  'a catalogue that was closed lacks nothing, nor does one whose process was killed',
  async (t) => {
    const dir = t.testdir({});
    const first = new Watched(t, dir);
    await first.watch.start();
    await first.isReady();
    t.strictSame(first.ready, [false]);
    t.strictSame(first.watch.bounds, {});
    t.match(await first.noted(), { boot: /^[0-9a-f-]*$/, behind: null });
    const { boot } = (await first.noted()) as { boot: string };
    await first.watch.stop();
    t.strictSame(await first.noted(), { boot: null, behind: null });
    // What a kill leaves of it; the machine is the same.
    await writeFile(first.note, JSON.stringify({ boot, behind: null }));
    const second = new Watched(t, dir);
    await second.watch.start();
    await second.isReady();
    t.strictSame(second.watch.bounds, boot === '' ? second.watch.bounds : {});
  },
);

await t.test('after a loss of power stores are read from the day before the last recording', async (t) => {
  const dir = t.testdir({});
  const url = `sqlite:${join(dir, 'reelay.db')}`;
  const before = catalogueAt(url);
  await before.open();
  const lastMs = Date.now() - 40 * dayMs;
  await before.write([{ entry: entry('last', 1, { startTime: new Date(lastMs).toISOString() }) }]);
  await before.close();
  await writeFile(join(dir, 'catalogue.json'), JSON.stringify({ boot: 'another', behind: null }));
  const watched = new Watched(t, dir);
  // One of after the loss doesn't count.
  await watched.watch.catalogue.write([{ entry: entry('new', 1, { startTime: new Date().toISOString() }) }]);
  await watched.watch.start();
  await watched.isReady();
  const again = dayOf(lastMs - dayMs);
  t.strictSame(watched.watch.bounds, { again });
  watched.watch.storesRead({});
  t.strictSame(watched.watch.bounds, { again }, 'a reading within other bounds is not enough');
  watched.watch.storesRead(watched.watch.bounds);
  t.strictSame(watched.watch.bounds, {});
});

await t.test(
  'while it is away that is noted; when it is back and nothing was dropped, that is taken back',
  async (t) => {
    const dir = t.testdir({});
    const url = `sqlite:${join(dir, 'reelay.db')}`;
    const holder = catalogueAt(url);
    await holder.open();
    const watched = new Watched(t, dir);
    await watched.watch.start();
    t.notOk(watched.watch.catalogue.isUp);
    t.match(await watched.noted(), { behind: dayOf(Date.now() - dayMs) });
    await watched.watch.catalogue.write([{ entry: entry('a', 1) }]);
    await holder.close();
    watched.watch.catalogue.nudge();
    await watched.isReady();
    t.ok(await watched.watch.catalogue.get('a'));
    t.match(await watched.noted(), { behind: null });
  },
);

await t.test(
  'what a predecessor could not write is looked for in the stores, until they have been read',
  async (t) => {
    const dir = t.testdir({});
    await writeFile(join(dir, 'catalogue.json'), JSON.stringify({ boot: null, behind: '20260101' }));
    const first = new Watched(t, dir);
    await first.watch.start();
    await first.isReady();
    t.strictSame(first.watch.bounds, { again: '20260101' });
    await first.watch.stop();
    t.match(await first.noted(), { behind: '20260101' }, 'they were not read');
    const second = new Watched(t, dir);
    await second.watch.start();
    await second.isReady();
    second.watch.storesRead(second.watch.bounds);
    await second.watch.stop();
    t.strictSame(await second.noted(), { boot: null, behind: null });
  },
);

await t.test(
  'a daemon that has given its catalogue to another notes what it stores afterwards',
  async (t) => {
    const dir = t.testdir({});
    const watched = new Watched(t, dir);
    await watched.watch.start();
    await watched.isReady();
    await watched.watch.stop();
    await watched.watch.catalogue.write([{ entry: entry('late', 1) }]);
    t.match(await watched.noted(), { behind: dayOf(Date.now() - dayMs) });
  },
);

await t.test(
  'a note that is none says nothing, and a catalogue in memory needs none to be right',
  async (t) => {
    const dir = t.testdir({ 'catalogue.json': '{' });
    const watched = new Watched(t, dir, 'memory:');
    await watched.watch.start();
    await watched.isReady();
    t.strictSame(watched.watch.bounds, {});
    await watched.watch.stop();
    await mkdir(join(dir, 'gone'));
    const unwritable = new Watched(t, join(dir, 'gone', 'deeper'), 'memory:');
    await unwritable.watch.start();
    await unwritable.isReady();
    t.ok(unwritable.watch.catalogue.isUp, 'nor does one that cannot be noted');
  },
);
