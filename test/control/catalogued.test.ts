import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Catalogue, CatalogueEntry } from '../../src/catalogue/Catalogue.js';
import { catalogueAt } from '../../src/catalogue/catalogueAt.js';
import { CatalogueWriter } from '../../src/catalogue/CatalogueWriter.js';
import { runReindex } from '../../src/cli/reindex.js';
import type { AccountConfig } from '../../src/config/Config.js';
import { loadConfig } from '../../src/config/load.js';
import { Library } from '../../src/control/library/Library.js';
import { reindex } from '../../src/control/library/reindex.js';
import type { ScanObserver } from '../../src/control/library/StoreScan.js';
import { FileStore } from '../../src/storage/FileStore.js';
import type { ObjectStore, StoredObject } from '../../src/storage/ObjectStore.js';
import { folderOf } from '../../src/storage/SpooledRecording.js';
import { databases, opened } from '../catalogue/fixtures/catalogues.js';
import { entry } from '../catalogue/fixtures/entry.js';
import { FaultyCatalogue } from '../catalogue/fixtures/FaultyCatalogue.js';
import { fabricateRecording, wavOf } from '../fixtures/recording.js';

const day = 86_400_000;

/** Remembers how often its recordings were listed, and fails when it is told to. */
class Listed extends FileStore {
  listings = 0;
  isAway = false;

  override list(prefix: string, after?: string): AsyncGenerator<StoredObject> {
    if (!prefix.startsWith('_reelay/')) this.listings++;
    if (this.isAway) throw new Error('the bucket is away');
    return super.list(prefix, after);
  }
}

function only(store: ObjectStore | null): { of: () => Promise<ObjectStore | null> } {
  return { of: () => Promise.resolve(store) };
}

const unexpected: ScanObserver = {
  failed: (_store, error) => {
    throw error;
  },
  cut: ({ name }) => {
    throw new Error(`${name} was cut`);
  },
};

/** An account whose recordings lie in a bucket; the store itself is the test's. */
function inBucket(id: string): AccountConfig {
  const environment = {
    REELAY_ACCOUNTS_0_ID: id,
    REELAY_ACCOUNTS_0_STORE_TYPE: 's3',
    REELAY_ACCOUNTS_0_STORE_BUCKET: 'calls',
  };
  const [account] = loadConfig({}, environment, '/nowhere').accounts;
  if (account === undefined) throw new Error('no account');
  return account;
}

async function all(library: Pick<Library, 'list'> | Catalogue): Promise<CatalogueEntry[]> {
  return [...(await library.list({ limit: 1000 })).entries];
}

async function states(library: Library): Promise<Record<string, string>> {
  return Object.fromEntries((await all(library)).map(({ recordingId, state }) => [recordingId, state]));
}

for (const kind of databases) {
  await t.test(
    `${kind.name}: stores are read once and remembered across starts, however old their recordings`,
    async (t) => {
      const dir = t.testdir({});
      const kept = join(dir, 'kept');
      for (const age of [0, 40, 400])
        await fabricateRecording(kept, {
          accountId: 'AC1',
          recordingId: `r${age}`,
          chunks: 2,
          samplesPerChunk: 80,
          startMs: Date.now() - age * day,
        });
      const catalogue = await opened(t, kind);
      const store = new Listed(kept);
      const accounts = [inBucket('AC1')];
      const first = new Library(catalogue, join(dir, 'spool'), only(store));
      await first.scanStores(accounts, unexpected);
      t.strictSame(
        (await all(first)).map(({ recordingId }) => recordingId),
        ['r0', 'r40', 'r400'],
      );
      t.equal((await catalogue.chunks('r400'))?.length, 2);
      const second = new Library(catalogue, join(dir, 'spool'), only(store));
      await second.scanStores(accounts, unexpected);
      t.equal(store.listings, 2, 'the last month and the rest, and not again at the next start');
      t.equal((await all(second)).length, 3);
      await fabricateRecording(kept, {
        accountId: 'AC1',
        recordingId: 'missed',
        chunks: 0,
        startMs: Date.now(),
      });
      await fabricateRecording(kept, {
        accountId: 'AC1',
        recordingId: 'old',
        chunks: 0,
        startMs: Date.now() - 9 * day,
      });
      const again = new Date(Date.now() - day).toISOString().slice(0, 10).replaceAll('-', '');
      await second.scanStores(accounts, unexpected, { again });
      t.strictSame(
        Object.keys(await states(second)).sort(),
        ['missed', 'r0', 'r40', 'r400'],
        'from that day on',
      );
    },
  );

  await t.test(`${kind.name}: a store that could not be read is not remembered as read`, async (t) => {
    const dir = t.testdir({});
    const { manifest } = await fabricateRecording(join(dir, 'kept'), { accountId: 'AC1', chunks: 0 });
    const catalogue = await opened(t, kind);
    const store = new Listed(join(dir, 'kept'));
    store.isAway = true;
    let failures = 0;
    const failing = { ...unexpected, failed: () => failures++ };
    await new Library(catalogue, join(dir, 'spool'), only(store)).scanStores([inBucket('AC1')], failing);
    t.equal(failures, 1);
    store.isAway = false;
    const library = new Library(catalogue, join(dir, 'spool'), only(store));
    await library.scanStores([inBucket('AC1')], unexpected);
    t.ok(await library.find(manifest.recordingId));
  });

  await t.test(
    `${kind.name}: what is unfinished and not in the spool is looked for where it may be`,
    async (t) => {
      const dir = t.testdir({});
      const [spool, kept] = [join(dir, 'spool'), join(dir, 'kept')];
      const ids = { accountId: 'AC1', chunks: 0 } as const;
      const stored = await fabricateRecording(kept, { ...ids, recordingId: 'stored' });
      await fabricateRecording(spool, { ...ids, recordingId: 'spooled', state: 'uploading' });
      const catalogue = await opened(t, kind);
      const gone = (['recording', 'uploading', 'failed', 'complete'] as const).map((state) => ({
        entry: entry(`gone-${state}`, 1, { state }),
      }));
      const { folder } = entry('stored', 1);
      const was = { state: 'uploading', folder: folderOf(stored.manifest) } as const;
      t.not(was.folder, folder);
      await catalogue.write([...gone, { entry: entry('stored', 1, was) }]);
      const library = new Library(catalogue, spool, only(new FileStore(kept)));
      const found: string[] = [];
      await library.mend(false, (_folder, { recordingId }) => found.push(recordingId));
      t.strictSame(found, ['spooled']);
      const here = { stored: 'complete', spooled: 'uploading', 'gone-complete': 'complete' };
      const elsewhere = {
        'gone-recording': 'recording',
        'gone-uploading': 'uploading',
        'gone-failed': 'failed',
      };
      t.strictSame(await states(library), kind.name === 'sqlite' ? here : { ...here, ...elsewhere });
      // A store that can't be asked says nothing.
      await catalogue.write([{ entry: entry('unknown', 1, { state: 'uploading' }) }]);
      const blind = { of: () => Promise.reject(new Error('away')) };
      await new Library(catalogue, spool, blind).mend();
      t.equal((await catalogue.get('unknown'))?.state, 'uploading');
    },
  );

  await t.test(
    `${kind.name}: after a reindex of nothing the answers are the same, and what is nowhere is gone`,
    async (t) => {
      const dir = t.testdir({});
      const url = await kind.place(t);
      const config = loadConfig({}, { REELAY_CATALOGUE_URL: url }, dir);
      const [spool, kept] = [join(dir, 'spool'), join(dir, 'recordings')];
      for (let at = 0; at < 130; at++)
        await fabricateRecording(at % 10 === 0 ? spool : kept, {
          accountId: `AC${at % 3}`,
          chunks: at % 4 === 0 ? 1 : 0,
          samplesPerChunk: 8,
          state: at % 10 === 0 ? 'uploading' : 'complete',
          startMs: Date.now() - at * 5 * day,
        });
      const store = new Listed(kept);
      const catalogue = catalogueAt(url);
      await catalogue.open();
      t.teardown(() => catalogue.close());
      const library = new Library(catalogue, spool, only(store));
      await library.scanSpool();
      await library.scanStores(config.accounts, unexpected);
      const before = await all(library);
      t.equal(before.length, 130);
      const chunksBefore = await Promise.all(before.map(({ recordingId }) => catalogue.chunks(recordingId)));
      for (const { recordingId } of before) if (recordingId < '8') await catalogue.remove(recordingId);
      await catalogue.write([{ entry: entry('nowhere', 1) }]);
      const result = await reindex(config, catalogue, only(store));
      t.strictSame(result, { stored: 117, spooled: 13, removed: 1, failures: [] });
      t.strictSame(await all(catalogue), before);
      const chunksAfter = await Promise.all(before.map(({ recordingId }) => catalogue.chunks(recordingId)));
      t.strictSame(chunksAfter, chunksBefore);
      store.isAway = true;
      const failed = await reindex(config, catalogue, only(store));
      t.match(failed, { stored: 0, spooled: 13, removed: 0, failures: [{ store: store.name }] });
      t.strictSame(await all(catalogue), before, 'what cannot be read is not taken for gone');
    },
  );
}

await t.test('deleting the file and running `reindex` gives the same answers', async (t) => {
  const dir = t.testdir({});
  const environment = {
    REELAY_CATALOGUE_URL: `sqlite:${join(dir, 'reelay.db')}`,
    REELAY_SPOOL_DIR: join(dir, 'spool'),
  };
  for (let at = 0; at < 5; at++)
    await fabricateRecording(join(dir, 'kept'), { chunks: 1, samplesPerChunk: 8 });
  const flags = { store: join(dir, 'kept') };
  const run = async (more: Record<string, string> = {}) => {
    const [said, errors]: [string[], string[]] = [[], []];
    const collect = (lines: string[]) => ({ write: (text: string) => lines.push(text) });
    const code = await runReindex(flags, collect(said), collect(errors), { ...environment, ...more });
    return { code, said: said.join(''), errors: errors.join('') };
  };
  const listed = async () => {
    const catalogue = catalogueAt(environment.REELAY_CATALOGUE_URL);
    await catalogue.open();
    const entries = await all(catalogue);
    await catalogue.close();
    return entries;
  };
  t.match(await run(), { code: 0, said: /in stores +5\n/, errors: '' });
  const before = await listed();
  t.equal(before.length, 5);
  await rm(join(dir, 'reelay.db'));
  t.match(await run(), { code: 0 });
  t.strictSame(await listed(), before);
  t.match(await run({ REELAY_CATALOGUE_URL: 'memory:' }), {
    code: 2,
    errors: /config_invalid: .*each start/i,
  });
  const held = catalogueAt(environment.REELAY_CATALOGUE_URL);
  await held.open();
  t.match(await run(), { code: 2, errors: /catalogue_locked: .*Stop the daemon/ });
  await held.close();
});

for (const kind of databases.filter(({ name }) => name === 'postgres'))
  await t.test(
    'two daemons with one database and one store list and play what the other has stored',
    async (t) => {
      const dir = t.testdir({});
      const url = await kind.place(t);
      const store = only(new FileStore(join(dir, 'kept')));
      const daemon = async (name: string) => {
        const observer = { down: () => Promise.resolve(), up: () => undefined, refused: () => undefined };
        const writer = new CatalogueWriter(catalogueAt(url), observer);
        t.teardown(() => writer.close());
        await writer.open();
        return new Library(writer, join(dir, name), store);
      };
      // Both make the tables at once.
      const [one, other] = await Promise.all([daemon('one'), daemon('other')]);
      const live = await fabricateRecording(join(dir, 'one'), {
        state: 'recording',
        chunks: 0,
        recordingId: 'r1',
      });
      one.take({ type: 'started', folder: folderOf(live.manifest), manifest: live.manifest });
      await one.list({ limit: 1 });
      const seen = await other.find('r1');
      t.equal(seen?.state, 'recording');
      t.equal(seen && (await other.manifest(seen)), null, 'known, and not there yet');
      await other.mend();
      t.equal((await other.find('r1'))?.state, 'recording', 'it is not taken for gone');
      const { accountId, callId } = live.manifest;
      const ids = { accountId, callId, recordingId: 'r1', startMs: Date.parse(live.manifest.startTime) };
      const stored = await fabricateRecording(join(dir, 'kept'), { ...ids, chunks: 2, samplesPerChunk: 80 });
      await one.finished(folderOf(stored.manifest), stored.manifest);
      const entries = await all(other);
      t.strictSame(
        entries.map(({ recordingId, state }) => [recordingId, state]),
        [['r1', 'complete']],
      );
      const [found] = entries;
      const manifest = found === undefined ? null : await other.manifest(found);
      if (found === undefined || manifest === null) throw new Error('it is not found');
      const audio = await other.audio(found, manifest);
      const pieces: Uint8Array[] = [];
      for await (const piece of audio.read({ start: 0, end: audio.bytes - 1 })) pieces.push(piece);
      const played = Buffer.concat(pieces);
      t.ok(played.equals(wavOf(stored.pcm, 8000, 2)));
    },
  );

function away(t: Test) {
  const inner = new FaultyCatalogue();
  let up: () => void = () => undefined;
  const isUp = () => new Promise<void>((resolve) => (up = resolve));
  const observer = { down: () => Promise.resolve(), up: () => up(), refused: () => undefined };
  const writer = new CatalogueWriter(inner, observer, { backoff: { first: 1, most: 5 } });
  t.teardown(() => writer.close());
  return { inner, writer, isUp };
}

await t.test(
  'while the catalogue is away what lies in the spool is known, and nothing is said not to be there',
  async (t) => {
    const dir = t.testdir({});
    const [spool, kept] = [join(dir, 'spool'), join(dir, 'kept')];
    const { inner, writer, isUp } = away(t);
    inner.isAway = true;
    const live = await fabricateRecording(spool, { state: 'uploading', chunks: 1, samplesPerChunk: 8 });
    const library = new Library(writer, spool, only(new FileStore(kept)));
    await library.scanSpool();
    await writer.open();
    const { recordingId } = live.manifest;
    t.equal((await library.find(recordingId))?.state, 'uploading');
    await t.rejects(library.find('another'), { code: 'catalogue_unavailable' });
    t.equal(await library.known('another'), undefined);
    await t.rejects(library.list({ limit: 1 }), { code: 'catalogue_unavailable' });
    await library.park(live.manifest.accountId, 'store_denied');
    t.equal((await library.find(recordingId))?.state, 'failed');
    await library.unpark(live.manifest.accountId);
    const begun = await fabricateRecording(spool, { state: 'recording', chunks: 0, startMs: Date.now() });
    library.take({ type: 'started', folder: folderOf(begun.manifest), manifest: begun.manifest });
    t.equal((await library.find(begun.manifest.recordingId))?.state, 'recording');
    await library.finished(folderOf(live.manifest), { ...live.manifest, state: 'complete' });
    t.equal((await library.find(recordingId))?.state, 'complete', 'what waits to be written is known, too');
    const back = isUp();
    inner.isAway = false;
    await back;
    t.strictSame(await states(library), {
      [begun.manifest.recordingId]: 'recording',
      [recordingId]: 'complete',
    });
  },
);

await t.test('what found no room while it was away is taken from the spool again', async (t) => {
  const dir = t.testdir({});
  const spool = join(dir, 'spool');
  const library = new Library(new FaultyCatalogue(), spool, only(null));
  for (let at = 0; at < 67; at++) await fabricateRecording(spool, { state: 'uploading', chunks: 0 });
  await library.scanSpool();
  const inner = new FaultyCatalogue();
  const short = new CatalogueWriter(
    inner,
    { down: () => Promise.resolve(), up: () => undefined, refused: () => undefined },
    { mostWaiting: 64 },
  );
  t.teardown(() => short.close());
  const other = new Library(short, spool, only(null));
  await other.scanSpool();
  await short.open();
  t.equal((await all(other)).length, 64);
  await other.mend(true);
  t.strictSame(await states(other), await states(library));
});
