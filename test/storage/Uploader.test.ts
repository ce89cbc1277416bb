import { cp, mkdir, readdir, readFile, rename, rm, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t, { type Test } from 'tap';
import type { Manifest } from '../../src/spool/Manifest.js';
import { FileStore } from '../../src/storage/FileStore.js';
import type { ObjectStore, StoredObject } from '../../src/storage/ObjectStore.js';
import { Uploader } from '../../src/storage/Uploader.js';
import type { FailedAttempt } from '../../src/storage/UploadObserver.js';
import type { UploadNote } from '../../src/storage/UploadNote.js';
import { Signal } from '../fixtures/Signal.js';
import { UploadWatcher as Watcher } from './fixtures/UploadWatcher.js';
import { fabricateRecording, type FabricatedRecording, type Fabrication } from '../fixtures/recording.js';

// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

/** A folder store that can be told to do something before and after it stores. */
class Hooked extends FileStore {
  // Copies of it, which stand for what a crash left behind, are the same place.
  override readonly name = 'file:kept';
  before: (key: string) => Promise<void> = () => Promise.resolve();
  after: (key: string) => Promise<void> = () => Promise.resolve();

  override async put(
    key: string,
    file: string,
    expected: { readonly sha256: string },
  ): Promise<StoredObject> {
    await this.before(key);
    const stored = await super.put(key, file, expected);
    await this.after(key);
    return stored;
  }
}

interface Bench {
  readonly spoolDir: string;
  readonly kept: string;
  readonly recording: FabricatedRecording;
  /** The recording's folder below the spool. */
  readonly folder: string;
  readonly originals: ReadonlyMap<string, Buffer>;
}

async function bench(
  dir: string,
  wanted: Fabrication = { state: 'uploading', chunks: 3, samplesPerChunk: 800 },
): Promise<Bench> {
  const spoolDir = join(dir, 'spool');
  const recording = await fabricateRecording(spoolDir, wanted);
  const originals = new Map<string, Buffer>();
  for (const name of await readdir(recording.folder))
    originals.set(name, await readFile(join(recording.folder, name)));
  return {
    spoolDir,
    kept: join(dir, 'kept'),
    recording,
    folder: relative(spoolDir, recording.folder),
    originals,
  };
}

async function upload(at: Bench, store: ObjectStore | null = new Hooked(at.kept)): Promise<Watcher> {
  const watcher = new Watcher();
  const uploader = new Uploader({
    spoolDir: at.spoolDir,
    storeOf: () => Promise.resolve(store),
    observer: watcher.observer,
    chunkWidth: 1,
  });
  await uploader.wakeAll();
  await uploader.idle();
  await uploader.stop();
  return watcher;
}

/** Everything that the recording had is in the store, bit for bit, and nothing of it is left in the spool. */
async function isMoved(t: Test, at: Bench, state = 'complete'): Promise<void> {
  const place = join(at.kept, at.folder);
  t.strictSame((await readdir(place)).sort(), [...at.originals.keys()].sort());
  for (const [name, content] of at.originals) {
    if (name === 'manifest.json') continue;
    t.ok(content.equals(await readFile(join(place, name))), name);
  }
  const manifest = JSON.parse(await readFile(join(place, 'manifest.json'), 'utf8')) as Manifest;
  t.strictSame(manifest, { ...at.recording.manifest, state });
  t.strictSame(await readdir(at.spoolDir), [], 'the spool is empty');
}

await t.test('a recording that is over moves to its store and ends complete', async (t) => {
  const at = await bench(t.testdir({}));
  const watcher = await upload(at);
  t.strictSame(watcher.stored, [
    '0-audio.wav',
    '0-metadata.json',
    '1-audio.wav',
    '1-metadata.json',
    '2-audio.wav',
    '2-metadata.json',
    'manifest.json',
  ]);
  t.strictSame(
    watcher.finished.map(({ state }) => state),
    ['complete'],
  );
  t.strictSame(watcher.troubles, []);
  await isMoved(t, at);
});

await t.test('an interrupted recording is stored and stays interrupted', async (t) => {
  const at = await bench(t.testdir({}), {
    state: 'interrupted',
    reason: 'process_ended',
    samplesPerChunk: 80,
  });
  const watcher = await upload(at);
  t.match(watcher.finished, [{ state: 'interrupted', reason: 'process_ended' }]);
  await isMoved(t, at, 'interrupted');
});

await t.test('sealed chunks leave while the call is up, the open one and the manifest stay', async (t) => {
  const at = await bench(t.testdir({}), {
    state: 'recording',
    chunks: 2,
    samplesPerChunk: 80,
    openSamples: 33,
  });
  await upload(at);
  t.strictSame((await readdir(at.recording.folder)).sort(), [
    '2-audio.wav.open',
    'manifest.json',
    'upload.json',
  ]);
  const place = join(at.kept, at.folder);
  t.strictSame((await readdir(place)).sort(), [
    '0-audio.wav',
    '0-metadata.json',
    '1-audio.wav',
    '1-metadata.json',
  ]);
});

await t.test('a failed recording keeps its manifest where it is', async (t) => {
  const at = await bench(t.testdir({}), { state: 'failed', reason: 'no_store', chunks: 0 });
  await upload(at);
  t.strictSame(await readdir(at.recording.folder), ['manifest.json']);
  t.notOk(existsSync(at.kept));
});

await t.test('without a store nothing is touched, and once there is one everything moves', async (t) => {
  const at = await bench(t.testdir({}));
  await upload(at, null);
  t.strictSame((await readdir(at.recording.folder)).sort(), [...at.originals.keys()].sort());
  await upload(at);
  await isMoved(t, at);
});

await t.test('after a crash before or after any object was stored, a new start ends the same', async (t) => {
  const dir = t.testdir({});
  const at = await bench(dir);
  const store = new Hooked(at.kept);
  const states: string[] = [];
  // What a crash would leave behind, copied at each moment between two steps.
  const keep = async (key: string) => {
    const copy = join(dir, 'states', `${states.length}`);
    states.push(key);
    await cp(at.spoolDir, join(copy, 'spool'), { recursive: true });
    if (existsSync(at.kept)) await cp(at.kept, join(copy, 'kept'), { recursive: true });
  };
  store.before = keep;
  store.after = keep;
  await upload(at, store);
  t.equal(states.length, 14);
  for (const [index, key] of states.entries()) {
    const copy = join(dir, 'states', `${index}`);
    const watcher = await upload({ ...at, spoolDir: join(copy, 'spool'), kept: join(copy, 'kept') });
    t.strictSame(watcher.troubles, [], `state ${index} at ${key}`);
    await isMoved(t, { ...at, spoolDir: join(copy, 'spool'), kept: join(copy, 'kept') });
  }
});

await t.test('after a crash between note and unlink, a new start unlinks', async (t) => {
  const at = await bench(t.testdir({}));
  await halfway(at);
  for (const name of ['0-audio.wav', '0-metadata.json'])
    await writeFile(join(at.recording.folder, name), at.originals.get(name) ?? '');
  const watcher = await upload(at);
  t.notOk(watcher.stored.includes('0-audio.wav'), 'what is confirmed is not stored again');
  await isMoved(t, at);
});

await t.test('a file that is not what was confirmed is never deleted', async (t) => {
  const at = await bench(t.testdir({}));
  await halfway(at);
  await writeFile(join(at.recording.folder, '0-metadata.json'), at.originals.get('0-metadata.json') ?? '');
  await writeFile(join(at.recording.folder, '0-audio.wav'), 'something else');
  const watcher = await upload(at);
  t.match(watcher.troubles, [{ code: 'checksum_mismatch' }]);
  t.equal(await readFile(join(at.recording.folder, '0-audio.wav'), 'utf8'), 'something else');
});

await t.test('after a crash while the folder was being removed, a new start removes the rest', async (t) => {
  const at = await bench(t.testdir({}));
  await upload(at);
  const note = JSON.stringify({ schema: 1, chunks: [], finished: true });
  await mkdir(at.recording.folder, { recursive: true });
  await writeFile(join(at.recording.folder, 'upload.json'), note);
  await upload(at);
  await isMoved(t, at);
});

await t.test('a recorder that renders a recording’s end once more finds nobody in its way', async (t) => {
  const at = await bench(t.testdir({}));
  await upload(at);
  await mkdir(at.recording.folder, { recursive: true });
  const manifest = join(at.recording.folder, 'manifest.json');
  await writeFile(join(at.recording.folder, 'upload.json'), '{"schema":1,"chunks":[],"finished":true}');
  await writeFile(manifest, JSON.stringify({ ...at.recording.manifest, state: 'recording', endTime: null }));
  await upload(at);
  t.ok(existsSync(manifest), 'its folder stays while it works there');
  await writeFile(manifest, at.originals.get('manifest.json') ?? '');
  const watcher = await upload(at);
  t.match(watcher.finished, [{ state: 'complete' }]);
  await isMoved(t, at);
});

await t.test(
  'a chunk that a recorder seals once more while its sidecar is being stored goes as well',
  async (t) => {
    const at = await bench(t.testdir({}));
    const store = new Hooked(at.kept);
    const wav = join(at.recording.folder, '1-audio.wav');
    store.after = async (key) => {
      if (key.endsWith('1-metadata.json')) await writeFile(wav, at.originals.get('1-audio.wav') ?? '');
    };
    const watcher = await upload(at, store);
    t.strictSame(watcher.troubles, []);
    await isMoved(t, at);
  },
);

await t.test('what it seals under that name with other audio stays', async (t) => {
  const at = await bench(t.testdir({}));
  const store = new Hooked(at.kept);
  const wav = join(at.recording.folder, '1-audio.wav');
  store.after = async (key) => {
    if (key.endsWith('1-metadata.json')) await writeFile(wav, 'other audio');
  };
  const watcher = await upload(at, store);
  t.match(watcher.troubles, [{ code: 'checksum_mismatch' }]);
  t.equal(await readFile(wav, 'utf8'), 'other audio');
});

await t.test('without its note the store is asked what it has', async (t) => {
  const at = await bench(t.testdir({}));
  await halfway(at);
  await unlink(join(at.recording.folder, 'upload.json'));
  await upload(at);
  await isMoved(t, at);
});

await t.test('a note of the version before is gone on with', async (t) => {
  const at = await bench(t.testdir({}));
  await halfway(at);
  const path = join(at.recording.folder, 'upload.json');
  const { chunks, finished } = JSON.parse(await readFile(path, 'utf8')) as UploadNote;
  await writeFile(path, JSON.stringify({ schema: 1, chunks, finished }));
  const watcher = await upload(at);
  t.notOk(watcher.stored.includes('0-audio.wav'));
  await isMoved(t, at);
});

await t.test('with a stored chunk comes the time at which it was sealed', async (t) => {
  const at = await bench(t.testdir({}));
  const written = new Date(Date.UTC(2026, 10, 20, 12, 0, 30));
  const sealed: number[] = [];
  for (const index of [0, 1, 2]) {
    const path = join(at.recording.folder, `${index}-audio.wav`);
    await utimes(path, written, written);
    await rename(path, `${path}.open`);
    await rename(`${path}.open`, path);
    sealed.push((await stat(path)).ctimeMs);
  }
  const watcher = await upload(at);
  t.same(watcher.sealedMs.toSorted(), sealed.toSorted(), 'that is when it got its name, not its last sample');
});

await t.test('a chunk that is nowhere ends the recording interrupted, with the chunk named', async (t) => {
  const at = await bench(t.testdir({}));
  await rm(join(at.recording.folder, '1-audio.wav'));
  await rm(join(at.recording.folder, '1-metadata.json'));
  const watcher = await upload(at);
  t.match(watcher.finished, [{ state: 'interrupted', reason: 'chunk_missing: 1' }]);
});

await t.test('files that nobody asked for keep their folder', async (t) => {
  const at = await bench(t.testdir({}));
  await writeFile(join(at.recording.folder, '9-audio.wav.open'), 'audio');
  const watcher = await upload(at);
  t.match(watcher.troubles, [{ code: 'spool_leftover' }]);
  t.ok(existsSync(join(at.recording.folder, '9-audio.wav.open')));
  t.ok(existsSync(join(at.recording.folder, 'manifest.json')));
});

await t.test('a manifest in another recording’s folder moves nothing', async (t) => {
  const at = await bench(t.testdir({}));
  const elsewhere = join(at.spoolDir, 'ACother', ...at.folder.split('/').slice(1));
  await mkdir(dirname(elsewhere), { recursive: true });
  await rename(at.recording.folder, elsewhere);
  await upload(at);
  t.notOk(existsSync(at.kept), 'no account’s audio goes by what a file of another says');
  t.equal((await readdir(elsewhere)).length, at.originals.size);
});

await t.test('a store that is down delays its own account only, and is tried until it is back', async (t) => {
  const dir = t.testdir({});
  const broken = await bench(join(dir, 'a'), {
    state: 'uploading',
    accountId: 'ACbroken',
    chunks: 1,
    samplesPerChunk: 80,
  });
  const folders = [broken.folder];
  for (let index = 0; index < 8; index++) {
    const more = await fabricateRecording(broken.spoolDir, {
      state: 'uploading',
      accountId: 'ACbroken',
      chunks: 1,
      samplesPerChunk: 80,
    });
    folders.push(relative(broken.spoolDir, more.folder));
  }
  const healthy = await fabricateRecording(broken.spoolDir, {
    state: 'uploading',
    accountId: 'AChealthy',
    samplesPerChunk: 80,
  });
  const down = new Hooked(broken.kept);
  let isDown = true;
  down.before = () =>
    isDown ? Promise.reject(new TypeError('fetch failed: bucket is away')) : Promise.resolve();
  const up = new FileStore(join(dir, 'up'));
  const watcher = new Watcher();
  const healthyDone = new Signal();
  const observer = {
    ...watcher.observer,
    finished: async (folder: string, manifest: Manifest) => {
      await watcher.observer.finished(folder, manifest);
      if (manifest.accountId === 'AChealthy') healthyDone.fire();
    },
  };
  const storeOf = (accountId: string) => Promise.resolve(accountId === 'ACbroken' ? down : up);
  const uploader = new Uploader({
    spoolDir: broken.spoolDir,
    storeOf,
    observer,
    backoffMs: { first: 5, most: 20 },
  });
  await uploader.wakeAll();
  await healthyDone.fired;
  await uploader.settled();
  t.equal(watcher.finished.length, 1);
  t.notOk(existsSync(healthy.folder));
  t.ok(uploader.oldestUnstoredMs !== null, 'the age of what waits is known');
  t.equal(await uploader.unstored(), 9);
  isDown = false;
  await uploader.idle();
  t.equal(watcher.finished.length, 10);
  t.ok(watcher.retries.length >= 4);
  t.equal(uploader.oldestUnstoredMs, null);
  t.equal(await uploader.unstored(), 0);
  await uploader.stop();
});

await t.test('stopping ends the retries at once', async (t) => {
  const at = await bench(t.testdir({}));
  const down = new Hooked(at.kept);
  down.before = () => Promise.reject(new Error('away'));
  const retried = new Signal();
  const watcher = new Watcher();
  const names = new Set<string | null>();
  const retrying = ({ name }: FailedAttempt): void => {
    names.add(name);
    if (names.size === 3) retried.fire();
  };
  const uploader = new Uploader({
    spoolDir: at.spoolDir,
    storeOf: () => Promise.resolve(down),
    observer: { ...watcher.observer, retrying },
    backoffMs: { first: 3_600_000, most: 3_600_000 },
  });
  uploader.wake(at.folder);
  await retried.fired;
  await uploader.stop();
  t.strictSame(
    [...names].sort(),
    ['0-audio.wav', '1-audio.wav', '2-audio.wav'],
    'it is said of which object',
  );
  t.strictSame(watcher.troubles, []);
  t.strictSame((await readdir(at.recording.folder)).sort(), [...at.originals.keys(), 'upload.json'].sort());
});

/** Stores the first chunk, then stops as a crash would: chunk 0 noted and gone, the rest as it was. */
async function halfway(at: Bench): Promise<void> {
  const store = new Hooked(at.kept);
  const reached = new Signal();
  store.before = (key) => {
    if (!key.endsWith('1-audio.wav')) return Promise.resolve();
    reached.fire();
    return new Promise(() => undefined);
  };
  const observer = new Watcher().observer;
  const uploader = new Uploader({
    spoolDir: at.spoolDir,
    storeOf: () => Promise.resolve(store),
    observer,
    chunkWidth: 1,
  });
  uploader.wake(at.folder);
  await reached.fired;
}
