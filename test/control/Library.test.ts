import { join } from 'node:path';
import t from 'tap';
import { MemoryCatalogue } from '../../src/catalogue/MemoryCatalogue.js';
import { loadConfig } from '../../src/config/load.js';
import { Library } from '../../src/control/Library.js';
import { FileStore } from '../../src/storage/FileStore.js';
import type { ObjectStore, StoredObject } from '../../src/storage/ObjectStore.js';
import { Stores } from '../../src/storage/Stores.js';
import { Signal } from '../fixtures/Signal.js';
import { fabricateRecording } from '../fixtures/recording.js';

/** A folder store whose listing waits until it is let go. */
class Slow extends FileStore {
  readonly go = new Signal();

  override async *list(prefix: string): AsyncGenerator<StoredObject> {
    await this.go.fired;
    yield* super.list(prefix);
  }
}

class OneStore extends Stores {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    super(loadConfig({}, {}, '/nowhere'));
    this.#store = store;
  }

  override of(): ObjectStore {
    return this.#store;
  }

  override all(): readonly ObjectStore[] {
    return [this.#store];
  }
}

const unexpected = (_store: ObjectStore, error: unknown) => {
  throw error;
};

await t.test(
  'while the stores are being read a question waits, and what is known already does not',
  async (t) => {
    const dir = t.testdir({});
    const stored = await fabricateRecording(join(dir, 'kept'), { samplesPerChunk: 80 });
    const spooled = await fabricateRecording(join(dir, 'spool'), { state: 'recording', chunks: 0 });
    const store = new Slow(join(dir, 'kept'));
    const stores = new OneStore(store);
    const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
    await library.scanSpool();
    const scanned = library.scanStores(stores, unexpected);
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
  const stores = new OneStore(new FileStore(join(dir, 'kept')));
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
  await library.scanSpool();
  await library.scanStores(stores, unexpected);
  t.equal((await library.find('r1'))?.state, 'uploading');
});

await t.test('a store that cannot be read is told, and read again at the next chance', async (t) => {
  const dir = t.testdir({ kept: 'not a folder' });
  const store = new Slow(join(dir, 'kept'));
  store.go.fire();
  let failures = 0;
  let isBroken = true;
  store.list = (prefix) => {
    if (isBroken) throw new Error('bucket is away');
    return FileStore.prototype.list.call(store, prefix);
  };
  const stores = new OneStore(store);
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
  await library.scanStores(stores, () => failures++);
  t.equal(failures, 1);
  isBroken = false;
  await library.scanStores(stores, unexpected);
  await library.scanStores(stores, unexpected);
  t.equal(await library.find('r1'), undefined);
});

await t.test('an announcement that comes late does not undo the end', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'kept'), { samplesPerChunk: 80 });
  const stores = new OneStore(new FileStore(join(dir, 'kept')));
  const library = new Library(new MemoryCatalogue(), join(dir, 'spool'), stores);
  await library.finished('f', manifest);
  await library.take({ type: 'ended', folder: 'f', manifest: { ...manifest, state: 'uploading' } });
  t.equal((await library.find(manifest.recordingId))?.state, 'complete');
});
