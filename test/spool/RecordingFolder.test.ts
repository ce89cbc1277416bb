import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { RecordingFolder, recordingsBelow, recordingsById } from '../../src/spool/RecordingFolder.js';
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
