import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Manifest, RecordingLayout } from '../../src/spool/Manifest.js';
import { clockOf } from '../../src/storage/Clock.js';
import { FileStore } from '../../src/storage/FileStore.js';
import type { ObjectStore } from '../../src/storage/ObjectStore.js';
import { S3Store } from '../../src/storage/S3Store.js';
import { Uploader } from '../../src/storage/Uploader.js';
import { uploadSteps, type UploadStep } from '../../src/storage/UploadStep.js';
import { MemoryStore } from './fixtures/MemoryStore.js';
import { S3Server } from './fixtures/S3Server.js';
import { SpooledCall } from './fixtures/SpooledCall.js';
import { UploadWatcher } from './fixtures/UploadWatcher.js';

// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

/** Chunks of the calls here have 3200 bytes of audio each. */
const leastPartBytes = 4096;

/** Steps that come more than once in a life of the uploader, between others. */
const repeated: readonly UploadStep[] = ['chunk_put', 'chunk_noted', 'sidecar_put', 'part_put', 'part_noted'];

/**
 * Uploads until this step comes for the n-th time, and ends there as a crash would.
 *
 * @param at - null: to the end
 * @returns whether the step came
 */
async function live(
  t: Test,
  call: SpooledCall,
  store: ObjectStore,
  at: UploadStep | null = null,
  turn = 1,
): Promise<boolean> {
  const watcher = new UploadWatcher();
  let left = turn;
  const came: UploadStep[] = [];
  const step = (name: UploadStep) => {
    if (name === at && --left === 0) came.push(name);
    if (came.length > 0) throw new Error('crash');
  };
  const uploader = new Uploader({
    spoolDir: call.spoolDir,
    storeOf: () => Promise.resolve(store),
    observer: { ...watcher.observer, step },
    clock: clockOf(1000),
    leastPartBytes,
    chunkWidth: 2,
  });
  await uploader.wakeAll();
  await uploader.idle();
  await uploader.stop();
  t.ok(came.length > 0 || watcher.troubles.length === 0, 'nothing is in the way');
  return came.length > 0;
}

/** Dies once while the call is up and once at its end, so that a step is met in both lives. @returns the steps that came */
async function dieEverywhere(
  t: Test,
  layout: RecordingLayout,
  storeOf: (dir: string) => ObjectStore,
): Promise<Set<UploadStep>> {
  const reached = new Set<UploadStep>();
  const trials = uploadSteps.flatMap((at) =>
    (repeated.includes(at) ? [1, 2] : [1]).map((turn) => ({ at, turn })),
  );
  const dir = t.testdir({});
  await Promise.all(
    trials.map(async ({ at, turn }) => {
      const home = join(dir, `${at}-${turn}`);
      const call = await SpooledCall.of(home, layout, {
        chunks: 4,
        lastSamples: 77,
        callId: `CA-${randomUUID()}`,
      });
      const store = storeOf(home);
      await call.seal(3);
      if (await live(t, call, store, at, turn)) reached.add(at);
      await live(t, call, store);
      await call.end(3);
      if (await live(t, call, store, at, turn)) reached.add(at);
      await live(t, call, store);
      await call.isStored(t, store);
    }),
  );
  return reached;
}

const layouts = ['chunks', 'single', 'both', 'jambonz'] as const;

await t.test('after a crash at any step of any layout, the next start ends the same', async (t) => {
  const reached = new Set<UploadStep>();
  for (const layout of layouts) {
    await t.test(layout, async (t) => {
      for (const step of await dieEverywhere(t, layout, () => new MemoryStore())) reached.add(step);
    });
  }
  t.strictSame(
    uploadSteps.filter((step) => !reached.has(step)),
    [],
    'every step was reached',
  );
});

/** What a recorder writes that was killed after its last seal and before it had noted its own end: its last chunk too, or not. */
async function writeAgain(call: SpooledCall, withLastChunk: boolean): Promise<void> {
  const { length } = call.manifest.chunks;
  await call.end(withLastChunk ? length - 1 : length);
}

await t.test('a manifest that is written again after everything was stored changes nothing', async (t) => {
  for (const layout of layouts)
    for (const withLastChunk of [false, true])
      await t.test(`${layout}, ${withLastChunk ? 'with' : 'without'} the last chunk`, async (t) => {
        const call = await SpooledCall.of(t.testdir({}), layout, { chunks: 4, callId: `CA-${randomUUID()}` });
        const store = new MemoryStore();
        await call.end();
        await live(t, call, store);
        await call.isStored(t, store);
        const before = new Map(store.objects);
        await writeAgain(call, withLastChunk);
        await live(t, call, store);
        await call.isStored(t, store);
        t.strictSame([...store.objects.keys()].sort(), [...before.keys()].sort());
        for (const [key, bytes] of before) t.ok(store.objects.get(key)?.equals(bytes), key);
      });
});

await t.test('one whose audio the store has lost meanwhile says so', async (t) => {
  for (const layout of ['single', 'jambonz'] as const)
    await t.test(layout, async (t) => {
      const call = await SpooledCall.of(t.testdir({}), layout, { chunks: 4, callId: `CA-${randomUUID()}` });
      const store = new MemoryStore();
      await call.end();
      await live(t, call, store);
      await store.delete(`${call.folder}/audio.wav`);
      await writeAgain(call, false);
      await live(t, call, store);
      const stored = JSON.parse(String(store.objects.get(`${call.folder}/manifest.json`))) as Manifest;
      t.match(stored, { state: 'interrupted', reason: 'chunk_missing: 0, 1, 2, 3' });
    });
});

await t.test('the same with a folder as store', async (t) => {
  await dieEverywhere(t, 'both', (dir) => new FileStore(join(dir, 'kept')));
});

await t.test('the same with S3', async (t) => {
  const credentials = { accessKeyId: 'AK', secretAccessKey: 'secret' };
  const server = await S3Server.start({
    buckets: [{ name: 'b', ...credentials }],
    minPartBytes: leastPartBytes,
  });
  t.teardown(() => server.close());
  const store = new S3Store({
    type: 's3',
    bucket: 'b',
    region: 'us-east-1',
    endpoint: server.endpoint,
    prefix: 'p',
    pathStyle: true,
    credentials: { ...credentials, sessionToken: null },
    storageClass: null,
    encryption: null,
    tags: {},
  });
  t.teardown(() => store.close());
  await dieEverywhere(t, 'single', () => store);
  t.strictSame(server.openUploads('b'), []);
});
