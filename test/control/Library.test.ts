import { join, relative } from 'node:path';
import type { Readable } from 'node:stream';
import t from 'tap';
import { entryOf } from '../../src/catalogue/Catalogue.js';
import { MemoryCatalogue } from '../../src/catalogue/MemoryCatalogue.js';
import type { AccountConfig, S3StoreConfig } from '../../src/config/Config.js';
import { loadConfig } from '../../src/config/load.js';
import { ReelayError } from '../../src/config/ReelayError.js';
import { Library } from '../../src/control/library/Library.js';
import { reindex } from '../../src/control/library/reindex.js';
import type { ScanObserver } from '../../src/control/library/StoreScan.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { Ledger } from '../../src/storage/Ledger.js';
import type { ObjectStore, StoredObject } from '../../src/storage/ObjectStore.js';
import { folderOf } from '../../src/storage/SpooledRecording.js';
import { Signal } from '../fixtures/Signal.js';
import { fabricateRecording } from '../fixtures/recording.js';

/** A folder store whose listing waits until it is let go. */
class Slow extends FileStore {
  readonly go = new Signal();

  override async *list(prefix: string, after?: string): AsyncGenerator<StoredObject> {
    await this.go.fired;
    yield* super.list(prefix, after);
  }
}

/** Every account has this store. */
function only(store: ObjectStore | null): { of: () => Promise<ObjectStore | null> } {
  return { of: () => Promise.resolve(store) };
}

const { accounts } = loadConfig({}, {}, '/nowhere');
const [anyone] = accounts;
if (anyone === undefined) throw new Error('no account');

const unexpected: ScanObserver = {
  failed: (_store, error) => {
    throw error;
  },
  cut: ({ name }) => {
    throw new Error(`${name} was cut`);
  },
};

/** A bucket's part of an account's configuration; the store itself is the test's. */
function inBucket(id: string): AccountConfig {
  if (anyone === undefined) throw new Error('no account');
  const store: S3StoreConfig = {
    type: 's3',
    bucket: 'b',
    region: null,
    endpoint: null,
    prefix: '',
    pathStyle: true,
    credentials: null,
    storageClass: null,
    encryption: null,
    tags: {},
  };
  return { ...anyone, id, store };
}

/** Remembers what was asked of it. */
class Listed extends FileStore {
  readonly asked: [string, string | undefined][] = [];
  reading = 0;
  mostReading = 0;

  override list(prefix: string, after?: string): AsyncGenerator<StoredObject> {
    this.asked.push([prefix, after]);
    return super.list(prefix, after);
  }

  override async read(key: string): Promise<Readable> {
    this.mostReading = Math.max(this.mostReading, ++this.reading);
    try {
      return await super.read(key);
    } finally {
      this.reading--;
    }
  }
}

await t.test(
  'while the stores are being read a question waits, and what is known already does not',
  async (t) => {
    const dir = t.testdir({});
    const stored = await fabricateRecording(join(dir, 'kept'), { samplesPerChunk: 80 });
    const spooled = await fabricateRecording(join(dir, 'spool'), { state: 'recording', chunks: 0 });
    const store = new Slow(join(dir, 'kept'));
    const stores = only(store);
    const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
    await library.scanSpool();
    const scanned = library.scanStores(accounts, unexpected);
    t.equal((await library.find(spooled.manifest.recordingId))?.state, 'recording');
    const asked = library.find(stored.manifest.recordingId);
    const listed = library.list({ limit: 10 });
    t.equal(await library.known(stored.manifest.recordingId), undefined);
    store.go.fire();
    t.equal((await asked)?.state, 'complete');
    t.equal((await listed).entries.length, 2);
    await scanned;
  },
);

await t.test('what is in the spool is newer than what its store says', async (t) => {
  const dir = t.testdir({});
  const ids = { accountId: 'AC1', callId: 'CA1', recordingId: 'r1', chunks: 0 } as const;
  await fabricateRecording(join(dir, 'kept'), { ...ids, state: 'complete' });
  await fabricateRecording(join(dir, 'spool'), { ...ids, state: 'uploading' });
  const stores = only(new FileStore(join(dir, 'kept')));
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
  await library.scanSpool();
  await library.scanStores(accounts, unexpected);
  t.equal((await library.find('r1'))?.state, 'uploading');
});

await t.test('a store that cannot be read is told, and read again at the next chance', async (t) => {
  const dir = t.testdir({ kept: 'not a folder' });
  const store = new Slow(join(dir, 'kept'));
  store.go.fire();
  let failures = 0;
  let isBroken = true;
  store.list = (prefix, after) => {
    if (isBroken) throw new Error('bucket is away');
    return FileStore.prototype.list.call(store, prefix, after);
  };
  const stores = only(store);
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
  await library.scanStores(accounts, { ...unexpected, failed: () => failures++ });
  t.equal(failures, 1);
  isBroken = false;
  await library.scanStores(accounts, unexpected);
  await library.scanStores(accounts, unexpected);
  t.equal(await library.find('r1'), undefined);
});

await t.test('a store that does not answer keeps only its own account waiting, and that once', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'kept'), { accountId: 'AC2', chunks: 0 });
  const dead = new Slow(join(dir, 'dead'));
  const kept = new FileStore(join(dir, 'kept'));
  const stores = { of: (id: string) => Promise.resolve(id === 'AC2' ? kept : dead) };
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
  const configured = ['AC1', 'AC3', 'AC2'].map(inBucket);
  const scanned = library.scanStores(configured, unexpected);
  const own = (id: string) => ({ limit: 10, visible: { only: id } });
  const { entries } = await library.list(own('AC2'));
  t.strictSame(
    entries.map(({ recordingId }) => recordingId),
    [manifest.recordingId],
  );
  const state = { waits: true };
  const others = library.list(own('AC1')).finally(() => (state.waits = false));
  await library.list({ limit: 10, account: 'AC2' });
  t.ok(state.waits);
  dead.go.fire();
  await scanned;
  dead.list = () => {
    throw new Error('gone');
  };
  t.strictSame((await others).entries, []);
  let failures = 0;
  const again = library.scanStores(configured, { ...unexpected, failed: () => failures++ });
  t.strictSame((await library.list(own('AC1'))).entries, [], 'what was tried is not waited for again');
  await again;
  t.equal(failures, 0, 'and what was read is not read again');
});

await t.test('recordings of accounts that cannot be looked up hold up nobody else’s', async (t) => {
  const dir = t.testdir({});
  const kept = join(dir, 'kept');
  for (const accountId of ['far', 'near', 'far-too'])
    await fabricateRecording(kept, { accountId, chunks: 0 });
  const store = new FileStore(kept);
  let isDown = true;
  const of = (id: string) =>
    isDown && id.startsWith('far')
      ? Promise.reject(new ReelayError('accounts_unavailable', { value: id }))
      : Promise.resolve(store);
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), { of });
  const shown = async () =>
    (await library.list({ limit: 10 })).entries.map(({ accountId }) => accountId).sort();
  const failures: unknown[] = [];
  await library.scanStores(accounts, { ...unexpected, failed: (_store, error) => failures.push(error) });
  t.match(failures, [{ code: 'accounts_unavailable' }]);
  t.strictSame(await shown(), ['near']);
  isDown = false;
  await library.scanStores(accounts, unexpected);
  t.strictSame(await shown(), ['far', 'far-too', 'near']);
});

await t.test('a recording that is deleted while it is looked up stays deleted', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'kept'), { accountId: 'AC1', chunks: 0 });
  const [reached, go] = [new Signal(), new Signal()];
  class Gated extends FileStore {
    override async read(key: string): Promise<Readable> {
      const stream = await super.read(key);
      reached.fire();
      await go.fired;
      return stream;
    }
  }
  const catalogue = new MemoryCatalogue();
  const folder = folderOf(manifest);
  await catalogue.write([{ entry: { ...entryOf(manifest, folder), state: 'uploading' } }]);
  const library = new Library(catalogue, join(dir, 'spool'), only(new Gated(join(dir, 'kept'))));
  const { recordingId, accountId, callId, startTime } = manifest;
  const looked = library.refresh(recordingId);
  await reached.fired;
  const deletion = { deletedTime: startTime, cause: 'request', by: 'desk' } as const;
  await catalogue.bury({ recordingId, accountId, callId, startTime, ...deletion });
  go.fire();
  await looked;
  t.equal(await library.find(recordingId), undefined);
  await library.finished(folder, manifest);
  t.equal(await library.find(recordingId), undefined, 'also when its upload ends only now');
});

await t.test('what a store says of another account’s recording is not believed, and told', async (t) => {
  const dir = t.testdir({ outgoing: {} });
  const kept = (id: string): string => join(dir, id);
  const own = await fabricateRecording(kept('AC2'), { accountId: 'AC2', recordingId: 'r1', chunks: 0 });
  await fabricateRecording(kept('AC1'), { accountId: 'AC1', recordingId: 'r1', chunks: 0 });
  const stores: Record<string, FileStore> = {
    AC1: new FileStore(kept('AC1')),
    AC2: new FileStore(kept('AC2')),
  };
  const { startTime } = own.manifest;
  const said = {
    recordingId: 'r1',
    accountId: 'AC1',
    callId: 'CAmade-up',
    startTime,
    deletedTime: startTime,
  };
  await new Ledger(new FileStore(kept('AC1')), join(dir, 'outgoing')).bury({
    schema: 1,
    ...said,
    cause: 'request',
    by: 'AC1',
  });
  const catalogue = new MemoryCatalogue();
  const library = new Library(catalogue, join(dir, 'spool'), {
    of: (id) => Promise.resolve(stores[id] ?? null),
  });
  await library.scanStores([inBucket('AC2')], unexpected, { isWhole: true });
  const refused: string[] = [];
  const observer: ScanObserver = {
    ...unexpected,
    refused: ({ name }, { recordingId, accountId }) => refused.push(`${name} ${accountId} ${recordingId}`),
  };
  await library.scanStores([inBucket('AC1')], observer, { isWhole: true });
  t.equal((await library.find('r1'))?.accountId, 'AC2');
  const told = `file:${kept('AC1')} AC1 r1`;
  t.strictSame(refused, [told, told], 'of the tombstone, and of the manifest');
  const result = await reindex(
    { ...loadConfig({}, {}, dir), accounts: ['AC2', 'AC1'].map(inBucket) },
    catalogue,
    {
      of: (id) => Promise.resolve(stores[id] ?? null),
    },
  );
  t.match(result.failures, [
    { error: { code: 'catalogue_refused' } },
    { error: { code: 'catalogue_refused' } },
  ]);
  t.equal((await library.find('r1'))?.accountId, 'AC2');
});

await t.test('an announcement that comes late does not undo the end', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'kept'), { samplesPerChunk: 80 });
  const stores = only(new FileStore(join(dir, 'kept')));
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
  await library.finished('f', manifest);
  library.take({ type: 'ended', folder: 'f', manifest: { ...manifest, state: 'uploading' } });
  t.equal((await library.find(manifest.recordingId))?.state, 'complete');
});

await t.test('files that still lie in the spool do not undo the end', async (t) => {
  const dir = t.testdir({});
  const spool = join(dir, 'spool');
  const ids = { recordingId: 'r1', callId: 'CA1', accountId: 'AC1' };
  const kept = await fabricateRecording(join(dir, 'kept'), { ...ids, state: 'complete' });
  const left = await fabricateRecording(spool, { ...ids, state: 'uploading' });
  const library = new Library(new MemoryCatalogue(), spool, only(new FileStore(join(dir, 'kept'))));
  const folder = relative(spool, left.folder);
  await library.finished(folder, kept.manifest);
  await library.scanSpool(() => t.fail('it is known'));
  t.equal((await library.find('r1'))?.state, 'complete');
  t.equal((await library.refresh('r1'))?.state, 'complete');
  t.equal((await library.find('r1'))?.state, 'complete');
});

await t.test('of a bucket each account’s last thirty days are read, a few manifests at once', async (t) => {
  const dir = t.testdir({});
  const kept = join(dir, 'kept');
  const today = Date.now();
  const day = 86_400_000;
  for (let index = 0; index < 20; index++)
    await fabricateRecording(kept, {
      accountId: 'AC1',
      recordingId: `new${index}`,
      chunks: 0,
      startMs: today - day,
    });
  await fabricateRecording(kept, {
    accountId: 'AC1',
    recordingId: 'old',
    chunks: 0,
    startMs: today - 32 * day,
  });
  await fabricateRecording(kept, { accountId: 'AC3', recordingId: 'foreign', chunks: 0, startMs: today });
  const store = new Listed(kept);
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), only(store));
  await library.scanStores([inBucket('AC1'), inBucket('AC2')], unexpected);
  const found = (await library.list({ limit: 100 })).entries.map(({ recordingId }) => recordingId);
  t.strictSame(found.sort(), Array.from({ length: 20 }, (_, index) => `new${index}`).sort());
  const since = new Date(today - 30 * day).toISOString().slice(0, 10).replaceAll('-', '');
  // What recordings don't say lies apart from them, and is read once, too.
  const ledger = (prefix: string | undefined): boolean => prefix?.startsWith('_reelay/') === true;
  const listed = () => store.asked.filter(([prefix]) => !ledger(prefix));
  // Accounts are read side by side, and either may come first.
  t.strictSame(listed().sort(), [
    ['AC1/', `AC1/${since}`],
    ['AC2/', `AC2/${since}`],
  ]);
  const kinds = ['AC1', 'AC2'].flatMap((id) => [`_reelay/${id}/outbox/`, `_reelay/${id}/tombstones/`]);
  const own = store.asked.map(([prefix]) => prefix).filter(ledger);
  t.strictSame(own.sort(), kinds);
  t.ok(store.mostReading > 1 && store.mostReading <= 8, `${store.mostReading} at once`);
  await library.scanStores([inBucket('AC1'), inBucket('*')], unexpected);
  t.strictSame(listed().slice(2), [['', undefined]], 'what was read is not read again');
  t.ok(await library.known('foreign'), 'a catch-all finds every account');
  t.notOk(await library.known('old'));
});

await t.test('a held recording alone is shown as failed, also while its account is parked', async (t) => {
  const spool = t.testdir({});
  const [held, other] = [await fabricateIn(spool), await fabricateIn(spool)];
  const library = new Library(new MemoryCatalogue(), spool, only(null));
  await library.scanSpool();
  const shown = async () =>
    await Promise.all(
      [held, other].map(async ({ recordingId }) => {
        const entry = await library.find(recordingId);
        t.equal((entry && (await library.manifest(entry)))?.reason, entry?.reason);
        return entry?.state === 'failed' ? entry.reason : entry?.state;
      }),
    );
  await library.hold(folderOf(held), 'no_store');
  t.strictSame(await shown(), ['no_store', 'uploading']);
  await library.hold(folderOf(held), 'store_changed');
  await library.park('AC1', 'store_denied');
  t.strictSame(await shown(), ['store_changed', 'store_denied']);
  await library.unpark('AC1');
  t.strictSame(await shown(), ['store_changed', 'uploading']);
  await library.park('AC1', 'store_denied');
  await library.release(folderOf(held));
  t.strictSame(await shown(), ['store_denied', 'store_denied']);
  await library.unpark('AC1');
  t.strictSame(await shown(), ['uploading', 'uploading']);
  await library.hold(folderOf(held), 'no_store');
  await library.finished(folderOf(held), { ...held, state: 'complete' });
  await library.release(folderOf(held));
  t.equal((await library.find(held.recordingId))?.state, 'complete');
});

async function fabricateIn(spool: string): Promise<Manifest> {
  const { manifest } = await fabricateRecording(spool, { accountId: 'AC1', state: 'uploading', chunks: 0 });
  return manifest;
}

await t.test(
  'while its account is parked a recording that is over is shown as failed, and then as it is',
  async (t) => {
    const dir = t.testdir({});
    const spool = join(dir, 'spool');
    const ids: string[] = [];
    for (const state of ['uploading', 'interrupted', 'recording'] as const) {
      const { manifest } = await fabricateRecording(spool, { accountId: 'AC1', state, samplesPerChunk: 80 });
      ids.push(manifest.recordingId);
    }
    const other = await fabricateRecording(spool, { accountId: 'AC2', state: 'uploading', chunks: 0 });
    const stored = await fabricateRecording(join(dir, 'kept'), {
      accountId: 'AC1',
      state: 'interrupted',
      chunks: 0,
    });
    const stores = only(new FileStore(join(dir, 'kept')));
    const library = new Library(new MemoryCatalogue(), spool, stores);
    await library.scanSpool();
    await library.scanStores(accounts, unexpected);
    const shown = async () =>
      await Promise.all(
        [...ids, other.manifest.recordingId, stored.manifest.recordingId].map(async (id) => {
          const entry = await library.find(id);
          const manifest = entry === undefined ? null : await library.manifest(entry);
          t.equal(manifest?.state, entry?.state);
          t.equal(manifest?.reason, entry?.reason);
          return entry?.state;
        }),
      );
    const before = ['uploading', 'interrupted', 'recording', 'uploading', 'interrupted'];
    t.strictSame(await shown(), before);
    await library.park('AC1', 'store_denied');
    t.strictSame(await shown(), ['failed', 'failed', 'recording', 'uploading', 'interrupted']);
    const failed = await library.list({ limit: 10, state: 'failed' });
    t.strictSame(failed.entries.map(({ recordingId }) => recordingId).sort(), ids.slice(0, 2).sort());
    t.strictSame((await library.list({ limit: 10, state: 'uploading' })).entries.length, 1);
    const live = await fabricateRecording(spool, { accountId: 'AC1', state: 'uploading', chunks: 0 });
    library.take({ type: 'ended', folder: folderOf(live.manifest), manifest: live.manifest });
    t.equal(
      (await library.find(live.manifest.recordingId))?.reason,
      'store_denied',
      'also one that ends meanwhile',
    );
    const one = await library.find(ids[0] ?? '');
    const manifest = one === undefined ? null : await library.manifest(one);
    if (one === undefined || manifest === null) throw new Error('it is gone');
    t.equal((await library.audio(one, manifest)).samples, manifest.samples, 'its audio is there');
    await library.finished(one.folder, { ...manifest, state: 'complete', reason: null });
    await library.unpark('AC1');
    t.equal((await library.find(ids[0] ?? ''))?.state, 'complete', 'stored meanwhile');
    t.equal((await library.find(ids[1] ?? ''))?.state, 'interrupted');
    t.equal((await library.find(live.manifest.recordingId))?.state, 'uploading');
    t.strictSame((await library.list({ limit: 10, state: 'failed' })).entries, []);
  },
);
