import { existsSync } from 'node:fs';
import { readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { clockOf } from '../../src/storage/Clock.js';
import type { ObjectStore } from '../../src/storage/ObjectStore.js';
import { Uploader } from '../../src/storage/Uploader.js';
import type { UploadNote } from '../../src/storage/UploadNote.js';

import { MemoryStore } from './fixtures/MemoryStore.js';
import { SpooledCall } from './fixtures/SpooledCall.js';
import { UploadWatcher } from './fixtures/UploadWatcher.js';

// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

/** Chunks of the calls here have 3200 bytes of audio each. */
const leastPartBytes = 4096;

function uploaderOf(call: SpooledCall, store: ObjectStore, watcher: UploadWatcher): Uploader {
  return new Uploader({
    spoolDir: call.spoolDir,
    storeOf: () => Promise.resolve(store),
    observer: watcher.observer,
    clock: clockOf(1000),
    leastPartBytes,
  });
}

async function upload(call: SpooledCall, store: ObjectStore, watcher = new UploadWatcher()) {
  const uploader = uploaderOf(call, store, watcher);
  await uploader.wakeAll();
  await uploader.idle();
  await uploader.stop();
  return watcher;
}

async function noteOf(call: SpooledCall): Promise<UploadNote> {
  return JSON.parse(await readFile(join(call.path, 'upload.json'), 'utf8')) as UploadNote;
}

await t.test('parts go out while the call is up, the first one last', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'single', { chunks: 7, lastSamples: 123 });
  const store = new MemoryStore();
  const key = `${call.folder}/audio.wav`;
  await call.seal(2);
  await upload(call, store);
  t.equal(store.uploads.size, 0, 'nothing is begun before the second part is full');
  t.notOk(existsSync(join(call.path, 'upload.json')));
  await call.seal(3, 2);
  await upload(call, store);
  t.strictSame(store.sentParts, [`${key} 2`]);
  await call.seal(6, 3);
  await upload(call, store);
  t.strictSame(store.sentParts, [`${key} 2`, `${key} 3`, `${key} 4`]);
  const names = await readdir(call.path);
  t.equal(
    names.filter((name) => name.endsWith('.wav')).length,
    6,
    'the chunks stay until all of it is confirmed',
  );
  await call.end(6);
  const watcher = await upload(call, store);
  t.strictSame(store.sentParts.slice(3), [`${key} 5`, `${key} 1`]);
  t.strictSame(watcher.troubles, []);
  await call.isStored(t, store);
});

await t.test('a call shorter than a part is put at once, one without audio not at all', async (t) => {
  for (const layout of ['single', 'both'] as const) {
    for (const chunks of [0, 1]) {
      const call = await SpooledCall.of(join(t.testdir({}), `${layout}${chunks}`), layout, { chunks });
      await call.end();
      const store = new MemoryStore();
      const watcher = await upload(call, store);
      t.strictSame(watcher.troubles, []);
      t.strictSame(store.sentParts, []);
      await call.isStored(t, store);
    }
  }
});

await t.test(
  'both: chunks go as they are sealed, their WAVs stay until the whole call is confirmed',
  async (t) => {
    const call = await SpooledCall.of(t.testdir({}), 'both', { chunks: 6 });
    const store = new MemoryStore();
    await call.seal(4);
    await upload(call, store);
    for (let index = 0; index < 4; index++) t.ok(store.objects.has(`${call.folder}/${index}-audio.wav`));
    t.strictSame((await readdir(call.path)).sort(), [
      '0-audio.wav',
      '1-audio.wav',
      '2-audio.wav',
      '3-audio.wav',
      'manifest.json',
      'upload.json',
    ]);
    t.equal(store.sentParts.length, 2);
    await call.end(4);
    await upload(call, store);
    await call.isStored(t, store);
  },
);

await t.test(
  'both: a spool that is relieved keeps what is not confirmed, and the rest comes from the store',
  async (t) => {
    const call = await SpooledCall.of(t.testdir({}), 'both', { chunks: 6 });
    const store = new MemoryStore();
    const watcher = new UploadWatcher();
    const uploader = uploaderOf(call, store, watcher);
    await call.seal(4);
    uploader.wake(call.folder);
    await uploader.idle();
    await call.seal(5, 4);
    const freed = await uploader.relieve();
    t.equal(freed, 4 * 3244);
    t.strictSame(
      (await readdir(call.path)).filter((name) => name.endsWith('.wav')),
      ['4-audio.wav'],
    );
    await call.end(5);
    uploader.wake(call.folder);
    await uploader.idle();
    await uploader.stop();
    t.strictSame(watcher.troubles, []);
    await call.isStored(t, store);
  },
);

await t.test('an upload that the store has forgotten is begun anew', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'single', { chunks: 6 });
  const store = new MemoryStore();
  const watcher = new UploadWatcher();
  const uploader = uploaderOf(call, store, watcher);
  await call.seal(4);
  uploader.wake(call.folder);
  await uploader.idle();
  store.uploads.clear();
  await call.seal(5, 4);
  uploader.wake(call.folder);
  await uploader.idle();
  store.uploads.clear();
  await call.end(5);
  uploader.wake(call.folder);
  await uploader.idle();
  await uploader.stop();
  t.strictSame(watcher.troubles, []);
  await call.isStored(t, store);
});

await t.test('after a restart the store is asked for its parts, and wrong ones are sent again', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'single', { chunks: 8 });
  const store = new MemoryStore();
  await call.seal(7);
  await upload(call, store);
  t.equal(store.sentParts.length, 4);
  const [open] = [...store.uploads.values()];
  const third = open?.parts.get(3);
  if (third === undefined) throw new Error('part 3 was not sent');
  open?.parts.set(3, { bytes: Buffer.alloc(4096), part: { ...third.part, sha256: '0'.repeat(64) } });
  open?.parts.delete(4);
  await call.end(7);
  await upload(call, store);
  const key = `${call.folder}/audio.wav`;
  const sent = store.sentParts.slice(4).map((part) => Number(part.slice(key.length + 1)));
  t.strictSame(sent.toSorted(), [1, 3, 4, 6, 7]);
  t.equal(sent.at(-1), 1);
  await call.isStored(t, store);
});

await t.test('a chunk that is damaged in the spool is never made part of an object', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'single', { chunks: 5 });
  await call.end();
  const file = join(call.path, '2-audio.wav');
  const bytes = await readFile(file);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await writeFile(file, bytes);
  const store = new MemoryStore();
  const watcher = await upload(call, store);
  t.match(watcher.troubles, [{ code: 'checksum_mismatch' }]);
  t.notOk(store.objects.has(`${call.folder}/audio.wav`));
  t.equal((await readdir(call.path)).filter((name) => name.endsWith('.wav')).length, 5);
});

await t.test('a call that lacks a chunk is stored in chunks', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'single', { chunks: 4 });
  await call.end();
  await unlink(join(call.path, '1-audio.wav'));
  const store = new MemoryStore();
  const watcher = await upload(call, store);
  t.match(watcher.finished, [{ state: 'interrupted', reason: 'chunk_missing: 1', layout: 'chunks' }]);
  t.notOk(store.objects.has(`${call.folder}/audio.wav`));
  for (const index of [0, 2, 3]) t.ok(store.objects.has(`${call.folder}/${index}-audio.wav`));
});

await t.test('what is noted can be read by a start after a crash', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'single', { chunks: 4 });
  const store = new MemoryStore();
  await call.seal(4);
  await upload(call, store);
  const { schema, place, multiparts, whole } = await noteOf(call);
  t.equal(schema, 2);
  t.equal(place, 'memory:');
  t.strictSame(multiparts, [{ key: `${call.folder}/audio.wav`, uploadId: whole?.uploadId }]);
  t.strictSame(
    whole?.parts.map(({ number, bytes }) => [number, bytes]),
    [
      [2, 4096],
      [3, 4096],
    ],
  );
});
