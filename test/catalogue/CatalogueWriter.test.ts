import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { CatalogueEntry } from '../../src/catalogue/Catalogue.js';
import {
  type CatalogueObserver,
  CatalogueWriter,
  type CatalogueWriterOptions,
} from '../../src/catalogue/CatalogueWriter.js';
import { WriteQueue } from '../../src/catalogue/WriteQueue.js';
import { Signal } from '../fixtures/Signal.js';
import { FaultyCatalogue } from './fixtures/FaultyCatalogue.js';
import { entry } from './fixtures/entry.js';

/** Remembers what it was told, and lets a test wait for it. */
class Watcher implements CatalogueObserver {
  readonly told: string[] = [];
  gate: Promise<void> = Promise.resolve();
  #next = new Signal();

  async down(): Promise<void> {
    await this.gate;
    this.#tell('down');
  }

  up(dropped: number): void {
    this.#tell(`up ${dropped}`);
  }

  refused({ recordingId }: CatalogueEntry): void {
    this.#tell(`refused ${recordingId}`);
  }

  async heard(what: string): Promise<void> {
    while (!this.told.includes(what)) await this.#next.fired;
  }

  #tell(what: string): void {
    this.told.push(what);
    this.#next.fire();
    this.#next = new Signal();
  }
}

function made(t: Test, options: CatalogueWriterOptions = {}) {
  const inner = new FaultyCatalogue();
  const watcher = new Watcher();
  const writer = new CatalogueWriter(inner, watcher, { backoff: { first: 1, most: 5 }, ...options });
  t.teardown(() => writer.close());
  return { inner, watcher, writer };
}

async function ids(writer: CatalogueWriter): Promise<string[]> {
  return (await writer.list({ limit: 100 })).entries.map(({ recordingId }) => recordingId);
}

await t.test('what is written before it is open is in it when it is', async (t) => {
  const { inner, watcher, writer } = made(t);
  await writer.write([{ entry: entry('a', 1) }]);
  t.equal((await writer.get('a'))?.recordingId, 'a', 'what waits is known');
  await t.rejects(writer.list({ limit: 1 }), { code: 'catalogue_unavailable' });
  await writer.open();
  t.strictSame(watcher.told, ['up 0']);
  t.strictSame(inner.batches, [['a']]);
  t.strictSame(await ids(writer), ['a']);
});

await t.test('a write that comes while it is opened waits until it is written', async (t) => {
  const { inner, writer } = made(t);
  const go = new Signal();
  inner.gate = go.fired;
  const opening = writer.open();
  let isThrough = false;
  const writing = writer.write([{ entry: entry('a', 1) }]).then(() => (isThrough = true));
  await nextTurn();
  t.notOk(isThrough, 'what is taken out of the spool behind it would be in no list');
  go.fire();
  await writing;
  t.strictSame(inner.batches, [['a']]);
  await opening;
});

await t.test('what is another account’s is told, and not written', async (t) => {
  const { watcher, writer } = made(t);
  await writer.open();
  await writer.write([{ entry: entry('a', 1) }]);
  const [own, foreign] = [entry('b', 1), entry('b', 1, { accountId: 'AC2' })];
  await writer.write([{ entry: entry('a', 2, { accountId: 'AC2' }) }, { entry: own }, { entry: foreign }]);
  t.strictSame(watcher.told, ['up 0', 'refused b', 'refused a'], 'while it waits, and when it is there');
  t.equal((await writer.get('a'))?.accountId, 'AC1');
  const { callId, startTime } = own;
  const said = {
    recordingId: 'b',
    callId,
    startTime,
    deletedTime: startTime,
    cause: 'request',
    by: 'x',
  } as const;
  t.equal(await writer.bury({ ...said, accountId: 'AC2' }), false);
  t.strictSame(await ids(writer), ['b', 'a']);
  t.equal(await writer.bury({ ...said, accountId: 'AC1' }), true);
  t.strictSame(await ids(writer), ['a']);
  t.equal(await writer.accountAfter(''), 'AC1');
});

await t.test('a list has everything that was to be written before it was asked for', async (t) => {
  const { inner, writer } = made(t);
  await writer.open();
  const gate = new Signal();
  inner.gate = gate.fired;
  void writer.write([{ entry: entry('a', 1) }]);
  const listed = ids(writer);
  void writer.write([{ entry: entry('a', 1, { state: 'failed' }) }, { entry: entry('b', 2) }]);
  t.equal((await writer.get('a'))?.state, 'failed', 'the latest that waits');
  gate.fire();
  t.ok((await listed).includes('a'));
  t.strictSame(await ids(writer), ['b', 'a']);
  t.equal(writer.waiting, 0);
});

await t.test(
  'while it is away writes wait, questions are refused at once, and all of it catches up',
  async (t) => {
    const { inner, watcher, writer } = made(t);
    await writer.open();
    await writer.write([{ entry: entry('a', 1) }]);
    inner.isAway = true;
    const noted = new Signal();
    watcher.gate = noted.fired;
    const state = { waits: true };
    const written = writer
      .write([{ entry: entry('a', 1, { state: 'failed' }) }])
      .then(() => (state.waits = false));
    while (writer.isUp) await new Promise(setImmediate);
    const another = writer
      .write([{ entry: entry('b', 2) }])
      .then(() => t.match(watcher.told, ['up 0', 'down']));
    t.ok(state.waits, 'until it is noted that it is away');
    noted.fire();
    await Promise.all([written, another]);
    t.equal(writer.waiting, 2);
    t.equal((await writer.get('a'))?.state, 'failed');
    await t.rejects(writer.get('z'), { code: 'catalogue_unavailable' });
    await t.rejects(writer.list({ limit: 1 }), { code: 'catalogue_unavailable' });
    await t.rejects(writer.markRead('x'), { code: 'catalogue_unavailable' });
    t.ok(inner.calls.includes('close'), 'it is opened anew');
    inner.isAway = false;
    watcher.told.length = 0;
    await watcher.heard('up 0');
    t.strictSame(await ids(writer), ['b', 'a']);
    t.equal((await inner.get('a'))?.state, 'failed');
  },
);

await t.test('a question that finds it away has it opened again', async (t) => {
  const { inner, watcher, writer } = made(t);
  await writer.open();
  inner.isAway = true;
  await t.rejects(writer.get('a'), { code: 'catalogue_unavailable' });
  await watcher.heard('down');
  inner.isAway = false;
  watcher.told.length = 0;
  await watcher.heard('up 0');
  t.equal(await writer.get('a'), undefined);
});

await t.test('a nudge opens it before its pause is over', async (t) => {
  const { inner, watcher, writer } = made(t, { backoff: { first: 1e6, most: 1e6 } });
  inner.isAway = true;
  await writer.open();
  t.strictSame(watcher.told, ['down']);
  inner.isAway = false;
  writer.nudge();
  await watcher.heard('up 0');
  t.ok(writer.isUp);
});

await t.test('what waits has a bound; what was dropped is counted and told once', async (t) => {
  const { inner, watcher, writer } = made(t, { mostWaiting: 3 });
  inner.isAway = true;
  await writer.open();
  for (const id of ['a', 'b', 'a', 'c', 'd', 'e']) await writer.write([{ entry: entry(id, 1) }]);
  t.equal(writer.waiting, 3);
  t.equal(writer.dropped, 2);
  inner.isAway = false;
  await watcher.heard('up 2');
  t.strictSame(await ids(writer), ['e', 'd', 'c']);
  inner.isAway = true;
  await writer.write([{ entry: entry('f', 2) }]);
  inner.isAway = false;
  await watcher.heard('up 0');
});

await t.test('an entry that is not taken keeps no other from being written', async (t) => {
  const { inner, watcher, writer } = made(t);
  inner.refused.add('b');
  await writer.write(['a', 'b', 'c'].map((id) => ({ entry: entry(id, 1) })));
  await writer.open();
  t.strictSame(watcher.told, ['refused b', 'up 0']);
  t.strictSame(await ids(writer), ['c', 'a']);
});

await t.test('what is removed is not written afterwards', async (t) => {
  const { inner, writer } = made(t);
  await writer.open();
  const gate = new Signal();
  inner.gate = gate.fired;
  void writer.write([{ entry: entry('a', 1) }]);
  const removed = writer.remove('a');
  gate.fire();
  await removed;
  t.strictSame(await ids(writer), []);
});

await t.test('what was written is made safe after a while, and nothing is written meanwhile', async (t) => {
  const { inner, writer } = made(t, { syncMs: 1 });
  await writer.open();
  await writer.write([{ entry: entry('a', 1) }]);
  while (!inner.calls.includes('sync')) await new Promise(setImmediate);
  const gate = new Signal();
  inner.gate = gate.fired;
  inner.calls.length = 0;
  const synced = writer.sync();
  while (inner.calls.length === 0) await new Promise(setImmediate);
  const written = writer.write([{ entry: entry('b', 1) }]);
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  t.strictSame(inner.calls, ['sync']);
  gate.fire();
  await Promise.all([synced, written]);
  t.ok(inner.calls.includes('write'));
});

await t.test('not more is left to one sync than is done in no time', async (t) => {
  const { inner, writer } = made(t, { mostUnsynced: 100 });
  await writer.open();
  await writer.write(Array.from({ length: 250 }, (_none, at) => ({ entry: entry(`r${at}`, at) })));
  t.strictSame(
    inner.calls.filter((call) => call !== 'open'),
    ['write', 'write', 'sync', 'write', 'write', 'sync'],
  );
});

await t.test('closing writes what waits; what comes later is told to be missing', async (t) => {
  const { inner, watcher, writer } = made(t);
  await writer.open();
  void writer.write([{ entry: entry('a', 1) }]);
  await writer.close();
  t.strictSame(inner.batches, [['a']]);
  t.equal(inner.calls.at(-1), 'close');
  t.strictSame(watcher.told, ['up 0']);
  await writer.write([{ entry: entry('b', 1) }]);
  t.strictSame(watcher.told, ['up 0', 'down']);
  await t.rejects(writer.list({ limit: 1 }), { code: 'catalogue_unavailable' });
  await writer.close();
});

void t.test(
  'whatever comes, fails and is tried again, the last of each recording is written with all its chunks',
  (t) => {
    const chunk = (index: number) => ({ index, startSample: 0, samples: 1, bytes: 1, sha256: '' });
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ id: fc.constantFrom('a', 'b', 'c'), from: fc.nat(2000), count: fc.nat(1500) }),
      },
      fc.constantFrom('take', 'written', 'putBack' as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const queue = new WriteQueue(10);
        const expected = new Map<string, { minute: number; chunks: Set<number> }>();
        const kept = new Map<string, { minute: number; chunks: Set<number> }>();
        let hand: ReturnType<WriteQueue['take']> = [];
        const keep = () => {
          for (const { entry: each, chunks = [] } of hand) {
            const before = kept.get(each.recordingId)?.chunks ?? [];
            const all = new Set([...before, ...chunks.map(({ index }) => index)]);
            kept.set(each.recordingId, { minute: each.samples, chunks: all });
          }
          queue.written();
          hand = [];
        };
        const take = () => {
          if (hand.length === 0) hand = queue.take();
          if (hand.reduce((sum, { chunks = [] }) => sum + chunks.length, 0) > 500)
            throw new Error('too many at once');
        };
        for (const [at, each] of steps.entries()) {
          if (each === 'take') take();
          else if (each === 'written') keep();
          else if (typeof each === 'string') {
            queue.putBack();
            hand = [];
          } else {
            const chunks = Array.from({ length: each.count }, (_, index) => chunk(each.from + index));
            queue.add({ entry: entry(each.id, 1, { samples: at }), chunks });
            const before = expected.get(each.id)?.chunks ?? [];
            expected.set(each.id, {
              minute: at,
              chunks: new Set([...before, ...chunks.map(({ index }) => index)]),
            });
          }
        }
        keep();
        while (queue.done < queue.asked) {
          take();
          keep();
        }
        if (queue.size !== 0) throw new Error('something is left');
        for (const [id, { minute, chunks }] of expected) {
          const found = kept.get(id);
          if (found?.minute !== minute || found.chunks.size !== chunks.size)
            throw new Error(`${id} is not as it was`);
        }
      }),
    );
    t.end();
  },
);
