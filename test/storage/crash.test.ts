import { createHash, randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Manifest, RecordingLayout } from '../../src/spool/Manifest.js';
import { Quarantine } from '../../src/spool/Quarantine.js';
import { clockOf } from '../../src/storage/Clock.js';
import { FileStore } from '../../src/storage/FileStore.js';
import type { ObjectStore } from '../../src/storage/ObjectStore.js';
import { S3Store } from '../../src/storage/S3Store.js';
import { Uploader } from '../../src/storage/Uploader.js';
import { uploadSteps, type UploadStep } from '../../src/storage/UploadStep.js';
import { MemoryStore } from './fixtures/MemoryStore.js';
import { S3Server } from './fixtures/S3Server.js';
import { contentOf, SpooledCall } from './fixtures/SpooledCall.js';
import { UploadWatcher } from './fixtures/UploadWatcher.js';

// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

/** Chunks of the calls here have 3200 bytes of audio each. */
const leastPartBytes = 4096;

/** Steps that come more than once in a life of the uploader, between others. */
const repeated: readonly UploadStep[] = [
  'chunk_put',
  'chunk_noted',
  'chunk_unlinked',
  'sidecar_put',
  'part_put',
  'part_noted',
];
/** Where each is tried: the lanes of a room take steps of the same names. */
const turns = { call: [1, 2], room: [1, 2, 3, 4] } as const;
/** Who was in the room, and in which chunks. */
const lanes = { alice: [0, 1, 2, 3], bob: [1], carol: [1, 3] };

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
  quarantine?: Quarantine,
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
    ...(quarantine && { quarantine }),
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
  kind: 'call' | 'room' = 'call',
): Promise<Set<UploadStep>> {
  const reached = new Set<UploadStep>();
  const trials = uploadSteps.flatMap((at) =>
    (repeated.includes(at) ? turns[kind] : [1]).map((turn) => ({ at, turn })),
  );
  const dir = t.testdir({});
  await Promise.all(
    trials.map(async ({ at, turn }) => {
      const home = join(dir, `${at}-${turn}`);
      const call = await SpooledCall.of(home, layout, {
        chunks: 4,
        lastSamples: 77,
        callId: `CA-${randomUUID()}`,
        ...(kind === 'room' ? { lanes } : {}),
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

await t.test('so it is with a room, whose lanes have files of their own in every layout', async (t) => {
  for (const layout of ['chunks', 'single', 'both'] as const)
    await t.test(layout, async (t) => {
      const reached = await dieEverywhere(t, layout, () => new MemoryStore(), 'room');
      t.ok(reached.has('chunk_put') && reached.has('chunk_noted') && reached.has('chunk_unlinked'));
    });
});

await t.test(
  'a lane whose file nobody has makes the recording interrupted, and the rest is stored',
  async (t) => {
    const call = await SpooledCall.of(t.testdir({}), 'chunks', {
      chunks: 2,
      lanes: { alice: [0, 1], bob: [1] },
    });
    const store = new MemoryStore();
    await call.end();
    await rm(join(call.path, '1-bob.wav'));
    await live(t, call, store);
    const key = `${call.folder}/manifest.json`;
    const stored = JSON.parse((await contentOf(store, key)).toString()) as Manifest;
    t.match(stored, { state: 'interrupted', reason: 'lane_missing: 1-bob' });
    t.ok(store.objects.has(`${call.folder}/1-alice.wav`));
    t.ok(store.objects.has(`${call.folder}/1-metadata.json`));
  },
);

await t.test('a lane that is stored and not noted is found in the store', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'chunks', { chunks: 2, lanes: { alice: [0, 1] } });
  const store = new MemoryStore();
  await call.end();
  const file = join(call.path, '0-alice.wav');
  const bytes = await readFile(file);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await store.put(`${call.folder}/0-alice.wav`, file, { sha256 });
  await rm(file);
  await live(t, call, store);
  await call.isStored(t, store);
});

await t.test(
  'a lane’s file with a damaged header is mended, and one with other samples set aside',
  async (t) => {
    for (const [at, state] of [
      [40, 'complete'],
      [60, 'interrupted'],
    ] as const) {
      const call = await SpooledCall.of(t.testdir({}), 'chunks', {
        chunks: 2,
        callId: `CA-${at}`,
        lanes: { alice: [0, 1] },
      });
      const store = new MemoryStore();
      await call.end();
      const file = join(call.path, '1-alice.wav');
      const bytes = await readFile(file);
      bytes[at] = (bytes[at] ?? 0) ^ 0xff;
      await writeFile(file, bytes);
      await live(t, call, store, null, 1, new Quarantine(call.spoolDir, () => undefined));
      const key = `${call.folder}/manifest.json`;
      const stored = JSON.parse((await contentOf(store, key)).toString()) as Manifest;
      t.equal(stored.state, state);
      t.equal(stored.reason, state === 'complete' ? null : 'lane_missing: 1-alice');
    }
  },
);

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
