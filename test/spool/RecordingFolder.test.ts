import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import type { RecordingFiles } from '../../src/spool/RecordingFiles.js';
import {
  RecordingFolder,
  recordingsBelow,
  recordingsById,
  wholeAudioFile,
} from '../../src/spool/RecordingFolder.js';
import { type ObjectSource, RecordingObjects } from '../../src/spool/RecordingObjects.js';
import { FolderRoot, ObjectRoot } from '../../src/spool/RecordingRoot.js';
import { verify } from '../../src/spool/Verification.js';
import { fabricateRecording } from '../fixtures/recording.js';

await t.test('a folder is read as it lies there', async (t) => {
  const { folder, manifest } = await fabricateRecording(t.testdir(), { state: 'recording', openSamples: 10 });
  const recording = await new RecordingFolder([folder]).read();
  t.equal(recording.recordingId, manifest.recordingId);
  t.same(recording.manifest?.value, manifest);
  t.same(recording.unfinished, ['3-audio.wav.open']);
  t.same(
    recording.chunks.map((chunk) => [chunk.index, chunk.wav?.sha256, chunk.sidecar?.sha256]),
    manifest.chunks.map((chunk) => [chunk.index, chunk.sha256, chunk.sidecarSha256]),
  );
});

await t.test('ten chunks and more are in the order of their numbers', async (t) => {
  const { folder } = await fabricateRecording(t.testdir(), { chunks: 12, samplesPerChunk: 8 });
  const { chunks } = await new RecordingFolder([folder]).read();
  t.same(
    chunks.map((chunk) => chunk.index),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  );
});

await t.test('all recordings below a folder are found, and nothing of the daemons', async (t) => {
  const dir = t.testdir({ '.reelay': { journal: { 'manifest.json': '{}' } }, notes: { 'read.me': '' } });
  const one = await fabricateRecording(dir, { accountId: 'AC1' });
  const two = await fabricateRecording(dir, { accountId: 'AC2' });
  t.same(await recordingsBelow(dir), [one.folder, two.folder]);
  t.same(await recordingsBelow(one.folder), [one.folder]);
  t.same(await recordingsBelow(join(dir, 'notes')), []);
});

await t.test('an id means one recording, the id of a call all of its recordings', async (t) => {
  const dir = t.testdir();
  const one = await fabricateRecording(dir, { callId: 'CA1', recordingId: 'first' });
  const two = await fabricateRecording(dir, { callId: 'CA1', recordingId: 'second' });
  await fabricateRecording(dir, { callId: 'CA2', recordingId: 'third' });
  const found = async (id: string) =>
    (await recordingsById(id, [dir, join(dir, 'absent')])).map(({ paths }) => paths);
  t.same(await found('second'), [[two.folder]]);
  t.same(await found('CA1'), [[one.folder], [two.folder]]);
  t.same(await found('fourth'), []);
});

await t.test('a recording on its way from the spool to the store is one recording', async (t) => {
  const dir = t.testdir({ store: {}, spool: {} });
  const { folder: spooled, manifest } = await fabricateRecording(join(dir, 'spool'), { state: 'uploading' });
  const stored = join(dir, 'store', spooled.slice(join(dir, 'spool').length));
  await mkdir(stored, { recursive: true });
  for (const name of ['0-audio.wav', '0-metadata.json'])
    await rename(join(spooled, name), join(stored, name));
  await copyFile(join(spooled, '1-audio.wav'), join(stored, '1-audio.wav'));
  const [folder] = await recordingsById(manifest.recordingId, [join(dir, 'store'), join(dir, 'spool')]);
  t.same(folder?.paths, [stored, spooled]);
  t.same(verify((await folder?.read()) as never), []);
});

await t.test('of two manifests the one that is further along counts', async (t) => {
  const dir = t.testdir({ store: {}, spool: {} });
  const identity = { callId: 'CA1', recordingId: 'twice' };
  const spooled = await fabricateRecording(join(dir, 'spool'), { ...identity, state: 'uploading' });
  const stored = await fabricateRecording(join(dir, 'store'), { ...identity, state: 'complete' });
  const states = async (paths: string[]) => (await new RecordingFolder(paths).manifest())?.value?.state;
  t.equal(await states([spooled.folder, stored.folder]), 'complete');
  t.equal(await states([stored.folder, spooled.folder]), 'complete');
  await writeFile(join(stored.folder, 'manifest.json'), '{ torn');
  t.equal(await states([stored.folder, spooled.folder]), 'uploading');
});

await t.test('a folder without a manifest still has its chunks and the name of its recording', async (t) => {
  const { folder, manifest } = await fabricateRecording(t.testdir());
  await rm(join(folder, 'manifest.json'));
  const recording = await new RecordingFolder([folder]).read();
  t.equal(recording.manifest, null);
  t.equal(recording.chunks.length, 3);
  t.equal(recording.recordingId, manifest.recordingId);
  t.same(await recordingsBelow(dirname(folder)), [folder]);
});

await t.test('a file that moves from one place to the next while it is looked for is found', async (t) => {
  const dir = t.testdir();
  const { folder, manifest } = await fabricateRecording(join(dir, 'spool'));
  const stored = join(dir, 'store', relative(join(dir, 'spool'), folder));
  await mkdir(stored, { recursive: true });
  const spool = new RecordingFolder([folder]);
  // The store was listed when it was empty; everything moves before the first file is read.
  const late: RecordingFiles = {
    path: stored,
    names: () => Promise.resolve([]),
    size: () => Promise.resolve(null),
    read: (name) => spool.open(name),
  };
  const recording = await new RecordingFolder([late, join(dir, 'gone')]).read();
  t.equal(recording.recordingId, manifest.recordingId);
  t.same(verify(recording), []);
});

await t.test('a manifest can name no object but those of its own recording', async (t) => {
  const { manifest } = await fabricateRecording(t.testdir(), { callId: 'CA1', recordingId: 'r' });
  const own = `${manifest.accountId}/20261120/CA1/r/audio.wav`;
  t.equal(wholeAudioFile(own, manifest), 'audio.wav');
  for (const key of ['2026/11/20/CA1.mp3', '2026/11/20/CA1.wav', '2025/01/01/CA1-17.mp3'])
    t.equal(wholeAudioFile(key, manifest), `/${key}`);
  const parts = [
    '..',
    '.',
    '',
    '2026',
    '11',
    '20',
    'CA1',
    'CA1.mp3',
    'CA10.mp3',
    'xCA1.wav',
    'audio.wav',
    'r',
  ];
  const key = fc.oneof(
    fc.array(fc.constantFrom(...parts, manifest.accountId), { maxLength: 8 }).map((each) => each.join('/')),
    fc.string(),
  );
  fc.assert(
    fc.property(key, (made) => {
      const name = wholeAudioFile(made, manifest);
      const isOwn = made === own || /^\d{4}\/\d\d\/\d\d\/CA1(-\d+)?\.(mp3|wav)$/.test(made);
      return isOwn === (name !== null);
    }),
    { numRuns: 2000 },
  );
});

await t.test('objects are read like files, wherever in a bucket the store begins', async (t) => {
  const dir = t.testdir();
  const { folder, manifest } = await fabricateRecording(dir, { layout: 'jambonz' });
  const key = `some/prefix/${relative(dir, folder)}`;
  const inFiles = new FolderRoot(dir);
  const files = (name: string) => join(dir, relative('some/prefix', name));
  const source: ObjectSource = {
    async *list(prefix) {
      for (const each of await inFiles.recordings()) {
        for (const name of await each.names()) {
          const found = `some/prefix/${relative(dir, each.path)}/${name}`;
          if (found.startsWith(prefix)) yield { key: found, bytes: 0 };
        }
      }
    },
    size: async (name) => (await stat(files(name)).catch(() => null))?.size ?? null,
    read: async (name) => {
      const bytes = await readFile(files(name)).catch(() => null);
      if (bytes === null) throw new ReelayError('object_missing', { value: name });
      return Readable.from([bytes]);
    },
  };
  const root = new ObjectRoot(source, 's3://b', 'some/prefix');
  const [found] = await root.recordings();
  if (found === undefined) throw new Error('no recording was found');
  t.equal(found.path, `s3://b/${key}`);
  t.same(verify(await new RecordingFolder([found]).read()), []);
  t.equal((await root.recording(relative(dir, folder)))?.path, `s3://b/${key}`);
  t.equal(await root.recording('AC1/20261120/CA1/none'), null);
  t.same(await new ObjectRoot(source, 's3://b', 'some/pre').recordings(), [], 'half a name is no prefix');
  const [byId] = await recordingsById(manifest.recordingId, [root]);
  t.equal(byId?.recordingId, basename(folder));
  const shallow = new RecordingObjects(source, 's3://b', 'x/y');
  t.equal(await shallow.read('/2026/11/20/CA1.mp3'), null, 'above the bucket there is nothing');
});
