import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { RecordedAudio } from '../../src/control/rendition/RecordedAudio.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { fabricateRecording, type FabricatedRecording, wavOf } from '../fixtures/recording.js';
import { audioOf, whereaboutsIn } from './fixtures/recordedAudio.js';

async function samplesOf(audio: RecordedAudio, start: number, end: number): Promise<number[]> {
  const samples: number[] = [];
  for await (const piece of audio.read({ start, end })) {
    if (piece.length === 0 || piece.length % audio.channels !== 0) throw new Error('not whole samples');
    samples.push(...piece);
  }
  return samples;
}

function expected({ pcm, manifest }: FabricatedRecording, start: number, end: number): number[] {
  const channels = manifest.channels.length;
  return [...pcm.subarray(start * channels, end * channels)];
}

await t.test('any stretch of any layout, from spool and from store, is those samples', async (t) => {
  const root = t.testdir({});
  let runs = 0;
  const layout = fc.record({
    chunks: fc.integer({ min: 0, max: 4 }),
    samplesPerChunk: fc.integer({ min: 1, max: 40 }),
    openSamples: fc.nat(30),
    channels: fc.constantFrom<1 | 2>(1, 2),
    layout: fc.constantFrom('chunks', 'single', 'both', 'jambonz', undefined),
  });
  const ranges = fc.array(fc.tuple(fc.nat(200), fc.nat(200)), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(layout, ranges, async ({ layout, openSamples, ...shape }, wanted) => {
      const dir = join(root, String(runs++));
      const isStored = layout !== undefined;
      if (isStored && shape.chunks === 0) return;
      const recording = await fabricateRecording(join(dir, isStored ? 'recordings' : 'spool'), {
        ...shape,
        ...(isStored
          ? { layout }
          : { state: 'recording', openSamples: Math.min(openSamples, shape.samplesPerChunk) }),
      });
      const audio = await audioOf(dir, recording);
      const sealed = shape.chunks * shape.samplesPerChunk;
      t.equal(audio.sealedSamples, sealed);
      t.equal(audio.samples, recording.pcm.length / shape.channels);
      for (const [one, other] of wanted) {
        const [start, end] = [one, other].map((at) => at % (audio.samples + 1)).sort((a, b) => a - b);
        t.same(await samplesOf(audio, start ?? 0, end ?? 0), expected(recording, start ?? 0, end ?? 0));
      }
    }),
    { numRuns: 60 },
  );
});

await t.test('it goes on where the audio is by then, and breaks off where there is none', async (t) => {
  const dir = t.testdir({ recordings: {} });
  const recording = await fabricateRecording(join(dir, 'spool'), {
    state: 'uploading',
    samplesPerChunk: 800,
  });
  const audio = await audioOf(dir, recording);
  const pieces = audio.read({ start: 100, end: 2300 });
  const first = await pieces.next();
  // Everything but the first chunk has left the spool for the store in the meantime.
  const store = join(dir, 'recordings');
  const folder = recording.folder.slice(join(dir, 'spool').length);
  await mkdir(join(store, folder), { recursive: true });
  for (const index of [1, 2]) {
    const name = `${index}-audio.wav`;
    await rename(join(recording.folder, name), join(store, folder, name));
  }
  const samples = [...((first.value as Int16Array | undefined) ?? [])];
  for await (const piece of pieces) samples.push(...piece);
  t.same(samples, expected(recording, 100, 2300));
  await rm(join(store, folder, '2-audio.wav'));
  t.same(await samplesOf(audio, 0, 1600), expected(recording, 0, 1600));
  await t.rejects(samplesOf(audio, 0, 1601), { code: 'chunk_missing' });
});

await t.test('what is asked for is all that is read of a store', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'recordings'), { layout: 'single', chunks: 5 });
  let bytes = 0;
  class CountingStore extends FileStore {
    override async read(...args: Parameters<FileStore['read']>) {
      const [, range] = args;
      bytes += range === undefined ? Infinity : range.end + 1 - range.start;
      return await super.read(...args);
    }
  }
  const where = whereaboutsIn(dir, recording, new CountingStore(join(dir, 'recordings')));
  const audio = await RecordedAudio.take(where, recording.manifest);
  t.equal(bytes, 0, 'nothing is read before it is asked for');
  t.same(await samplesOf(audio, 12_345, 30_000), expected(recording, 12_345, 30_000));
  t.equal(bytes, (30_000 - 12_345) * 4);
  t.same(await samplesOf(audio, 5, 5), []);
});

await t.test('a chunk is its own samples', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { samplesPerChunk: 50, channels: 1 });
  const sidecar = JSON.parse(await readFile(join(recording.folder, '1-metadata.json'), 'utf8')) as Parameters<
    typeof RecordedAudio.ofChunk
  >[1];
  const chunk = RecordedAudio.ofChunk(whereaboutsIn(dir, recording), sidecar);
  t.match(chunk, { samples: 50, sealedSamples: 50, channels: 1, sampleRate: 8000 });
  t.same(await samplesOf(chunk, 10, 50), expected(recording, 60, 100));
});

await t.test('what grows is not sealed, also when it is full', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), {
    state: 'recording',
    chunks: 1,
    samplesPerChunk: 80,
    openSamples: 80,
  });
  await writeFile(join(recording.folder, '2-audio.wav.open'), wavOf(new Int16Array(60), 8000, 2));
  const audio = await audioOf(dir, recording);
  t.match(audio, { samples: 190, sealedSamples: 80 });
});

await t.test('what a manifest names without having a right to it is not read', async (t) => {
  const dir = t.testdir({});
  const kept = join(dir, 'recordings');
  const victim = await fabricateRecording(kept, { accountId: 'AC2', layout: 'single' });
  const thief = await fabricateRecording(kept, { accountId: 'AC1', layout: 'single' });
  const audio = (thief.manifest.audio ?? []).map((own, at) => ({
    ...own,
    key: victim.manifest.audio?.[at]?.key ?? '',
  }));
  const manifest = { ...thief.manifest, audio };
  await writeFile(join(thief.folder, 'manifest.json'), JSON.stringify(manifest));
  const stolen = await audioOf(dir, { ...thief, manifest });
  await t.rejects(samplesOf(stolen, 0, 100), { code: 'chunk_missing' });
  t.same(await samplesOf(await audioOf(dir, thief), 0, 100), expected(thief, 0, 100), 'its own it may');
});
