import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import type { Manifest } from '../../src/spool/Manifest.js';
import { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { verify } from '../../src/spool/Verification.js';
import { clockOf } from '../../src/storage/Clock.js';
import type { ObjectStore } from '../../src/storage/ObjectStore.js';
import type { PortalForm } from '../../src/storage/PortalUpload.js';
import { S3Store } from '../../src/storage/S3Store.js';
import { Uploader, type UploaderOptions } from '../../src/storage/Uploader.js';
import { emptyNote } from '../../src/storage/UploadNote.js';
import { MemoryStore } from './fixtures/MemoryStore.js';
import { S3Server } from './fixtures/S3Server.js';
import { SpooledCall } from './fixtures/SpooledCall.js';
import { UploadWatcher } from './fixtures/UploadWatcher.js';

// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

/** The end of every call here: 1.6 s after the hour in Berlin begins the next day. */
const startMs = Date.UTC(2026, 10, 20, 22, 59, 59);

async function upload(
  spoolDir: string,
  store: ObjectStore,
  form: PortalForm,
  limits: Partial<UploaderOptions> = {},
): Promise<UploadWatcher> {
  const watcher = new UploadWatcher();
  const uploader = new Uploader({
    spoolDir,
    storeOf: () => Promise.resolve(store),
    portalOf: () => Promise.resolve(form),
    observer: watcher.observer,
    clock: clockOf(1000),
    ...limits,
  });
  await uploader.wakeAll();
  await uploader.idle();
  await uploader.stop();
  return watcher;
}

function audioOf(store: MemoryStore, call: SpooledCall): string[] {
  const text = store.objects.get(`${call.folder}/manifest.json`)?.toString() ?? '{}';
  return ((JSON.parse(text) as Manifest).audio ?? []).map(({ key }) => key);
}

await t.test('the portal gets one object, dated at the call’s end, and nothing before that', async (t) => {
  for (const format of ['mp3', 'wav'] as const) {
    const dir = join(t.testdir({}), format);
    const call = await SpooledCall.of(dir, 'jambonz', { chunks: 16, startMs, callId: 'call' });
    const store = new MemoryStore();
    await call.seal(10);
    await upload(call.spoolDir, store, { format, timeZone: 'Europe/Berlin' });
    t.equal(store.objects.size, 0);
    await call.end(10);
    const watcher = await upload(call.spoolDir, store, { format, timeZone: 'Europe/Berlin' });
    t.strictSame(watcher.troubles, []);
    await call.isStored(t, store);
    const key = `2026/11/21/call.${format}`;
    t.strictSame(audioOf(store, call), format === 'wav' ? [key] : [`${call.folder}/audio.wav`, key]);
    t.match(store.metadata.get(key), { callSid: 'call', reelayRecordingId: call.manifest.recordingId });
  }
});

await t.test('several recordings of one call each keep an object, whoever else has one there', async (t) => {
  const dir = t.testdir({});
  const store = new MemoryStore();
  store.objects.set('2026/11/20/call.wav', Buffer.from('of another recorder'));
  const calls: SpooledCall[] = [];
  for (const name of ['a', 'b', 'c']) {
    const wanted = { chunks: 2, callId: 'call', lastSamples: 10 * (calls.length + 1) };
    const call = await SpooledCall.of(join(dir, name), 'jambonz', wanted, join(dir, 'spool'));
    await call.end();
    calls.push(call);
  }
  await upload(join(dir, 'spool'), store, { format: 'wav', timeZone: 'UTC' });
  for (const call of calls) await call.isStored(t, store);
  t.strictSame(calls.flatMap((call) => audioOf(store, call)).sort(), [
    '2026/11/20/call-2.wav',
    '2026/11/20/call-3.wav',
    '2026/11/20/call-4.wav',
  ]);
  t.equal(store.objects.get('2026/11/20/call.wav')?.toString(), 'of another recorder');
});

await t.test('a format that was noted holds when the account’s changes', async (t) => {
  const dir = t.testdir({});
  const call = await SpooledCall.of(dir, 'jambonz', { chunks: 2, callId: 'call' });
  await call.end();
  const portal = { key: '2026/11/20/call.wav', format: 'wav' };
  await writeFile(join(call.path, 'upload.json'), JSON.stringify({ ...emptyNote, portal }));
  const store = new MemoryStore();
  await upload(call.spoolDir, store, { format: 'mp3', timeZone: 'UTC' });
  t.strictSame(audioOf(store, call), [portal.key]);
});

await t.test('a call without audio has no object for the portal', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'jambonz', { chunks: 0 });
  await call.end();
  const store = new MemoryStore();
  await upload(call.spoolDir, store, { format: 'mp3', timeZone: 'UTC' });
  await call.isStored(t, store);
  t.equal(store.objects.size, 1);
});

await t.test('a damaged chunk never becomes the portal’s object', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'jambonz', { chunks: 3 });
  await call.end();
  const file = join(call.path, '1-audio.wav');
  const bytes = await readFile(file);
  bytes[200] = (bytes[200] ?? 0) ^ 1;
  await writeFile(file, bytes);
  const store = new MemoryStore();
  const watcher = await upload(call.spoolDir, store, { format: 'wav', timeZone: 'UTC' });
  t.match(watcher.troubles, [{ code: 'checksum_mismatch' }]);
  t.equal(store.objects.size, 0);
  t.equal((await readdir(call.path)).filter((name) => name.endsWith('.wav')).length, 3);
});

await t.test(
  'an object larger than a part goes to S3 with one request, since its key could be anybody’s',
  async (t) => {
    const credentials = { accessKeyId: 'AK', secretAccessKey: 'secret' };
    const server = await S3Server.start({ buckets: [{ name: 'b', ...credentials }] });
    t.teardown(() => server.close());
    const store = new S3Store({
      type: 's3',
      bucket: 'b',
      region: null,
      endpoint: server.endpoint,
      prefix: '',
      pathStyle: true,
      credentials: { ...credentials, sessionToken: null },
      storageClass: null,
      encryption: null,
      tags: {},
    });
    t.teardown(() => store.close());
    const wanted = { chunks: 2, samplesPerChunk: 800_000, callId: 'call' };
    const call = await SpooledCall.of(t.testdir({}), 'jambonz', wanted);
    await call.end();
    await upload(call.spoolDir, store, { format: 'wav', timeZone: 'UTC' });
    await call.isStored(t, store);
    const asked = server.requests.filter(
      (request) => request.includes('call.wav') && !request.startsWith('GET'),
    );
    t.strictSame(
      asked.filter((request) => !request.startsWith('HEAD')),
      ['PUT /b/2026/11/20/call.wav?x-id=PutObject'],
    );
  },
);

await t.test('a rate that no MP3 can be made of gives the portal a WAV', async (t) => {
  const call = await SpooledCall.of(t.testdir({}), 'jambonz', { chunks: 2, rate: 8009, callId: 'call' });
  await call.end();
  const store = new MemoryStore();
  const watcher = await upload(call.spoolDir, store, { format: 'mp3', timeZone: 'UTC' });
  t.strictSame(watcher.troubles, []);
  await call.isStored(t, store);
  t.strictSame(audioOf(store, call), ['2026/11/20/call.wav']);
});

await t.test(
  'a call too long for one request is kept without the portal’s object, and says so',
  async (t) => {
    // A hundred samples are 480 bytes as a WAV; an MP3 is taken for longer than it is by up to a second.
    for (const [format, mostPortalBytes] of [
      ['wav', 479],
      ['mp3', 8000],
    ] as const) {
      const spoolDir = join(t.testdir({}), format);
      const call = await SpooledCall.of(spoolDir, 'jambonz', { chunks: 2, samplesPerChunk: 50 });
      await call.end();
      const store = new MemoryStore();
      const watcher = await upload(call.spoolDir, store, { format, timeZone: 'UTC' }, { mostPortalBytes });
      t.strictSame(watcher.troubles, []);
      t.equal(watcher.finished.length, 1);
      t.strictSame(audioOf(store, call), [`${call.folder}/audio.wav`]);
      const text = store.objects.get(`${call.folder}/manifest.json`)?.toString() ?? '';
      t.match(JSON.parse(text), { layout: 'single', state: 'complete' });
      for (const [key, bytes] of store.objects) {
        await mkdir(dirname(join(spoolDir, 'kept', key)), { recursive: true });
        await writeFile(join(spoolDir, 'kept', key), bytes);
      }
      t.strictSame(verify(await new RecordingFolder([join(spoolDir, 'kept', call.folder)]).read()), []);
    }
  },
);
