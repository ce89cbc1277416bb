import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { clockOf } from '../../src/storage/Clock.js';
import type { ObjectStore, PutExpectations, StoredObject } from '../../src/storage/ObjectStore.js';
import { StoreFault } from '../../src/storage/StoreFault.js';
import { Uploader, type UploaderOptions } from '../../src/storage/Uploader.js';
import { emptyNote, type UploadNote } from '../../src/storage/UploadNote.js';
import { Signal } from '../fixtures/Signal.js';
import { FaultyStore, type Mishap } from './fixtures/FaultyStore.js';
import { MemoryStore } from './fixtures/MemoryStore.js';
import { SpooledCall } from './fixtures/SpooledCall.js';
import { UploadWatcher } from './fixtures/UploadWatcher.js';

// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

const clock = clockOf(20_000);

/** Several ended calls of each account in one spool. */
async function callsOf(dir: string, accounts: readonly string[], each: number): Promise<SpooledCall[]> {
  const calls: SpooledCall[] = [];
  for (const accountId of accounts) {
    for (let index = 0; index < each; index++) {
      const call = await SpooledCall.of(
        join(dir, `${accountId}-${index}`),
        'chunks',
        { accountId, chunks: 2 },
        join(dir, 'spool'),
      );
      await call.end();
      calls.push(call);
    }
  }
  return calls;
}

/** Begins an upload in parts for every chunk; the first of each fails for good and leaves what it has begun. */
class LeavingStore extends MemoryStore {
  readonly #tried = new Set<string>();

  override async put(key: string, file: string, expected: PutExpectations): Promise<StoredObject> {
    await expected.beforeMultipart?.();
    const upload = await this.multipart.begin(key);
    if (!this.#tried.has(key)) {
      this.#tried.add(key);
      throw new StoreFault('store_denied', { value: '403 AccessDenied' });
    }
    await this.multipart.abort(upload);
    return await super.put(key, file, expected);
  }
}

/** The note of a recording of which another place has a chunk. */
function elsewhere({ manifest }: SpooledCall): UploadNote {
  const chunks = manifest.chunks.slice(0, 1).map((chunk) => ({ ...chunk, sidecarStored: true }));
  return { ...emptyNote, place: 'memory:old', chunks };
}

function uploaderOf(
  dir: string,
  watcher: UploadWatcher,
  options: Pick<UploaderOptions, 'storeOf'> & Partial<UploaderOptions>,
) {
  return new Uploader({ spoolDir: join(dir, 'spool'), observer: watcher.observer, clock, ...options });
}

await t.test(
  'an account whose keys are refused is parked with one alert, and un-parked by a probe',
  async (t) => {
    const dir = t.testdir({});
    const calls = await callsOf(dir, ['ACdenied', 'ACgood'], 12);
    let isDenied = true;
    const kept = new MemoryStore();
    const watcher = new UploadWatcher();
    const store = new FaultyStore(kept, clock, () => {
      setImmediate(() => watcher.changed());
      return isDenied ? 'denied' : 'none';
    });
    const good = new MemoryStore();
    const storeOf = (accountId: string) => Promise.resolve(accountId === 'ACgood' ? good : store);
    const uploader = uploaderOf(dir, watcher, { storeOf });
    t.equal(uploader.parkedOf('ACdenied'), null);
    await uploader.wakeAll();
    await watcher.until(() => watcher.finished.length === 12);
    await uploader.settled();
    t.strictSame(watcher.parkings, ['parked ACdenied store_denied']);
    t.match(uploader.parkedOf('ACdenied'), { code: 'store_denied', sinceMs: Number });
    t.equal(uploader.parkedOf('ACgood'), null);
    t.equal(await uploader.unstored(), 12);
    const asked = store.requests;
    // Each look at the spool leaves the store alone, the probes come one at a time.
    await uploader.wakeAll();
    await uploader.idle();
    await watcher.until(() => store.requests >= asked + 3);
    t.strictSame(
      watcher.parkings,
      ['parked ACdenied store_denied'],
      'a probe that fails is no further alert',
    );
    isDenied = false;
    await watcher.until(() => watcher.finished.length === 24);
    // A probe that asks for several things at once may meet both answers.
    t.equal(watcher.parkings.at(-1), 'unparked ACdenied');
    t.strictSame(watcher.troubles, []);
    await uploader.idle();
    await uploader.stop();
    for (const call of calls) await call.isStored(t, call.manifest.accountId === 'ACgood' ? good : kept);
  },
);

await t.test('reading the configuration anew un-parks at once', async (t) => {
  const dir = t.testdir({});
  await callsOf(dir, ['AC1'], 3);
  const mishaps: { next: Mishap } = { next: 'denied' };
  const store = new FaultyStore(new MemoryStore(), clockOf(), () => mishaps.next);
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store), clock: clockOf() });
  await uploader.wakeAll();
  await uploader.idle();
  t.strictSame(watcher.parkings, ['parked AC1 store_denied']);
  t.ok(store.requests <= 2 * 3, 'only what was under way has asked');
  uploader.unpark();
  await uploader.idle();
  t.strictSame(watcher.parkings, ['parked AC1 store_denied', 'unparked AC1', 'parked AC1 store_denied']);
  mishaps.next = 'none';
  uploader.unpark();
  await watcher.until(() => watcher.finished.length === 3);
  t.equal(uploader.parkedOf('AC1'), null);
  await uploader.idle();
  await uploader.stop();
});

await t.test('an account that nobody knows is parked; one that cannot be asked for is not', async (t) => {
  const dir = t.testdir({});
  await callsOf(dir, ['ACunknown', 'ACaway'], 2);
  const store = new MemoryStore();
  let isAway = true;
  const watcher = new UploadWatcher();
  const storeOf = (accountId: string) => {
    if (accountId === 'ACunknown')
      return Promise.reject(new ReelayError('unknown_account', { value: accountId }));
    if (isAway) return Promise.reject(new ReelayError('accounts_unavailable'));
    return Promise.resolve(store);
  };
  const uploader = uploaderOf(dir, watcher, { storeOf });
  await uploader.wakeAll();
  await watcher.until(() => watcher.retries.length > 5 && watcher.parkings.length > 0);
  t.strictSame(watcher.parkings, ['parked ACunknown unknown_account']);
  isAway = false;
  await watcher.until(() => watcher.finished.length === 2);
  t.equal(uploader.parkedOf('ACunknown')?.code, 'unknown_account');
  await uploader.stop();
});

await t.test('a recording is never split over two stores, and holds up no other', async (t) => {
  const dir = t.testdir({});
  const call = await SpooledCall.of(dir, 'chunks', { accountId: 'AC1', chunks: 3 });
  const [first, second] = [new MemoryStore('memory:first'), new MemoryStore('memory:second')];
  let store = first;
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store), clock: clockOf() });
  await call.seal(2);
  uploader.wake(call.folder);
  await uploader.idle();
  store = second;
  await call.end(2);
  const [other] = await callsOf(dir, ['AC1'], 1);
  for (let look = 0; look < 3; look++) {
    await uploader.wakeAll();
    await uploader.idle();
  }
  t.strictSame(watcher.parkings, [`held ${call.folder} store_changed`], 'told once');
  t.equal(uploader.parkedOf('AC1'), null);
  t.strictSame(watcher.troubles, []);
  await other?.isStored(t, second);
  t.notOk([...second.objects.keys()].some((key) => key.startsWith(call.folder)));
  t.ok((await readdir(call.path)).includes('2-audio.wav'), 'what the first store lacks stays here');
  uploader.unpark();
  await uploader.idle();
  t.equal(watcher.parkings.length, 1, 'in vain, and not told again');
  store = first;
  uploader.unpark();
  await watcher.until(() => watcher.finished.length === 2);
  await uploader.idle();
  await uploader.stop();
  t.strictSame(watcher.parkings.slice(1), [`released ${call.folder}`]);
  await call.isStored(t, first);
});

await t.test('a recording whose account has no store any more waits for one, and is told', async (t) => {
  for (const state of ['uploading', 'interrupted'] as const) {
    const dir = join(t.testdir({}), state);
    const call = await SpooledCall.of(dir, 'single', { accountId: 'AC1', chunks: 2, state, reason: 'lost' });
    await call.end();
    const store = new MemoryStore();
    let asked = 0;
    const watcher = new UploadWatcher();
    // The slow timer finds the store: nobody reads a configuration anew where accounts are looked up.
    const storeOf = () => Promise.resolve(++asked > 3 ? store : null);
    const uploader = uploaderOf(dir, watcher, { storeOf });
    uploader.wake(call.folder);
    await uploader.idle();
    t.equal(await uploader.unstored(), 1);
    await watcher.until(() => watcher.finished.length === 1);
    await uploader.idle();
    await uploader.stop();
    t.strictSame(watcher.parkings, [`held ${call.folder} no_store`, `released ${call.folder}`]);
    await call.isStored(t, store, state === 'uploading' ? 'complete' : state);
  }
});

await t.test('a held recording holds no probe of its parked account up', async (t) => {
  const dir = t.testdir({});
  const [held, other] = await callsOf(dir, ['AC1'], 2);
  if (held === undefined || other === undefined) throw new Error('there are two');
  await writeFile(join(held.path, 'upload.json'), JSON.stringify(elsewhere(held)));
  const store = new FaultyStore(new MemoryStore(), clock, () => 'denied');
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store) });
  uploader.wake(held.folder);
  await watcher.until(() => watcher.parkings.length === 1);
  uploader.wake(other.folder);
  await watcher.until(() => watcher.parkings.length === 2);
  await uploader.wakeAll();
  // What is left of the account asks its store for nothing.
  await rm(other.path, { recursive: true });
  await watcher.until(() => watcher.parkings.length === 3);
  await uploader.stop();
  t.strictSame(watcher.parkings, [
    `held ${held.folder} store_changed`,
    'parked AC1 store_denied',
    'unparked AC1',
  ]);
});

await t.test('a reload takes what is being tried away from the store of before', async (t) => {
  const dir = t.testdir({});
  const calls = await callsOf(dir, ['AC1'], 30);
  // Mistyped, so that nothing answers; then as it was meant.
  const [wrong, right] = [new MemoryStore('memory:wrong'), new MemoryStore('memory:right')];
  let store: ObjectStore = new FaultyStore(wrong, clockOf(), () => 'busy');
  const backoffMs = { first: 3_600_000, most: 3_600_000 };
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(dir, watcher, {
    storeOf: () => Promise.resolve(store),
    clock: clockOf(),
    backoffMs,
  });
  await uploader.wakeAll();
  await uploader.settled();
  t.equal(watcher.finished.length, 0);
  store = right;
  uploader.unpark();
  await watcher.until(() => watcher.finished.length === 30);
  await uploader.idle();
  await uploader.stop();
  t.equal(wrong.objects.size, 0);
  t.strictSame([watcher.parkings, watcher.troubles], [[], []]);
  for (const call of calls) await call.isStored(t, right);
});

await t.test('keys that are revoked right after a reload park nobody', async (t) => {
  const dir = t.testdir({});
  await callsOf(dir, ['AC1'], 2);
  const kept = new MemoryStore();
  const asked = new Signal();
  const revoked = new Signal();
  const old = new FaultyStore(kept, clockOf(), () => 'denied');
  const put = old.put.bind(old);
  old.put = async (...args) => {
    asked.fire();
    await revoked.fired;
    return await put(...args);
  };
  let store: ObjectStore = old;
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store), clock: clockOf() });
  await uploader.wakeAll();
  await asked.fired;
  store = kept;
  uploader.unpark();
  revoked.fire();
  await uploader.idle();
  t.equal(watcher.finished.length, 2);
  t.strictSame(watcher.parkings, []);
  await uploader.stop();
});

await t.test('a note that cannot be read for now is not taken for none', async (t) => {
  const dir = t.testdir({});
  const [call] = await callsOf(dir, ['AC1'], 1);
  if (call === undefined) throw new Error('there is one');
  // Reading a folder fails with EISDIR, whoever runs this; a process without free files or rights gets the like.
  await mkdir(join(call.path, 'upload.json'));
  const store = new MemoryStore();
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store), clock: clockOf() });
  await uploader.wakeAll();
  await uploader.idle();
  t.match(watcher.troubles, [{ code: 'EISDIR' }]);
  t.equal(store.objects.size, 0);
  t.equal(await uploader.unstored(), 1);
  t.equal(await uploader.relieve(), 0);
  await uploader.stop();
});

await t.test('a call that found the spool full is stored once, when it is over', async (t) => {
  const dir = t.testdir({});
  const call = await SpooledCall.of(dir, 'chunks', { chunks: 0, state: 'failed', reason: 'spool_full' });
  await call.end();
  const file = join(call.path, 'manifest.json');
  await writeFile(file, JSON.stringify({ ...call.manifest, endTime: null }));
  const store = new MemoryStore();
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store) });
  await uploader.wakeAll();
  await uploader.idle();
  t.equal(store.objects.size, 0, 'its call is up');
  await call.end();
  uploader.wake(call.folder);
  await uploader.idle();
  await uploader.stop();
  t.equal(watcher.finished.length, 1);
  await call.isStored(t, store, 'failed');
});

await t.test('a store that never answers delays its own account only', async (t) => {
  const dir = t.testdir({});
  await callsOf(dir, ['AChung', 'ACgood'], 10);
  const hung = new FaultyStore(new MemoryStore(), clockOf(), () => 'hang');
  const good = new MemoryStore();
  const watcher = new UploadWatcher();
  const storeOf = (accountId: string) => Promise.resolve(accountId === 'ACgood' ? good : hung);
  const uploader = uploaderOf(dir, watcher, { storeOf, clock: clockOf() });
  await uploader.wakeAll();
  await watcher.until(() => watcher.finished.length === 10);
  t.ok(hung.underWay > 0 && hung.underWay <= 16, 'no more than its lane is wide');
  t.ok(watcher.finished.every(({ accountId }) => accountId === 'ACgood'));
  await uploader.stop();
  t.ok(hung.underWay > 0, 'stopping waits for no answer');
});

await t.test(
  'a chunk of a call that is up goes before a backlog, and the backlog goes on beside it',
  async (t) => {
    const dir = t.testdir({});
    await callsOf(dir, ['AC1'], 60);
    const live = await SpooledCall.of(
      join(dir, 'live'),
      'chunks',
      { accountId: 'AC1', chunks: 40 },
      join(dir, 'spool'),
    );
    const store = new MemoryStore();
    const watcher = new UploadWatcher();
    const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store), clock: clockOf() });
    await uploader.wakeAll();
    await watcher.until(() => watcher.stored.length > 0);
    for (let index = 0; index < 5; index++) {
      await live.seal(index + 1, index);
      const before = watcher.finished.length;
      uploader.wake(live.folder);
      await watcher.until(() => store.objects.has(`${live.folder}/${index}-audio.wav`));
      // Recordings that were in hand already end, and as many again may come in turn.
      t.ok(watcher.finished.length - before <= 12, `${watcher.finished.length - before} went before it`);
    }
    await uploader.idle();
    t.equal(watcher.finished.length, 60);
    await uploader.stop();
  },
);

await t.test('one object that a store never takes holds up no other', async (t) => {
  const dir = t.testdir({});
  const calls = await callsOf(dir, ['AC1'], 30);
  const poisoned = new Set(calls.slice(0, 8).map(({ folder }) => `put ${folder}/0-audio.wav`));
  const store = new FaultyStore(new MemoryStore(), clockOf(), (request) =>
    poisoned.has(request) ? 'busy' : 'none',
  );
  const watcher = new UploadWatcher();
  const backoffMs = { first: 3_600_000, most: 3_600_000 };
  const uploader = uploaderOf(dir, watcher, {
    storeOf: () => Promise.resolve(store),
    clock: clockOf(),
    backoffMs,
  });
  await uploader.wakeAll();
  await watcher.until(() => watcher.finished.length === 22);
  await uploader.settled();
  t.equal(await uploader.unstored(), 8);
  await uploader.stop();
});

await t.test(
  'a call that found the spool full leaves its manifest in the store, one without a store here',
  async (t) => {
    const dir = t.testdir({});
    const store = new MemoryStore();
    const watcher = new UploadWatcher();
    const failed = { chunks: 0, state: 'failed' } as const;
    const full = await SpooledCall.of(
      join(dir, 'a'),
      'single',
      { ...failed, reason: 'spool_full' },
      join(dir, 'spool'),
    );
    await full.end();
    const stays: SpooledCall[] = [];
    for (const reason of ['no_store', 'unknown_account', 'account_mismatch']) {
      const call = await SpooledCall.of(
        join(dir, reason),
        'chunks',
        { ...failed, reason },
        join(dir, 'spool'),
      );
      await call.end();
      stays.push(call);
    }
    const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store) });
    await uploader.wakeAll();
    await uploader.idle();
    await uploader.stop();
    await full.isStored(t, store, 'failed');
    t.equal(store.objects.size, 1);
    for (const call of stays) t.strictSame(await readdir(call.path), ['manifest.json']);
    t.match(JSON.parse(await readFile(join(stays[0]?.path ?? '', 'manifest.json'), 'utf8')), {
      reason: 'no_store',
    });
    t.strictSame(watcher.parkings, []);
  },
);

await t.test('what an attempt left open before its account was parked is ended in the end', async (t) => {
  const dir = t.testdir({});
  await callsOf(dir, ['ACleft'], 1);
  const store = new LeavingStore();
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(dir, watcher, { storeOf: () => Promise.resolve(store) });
  await uploader.wakeAll();
  await watcher.until(() => watcher.finished.length === 1);
  await uploader.stop();
  t.ok(watcher.parkings.length > 0, 'it was parked');
  t.equal(store.uploads.size, 0, 'no upload is open');
  t.strictSame(await readdir(join(dir, 'spool')), []);
});
