import { once } from 'node:events';
import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import wav from 'wav';
import { mergeRecording, runMerge } from '../../src/cli/merge.js';
import { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { keepWav } from '../fixtures/keepWav.js';
import { fabricateRecording, lanePcm, wavOf } from '../fixtures/recording.js';

async function run(target: string, output: string, options: { force?: boolean; lane?: string } = {}) {
  let out = '';
  let err = '';
  const code = await runMerge(
    target,
    { store: '/nowhere', spool: '/nowhere', output, ...options },
    { write: (text) => (out += text) },
    { write: (text) => (err += text) },
  );
  return { code, out, err };
}

await t.test('the merged file is the recording, sample by sample', async (t) => {
  const shapes = [
    { lastSamples: 77 },
    { channels: 1, rate: 16_000 },
    { chunks: 1, samplesPerChunk: 48_000, rate: 48_000 },
    { chunks: 11, samplesPerChunk: 800 },
  ] as const;
  for (const shape of shapes) {
    const dir = t.testdir();
    const { folder, manifest, pcm } = await fabricateRecording(dir, shape);
    const output = join(dir, 'merged.wav');
    const { code, out } = await run(folder, output);
    t.equal(code, 0);
    t.equal(out, `${output}  ${manifest.durationSeconds.toFixed(3)} s\n`);
    t.ok((await readFile(output)).equals(wavOf(pcm, manifest.sampleRate, manifest.channels.length)));
    await keepWav(output);
  }
});

await t.test('one lane of a room is as long as the room, and silent where it has no file', async (t) => {
  const dir = t.testdir();
  const lanes = { alice: [0, 1, 2], bob: [1] };
  const { folder, manifest } = await fabricateRecording(dir, { lanes, lastSamples: 77 });
  const output = join(dir, 'bob.wav');
  t.equal((await run(folder, output, { lane: 'bob' })).code, 0);
  const wanted = new Int16Array(manifest.samples);
  wanted.set(lanePcm('bob', 8000, 8000), 8000);
  t.ok((await readFile(output)).equals(wavOf(wanted, 8000, 1)));
  const none = await run(folder, output, { lane: 'mallory' });
  t.equal(none.code, 2);
  t.match(none.err, /alice, bob/);
  const itself = await run(folder, join(folder, '1-bob.wav'), { lane: 'bob' });
  t.match(itself.err, /output_invalid|this very recording/);
});

await t.test('another reader sees the same format and length', async (t) => {
  const dir = t.testdir();
  const { folder, pcm } = await fabricateRecording(dir);
  const output = join(dir, 'merged.wav');
  await mergeRecording(new RecordingFolder([folder]), output);
  const reader = new wav.Reader();
  let format: wav.Format | undefined;
  reader.on('format', (found: wav.Format) => (format = found));
  let bytes = 0;
  reader.on('data', (part: Buffer) => (bytes += part.length));
  createReadStream(output).pipe(reader);
  await once(reader, 'end');
  t.match(format, { audioFormat: 1, channels: 2, sampleRate: 8000, bitDepth: 16 });
  t.equal(bytes, pcm.byteLength);
});

await t.test('a recording that does not verify is refused and leaves no file', async (t) => {
  const dir = t.testdir();
  const { folder, pcm } = await fabricateRecording(dir);
  await rm(join(folder, '1-audio.wav'));
  const output = join(dir, 'merged.wav');
  const { code, err } = await run(folder, output);
  t.equal(code, 2);
  t.match(err, /^verify_failed: .*chunk_missing.*--force/);
  t.notOk(existsSync(output));

  t.equal((await run(folder, output, { force: true })).code, 0, 'unless it is forced');
  const expected = pcm.slice().fill(0, 16_000, 32_000);
  t.ok((await readFile(output)).equals(wavOf(expected, 8000, 2)), 'with silence for the missing chunk');
});

await t.test('even without a manifest what is there can be forced into one file', async (t) => {
  const dir = t.testdir();
  const { folder, pcm } = await fabricateRecording(dir, { rate: 16_000 });
  await rm(join(folder, 'manifest.json'));
  const output = join(dir, 'merged.wav');
  t.equal((await run(folder, output, { force: true })).code, 0);
  t.ok((await readFile(output)).equals(wavOf(pcm, 16_000, 2)));
});

await t.test('a truncated chunk is forced with silence for what is missing', async (t) => {
  const dir = t.testdir();
  const { folder, pcm } = await fabricateRecording(dir);
  const path = join(folder, '1-audio.wav');
  await writeFile(path, (await readFile(path)).subarray(0, 44 + 401));
  const output = join(dir, 'merged.wav');
  t.equal((await run(folder, output, { force: true })).code, 0);
  const expected = Buffer.from(wavOf(pcm, 8000, 2));
  expected.fill(0, 44 + 32_000 + 401, 44 + 64_000);
  t.ok((await readFile(output)).equals(expected));
});

await t.test('a recording that failed has nothing to merge', async (t) => {
  const { folder } = await fabricateRecording(t.testdir(), {
    chunks: 0,
    state: 'failed',
    reason: 'no_store',
  });
  const { code, err } = await run(folder, join(folder, 'merged.wav'), { force: true });
  t.equal(code, 2);
  t.match(err, /^recording_empty: /);
});

await t.test('the output never replaces a chunk, and an unwritable one leaves nothing behind', async (t) => {
  const dir = t.testdir();
  const { folder } = await fabricateRecording(dir);
  const before = await readFile(join(folder, '0-audio.wav'));
  t.match(
    (await run(folder, join(folder, '0-audio.wav'))).err,
    /^output_invalid: .*chunk of this very recording/,
  );
  t.ok((await readFile(join(folder, '0-audio.wav'))).equals(before));
  t.match(await run(folder, join(dir, 'absent', 'merged.wav')), { code: 2, err: /^output_invalid: / });
  t.match(await run(folder, folder), { code: 2, err: /^output_invalid: / });
  t.same((await readdir(dir)).length, 1);
});

await t.test('several recordings are not merged into one', async (t) => {
  const dir = t.testdir();
  await fabricateRecording(dir, { callId: 'CA1', recordingId: 'one' });
  await fabricateRecording(dir, { callId: 'CA1', recordingId: 'two' });
  const { code, err } = await run(dir, join(dir, 'merged.wav'));
  t.equal(code, 2);
  t.match(err, /^target_ambiguous: .*Choose one of one, two\./);
});
