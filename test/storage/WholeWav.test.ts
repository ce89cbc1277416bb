import { createHash } from 'node:crypto';
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { readWavHeader, wholeHeaderBytes, wholeWavHeader } from '../../src/audio/wav.js';
import { bytesOf } from '../../src/audio/pcm.js';
import { manifestName } from '../../src/spool/layout.js';
import type { Whereabouts } from '../../src/storage/ChunkedPcm.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { readSpooled } from '../../src/storage/SpooledRecording.js';
import { WholeWav } from '../../src/storage/WholeWav.js';
import { fabricateRecording, type FabricatedRecording, type Fabrication } from '../fixtures/recording.js';

/** A recording in a spool, the whole file that it is, and a store beside it. */
class Bench {
  readonly spoolDir: string;
  readonly kept: string;
  readonly recording: FabricatedRecording;
  readonly where: Whereabouts;

  private constructor(dir: string, recording: FabricatedRecording) {
    this.spoolDir = join(dir, 'spool');
    this.kept = join(dir, 'kept');
    this.recording = recording;
    const store = new FileStore(this.kept);
    const folder = relative(this.spoolDir, recording.folder);
    this.where = { spoolDir: this.spoolDir, folder, store: () => store };
  }

  static async make(dir: string, wanted: Fabrication = {}): Promise<Bench> {
    await mkdir(join(dir, 'kept'), { recursive: true });
    const recording = await fabricateRecording(join(dir, 'spool'), { state: 'uploading', ...wanted });
    return new Bench(dir, recording);
  }

  get file(): Buffer {
    const { sampleRate, channels, samples } = this.recording.manifest;
    const header = wholeWavHeader({ sampleRate, channels: channels.length, samples });
    const audio = this.recording.pcm.subarray(0, samples * channels.length);
    return Buffer.concat([header, bytesOf(audio)]);
  }

  async whole(isFinal = true): Promise<WholeWav> {
    const spooled = await readSpooled(this.where.spoolDir, this.where.folder);
    if (spooled === undefined) throw new Error('no folder');
    return WholeWav.of(spooled, this.recording.manifest, this.where, isFinal);
  }

  /** Where an object of the recording lies in the store. */
  async placeOf(name: string): Promise<string> {
    const folder = join(this.kept, this.where.folder);
    await mkdir(folder, { recursive: true });
    return join(folder, name);
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function hashOf(stream: Readable): Promise<string> {
  return sha256(await buffer(stream));
}

await t.test('the whole call is one file: its header, then the audio of every chunk', async (t) => {
  const bench = await Bench.make(t.testdir(), { chunks: 3, samplesPerChunk: 500, lastSamples: 70 });
  const whole = await bench.whole();
  t.equal(whole.samples, 1070);
  t.equal(whole.bytes, wholeHeaderBytes + 1070 * 4);
  const read = await buffer(whole.read({ start: 0, end: whole.bytes - 1 }));
  t.equal(sha256(read), sha256(bench.file));
  t.match(readWavHeader(read), { sampleRate: 8000, channels: 2, dataBytes: 1070 * 4 });
  t.equal(await whole.hash({ start: 0, end: whole.bytes - 1 }), sha256(bench.file));
  t.equal(await hashOf(whole.readPcm()), sha256(bench.file.subarray(wholeHeaderBytes)));
});

await t.test('a chunk of the file can be rebuilt from it with what its sidecar says', async (t) => {
  const bench = await Bench.make(t.testdir(), { chunks: 3, samplesPerChunk: 300 });
  const { file, recording } = bench;
  for (const { index, startSample, samples, sha256: expected } of recording.manifest.chunks) {
    const chunk = await readFile(join(recording.folder, `${index}-audio.wav`));
    const from = wholeHeaderBytes + startSample * 4;
    const rebuilt = Buffer.concat([chunk.subarray(0, 44), file.subarray(from, from + samples * 4)]);
    t.equal(sha256(rebuilt), expected);
  }
});

await t.test('any slice is that slice of the file, wherever each chunk lies', async (t) => {
  const root = t.testdir();
  let runs = 0;
  const shape = fc.record({
    places: fc.array(fc.constantFrom('spool', 'chunk', 'whole'), { minLength: 1, maxLength: 5 }),
    samplesPerChunk: fc.integer({ min: 1, max: 90 }),
    channels: fc.constantFrom<1 | 2>(1, 2),
    slices: fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { minLength: 1, maxLength: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(shape, async ({ places, slices, ...rest }) => {
      const bench = await Bench.make(join(root, `${runs++}`), { chunks: places.length, ...rest });
      const whole = await bench.whole();
      const { file } = bench;
      for (const [index, place] of places.entries()) {
        const name = `${index}-audio.wav`;
        const spooled = join(bench.recording.folder, name);
        if (place === 'chunk') await rename(spooled, await bench.placeOf(name));
        if (place === 'whole') await unlink(spooled);
      }
      if (places.includes('whole')) await storeWhole(bench);
      for (const [from, length] of slices) {
        const start = from % file.length;
        const end = Math.min(start + length, file.length - 1);
        const read = await buffer(whole.read({ start, end }));
        if (!read.equals(file.subarray(start, end + 1))) throw new Error(`${start} to ${end} differs`);
      }
    }),
    { numRuns: 60 },
  );
  t.equal(runs >= 60, true);
});

/** Puts the whole file into the store, as the stored manifest tells. */
async function storeWhole(bench: Bench, key = `${bench.where.folder}/audio.wav`): Promise<void> {
  const { file, kept, recording } = bench;
  await mkdir(join(kept, key, '..'), { recursive: true });
  await writeFile(join(kept, key), file);
  const audio = [{ key, format: 'wav', bytes: file.length, sha256: sha256(file) }];
  const manifest = { ...recording.manifest, state: 'complete', layout: 'single', audio };
  await writeFile(await bench.placeOf(manifestName), JSON.stringify(manifest));
}

await t.test('parts are equal slices, the same whether taken during the call or after it', async (t) => {
  const dir = t.testdir();
  const bench = await Bench.make(dir, { chunks: 5, samplesPerChunk: 1000 });
  const { file, recording } = bench;
  const aside = join(dir, 'aside');
  await mkdir(aside);
  const move = async (from: string, to: string, index: number) => {
    for (const name of [`${index}-audio.wav`, `${index}-metadata.json`])
      await rename(join(from, name), join(to, name));
  };
  for (let index = 0; index < 5; index++) await move(recording.folder, aside, index);
  const growing = { ...recording.manifest, chunks: [], state: 'recording' };
  const partBytes = 3000;
  const hashes = new Map<number, string>();
  for (let index = 0; index < 5; index++) {
    await move(aside, recording.folder, index);
    const spooled = await readSpooled(bench.where.spoolDir, bench.where.folder);
    if (spooled === undefined) throw new Error('no folder');
    const whole = WholeWav.of(spooled, growing, bench.where, false);
    t.equal(whole.bytes, wholeHeaderBytes + (index + 1) * 4000);
    t.notOk(whole.has(1, partBytes), 'the part with the header waits for the end');
    for (let number = 2; whole.has(number, partBytes); number++) {
      if (hashes.has(number)) continue;
      const part = await whole.part(number, partBytes);
      hashes.set(number, part.sha256);
      t.equal(part.bytes, partBytes);
    }
    t.notOk(whole.has(whole.parts(partBytes), partBytes), 'the last one may still grow');
  }
  const whole = await bench.whole();
  t.equal(whole.parts(partBytes), 7);
  t.strictSame([...hashes.keys()], [2, 3, 4, 5, 6]);
  for (let number = 1; number <= 7; number++) {
    const slice = file.subarray((number - 1) * partBytes, number * partBytes);
    const part = await whole.part(number, partBytes);
    t.ok(whole.has(number, partBytes));
    t.equal(part.bytes, slice.length);
    t.equal(part.sha256, sha256(slice));
    t.equal(hashes.get(number) ?? part.sha256, part.sha256);
    for (const attempt of [1, 2])
      t.equal(await hashOf(part.read()), part.sha256, `read for attempt ${attempt}`);
  }
  t.notOk(whole.has(8, partBytes));
});

await t.test('what is not there yet cannot be asked for', async (t) => {
  const bench = await Bench.make(t.testdir(), { samplesPerChunk: 10 });
  const whole = await bench.whole(false);
  t.throws(() => whole.read({ start: 0, end: 200 }), RangeError, 'the header');
  t.throws(() => whole.read({ start: 80, end: whole.bytes }), RangeError, 'behind the end');
  await t.rejects(whole.part(1, 100), RangeError);
});

await t.test('a call without a sample is a header', async (t) => {
  const bench = await Bench.make(t.testdir(), { chunks: 0 });
  const whole = await bench.whole();
  t.equal(whole.bytes, wholeHeaderBytes);
  t.equal(whole.parts(5_000_000), 1);
  t.equal((await whole.part(1, 5_000_000)).sha256, sha256(bench.file));
  t.equal((await buffer(whole.readPcm())).length, 0);
});

await t.test('a chunk that is nowhere, or too short, fails the read and names itself', async (t) => {
  for (const damage of ['gone', 'short', 'only growing']) {
    const bench = await Bench.make(t.testdir(), { chunks: 3, samplesPerChunk: 100 });
    const path = join(bench.recording.folder, '1-audio.wav');
    if (damage === 'short') await truncate(path, 200);
    else if (damage === 'gone') await unlink(path);
    else {
      await copyFile(path, `${path}.open`);
      await unlink(path);
    }
    const whole = await bench.whole();
    const fails = whole.hash({ start: 0, end: whole.bytes - 1 });
    await t.rejects(fails, { code: 'chunk_missing', value: /1-audio\.wav$/ }, damage);
    await t.resolves(whole.hash({ start: 0, end: 479 }), 'what lies before it can be read');
  }
});

await t.test('what the store says of its own troubles is passed on', async (t) => {
  const bench = await Bench.make(t.testdir(), { samplesPerChunk: 100 });
  await rm(bench.recording.folder, { recursive: true });
  const { pcm, manifest } = bench.recording;
  t.equal(pcm.length, 600);
  class Failing extends FileStore {
    override read(): Promise<Readable> {
      return Promise.reject(new Error('503'));
    }
  }
  const store = new Failing(bench.kept);
  const whole = new WholeWav({
    where: { ...bench.where, store: () => store },
    sampleRate: 8000,
    channels: 2,
    pieces: manifest.chunks,
    isFinal: true,
  });
  await t.rejects(whole.hash({ start: 0, end: 100 }), { message: '503' });
});

await t.test('a slow reader of a long call is not run ahead of', async (t) => {
  const bench = await Bench.make(t.testdir(), { chunks: 8, samplesPerChunk: 1_000_000 });
  const whole = await bench.whole();
  let peak = 0;
  const reader = whole.read({ start: 0, end: whole.bytes - 1 });
  const hash = createHash('sha256');
  for await (const piece of reader as AsyncIterable<Buffer>) {
    hash.update(piece);
    peak = Math.max(peak, reader.readableLength);
    await new Promise(setImmediate);
  }
  t.ok(peak <= 1024 * 1024, `${peak} bytes were waiting at most`);
  t.equal(hash.digest('hex'), sha256(bench.file));
});

await t.test('a reader that goes away closes what it had open', async (t) => {
  const bench = await Bench.make(t.testdir(), { chunks: 2, samplesPerChunk: 400_000 });
  const whole = await bench.whole();
  const open = async () => (await readdir('/dev/fd')).length;
  const before = await open();
  for (let reads = 0; reads < 20; reads++) {
    const reader = whole.read({ start: 80, end: whole.bytes - 1 });
    await new Promise((resolve) => reader.once('data', resolve));
    const closed = new Promise((resolve) => reader.once('close', resolve));
    reader.destroy();
    await closed;
  }
  t.ok((await open()) < before + 10);
});
