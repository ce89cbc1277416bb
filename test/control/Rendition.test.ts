import { spawnSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { ChannelSelection } from '../../src/audio/ChannelSelection.js';
import { channelOf } from '../../src/audio/pcm.js';
import { readWavHeader } from '../../src/audio/wav.js';
import type { RecordedAudio, SampleRange } from '../../src/control/rendition/RecordedAudio.js';
import { Rendition, type RenditionFormat } from '../../src/control/rendition/Rendition.js';
import { keepWav } from '../fixtures/keepWav.js';
import { fabricateRecording, wavOf } from '../fixtures/recording.js';
import { audioOf } from './fixtures/recordedAudio.js';
import { pagesOf } from '../audio/fixtures/oggPages.js';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).error === undefined;

interface Wanted {
  readonly format?: RenditionFormat;
  readonly channel?: string | undefined;
  readonly range?: SampleRange;
}

function renditionOf(audio: RecordedAudio, { format = 'wav', channel, range }: Wanted): Rendition {
  return new Rendition(audio, {
    format,
    selection: ChannelSelection.read(channel, audio.channels),
    range: range ?? { start: 0, end: audio.samples },
    name: 'r1',
    clock: { startTime: '2026-11-20T12:00:00.000Z', sampleRate: audio.sampleRate, gaps: [] },
  });
}

async function collected(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

await t.test('a WAV of any channels and any stretch, and any part of it', async (t) => {
  const dir = t.testdir({});
  const shape = { chunks: 3, samplesPerChunk: 90, lastSamples: 33 };
  const recordings = await Promise.all(
    ([1, 2] as const).map(
      async (channels) => await fabricateRecording(join(dir, 'spool'), { ...shape, channels }),
    ),
  );
  const kept: Buffer[] = [];
  const wanted = fc.record({
    which: fc.nat(1),
    channel: fc.constantFrom(undefined, '0', '1', 'mix'),
    range: fc.tuple(fc.nat(213), fc.nat(213)),
    part: fc.option(fc.tuple(fc.nat(1000), fc.nat(1000))),
  });
  await fc.assert(
    fc.asyncProperty(wanted, async ({ which, channel, range, part }) => {
      const recording = recordings[which];
      if (recording === undefined || (which === 0 && channel === '1')) return;
      const audio = await audioOf(dir, recording);
      const [start = 0, end = 0] = range.toSorted((a, b) => a - b);
      const rendition = renditionOf(audio, { channel, range: { start, end } });
      const count = recording.manifest.channels.length;
      const stretch = recording.pcm.subarray(start * count, end * count);
      const selection = ChannelSelection.read(channel, count);
      const whole = wavOf(selection.of(stretch), 8000, selection.channels);
      t.equal(rendition.bytes, whole.length);
      const file = await collected(rendition.read());
      t.ok(file.equals(whole));
      if (file.length > 44 && kept.length < 8) kept.push(file);
      if (part === null) return;
      const [from = 0, to = 0] = part.map((at) => at % whole.length).sort((a, b) => a - b);
      t.ok((await collected(rendition.read({ start: from, end: to }))).equals(whole.subarray(from, to + 1)));
    }),
    { numRuns: 150 },
  );
  for (const [at, file] of kept.entries()) {
    const path = join(dir, `${at}.wav`);
    await writeFile(path, file);
    await keepWav(path);
  }
});

await t.test('a WAV past 4 GiB is RF64', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { chunks: 1, samplesPerChunk: 80 });
  const audio = await audioOf(dir, recording);
  const samples = 2 ** 30;
  const long = Object.assign(Object.create(audio) as RecordedAudio, { samples });
  const rendition = renditionOf(long, {});
  t.equal(rendition.bytes, 80 + samples * 4);
  const header = await collected(rendition.read({ start: 0, end: 79 }));
  t.match(readWavHeader(header), { channels: 2, dataBytes: samples * 4, dataOffset: 80 });
  t.equal(renditionOf(long, { channel: '0' }).bytes, 44 + samples * 2, 'one channel of it is none');
});

await t.test(
  'Ogg Opus and MP3 of a channel, a mix and a stretch are as long as what was asked for',
  async (t) => {
    const dir = t.testdir({});
    const recording = await fabricateRecording(join(dir, 'spool'), { chunks: 3, samplesPerChunk: 8000 });
    const audio = await audioOf(dir, recording);
    for (const format of ['opus', 'mp3'] as const)
      for (const channel of [undefined, '0', '1', 'mix']) {
        const range = { start: 4000, end: 17_123 };
        const rendition = renditionOf(audio, { format, channel, range });
        t.equal(rendition.bytes, null);
        t.equal(rendition.contentType, format === 'opus' ? 'audio/ogg; codecs=opus' : 'audio/mpeg');
        const file = await collected(rendition.read());
        t.ok((await collected(rendition.read())).equals(file), 'again the same');
        t.ok(file.length < 13_123 * 4 * 0.5, `${file.length} bytes`);
        if (format === 'opus') t.equal(pagesOf(file).at(-1)?.granule, 13_123 * 6 + 312);
        const heard = heardByFfmpeg(file, channel === undefined ? 2 : 1);
        if (heard === undefined) continue;
        t.equal(heard.length, 13_123 * (channel === undefined ? 2 : 1), `${format} of ${channel ?? 'all'}`);
        const selection = ChannelSelection.read(channel, 2);
        const said = selection.of(recording.pcm.subarray(8000, 34_246));
        for (let at = 0; at < selection.channels; at++)
          t.ok(
            likeness(channelOf(heard, at, selection.channels), channelOf(said, at, selection.channels)) >
              0.98,
            `channel ${at} is in its place`,
          );
      }
  },
);

/** The samples that ffmpeg makes of it, at 8 kHz; undefined where there is no ffmpeg. */
function heardByFfmpeg(file: Buffer, channels: number): Int16Array | undefined {
  if (!hasFfmpeg) return undefined;
  const form = ['-f', 's16le', '-ar', '8000', '-ac', String(channels)];
  const args = ['-v', 'error', '-i', 'pipe:0', ...form, 'pipe:1'];
  const { stdout, stderr } = spawnSync('ffmpeg', args, { input: file, maxBuffer: 2 ** 26 });
  if (stderr.length > 0) throw new Error(stderr.toString());
  return new Int16Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + stdout.length));
}

/** Correlation of two signals of one length. */
function likeness(one: Int16Array, other: Int16Array): number {
  let [product, power, otherPower] = [0, 0, 0];
  for (let at = 400; at < one.length - 400; at++) {
    product += (one[at] ?? 0) * (other[at] ?? 0);
    power += (one[at] ?? 0) ** 2;
    otherPower += (other[at] ?? 0) ** 2;
  }
  return product / Math.sqrt(power * otherPower);
}

await t.test('it is read as fast as it is taken, and the event loop has its turn', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { chunks: 6, samplesPerChunk: 80_000 });
  for (const format of ['wav', 'opus', 'mp3'] as const) {
    const audio = await audioOf(dir, recording);
    let read = 0;
    const counted = Object.assign(Object.create(audio) as RecordedAudio, {
      samples: audio.samples,
      read: async function* (range: SampleRange) {
        for await (const piece of audio.read(range)) {
          read += piece.length / 2;
          yield piece;
        }
      },
    });
    const pieces = renditionOf(counted, { format }).read();
    await pieces.next();
    await pieces.next();
    const ahead = read;
    for (let at = 0; at < 20; at++) await turn();
    t.equal(read, ahead, 'nothing is made that nobody takes');
    t.ok(ahead < 80_000, `${format}: ${ahead} samples for two pieces`);
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    for (let page = 0; page < 10; page++) await pieces.next();
    isOver = true;
    t.ok(format === 'wav' || turns >= 50, `${format}: ${turns} turns`);
    await pieces.return(undefined);
  }
});

await t.test('audio that is gone breaks it off, and an encoder is given back', async (t) => {
  const dir = t.testdir({ recordings: {} });
  const recording = await fabricateRecording(join(dir, 'spool'), { chunks: 2, samplesPerChunk: 800 });
  const audio = await audioOf(dir, recording);
  await rm(join(recording.folder, '1-audio.wav'));
  for (const format of ['wav', 'opus', 'mp3'] as const)
    for (let round = 0; round < 6; round++)
      await t.rejects(collected(renditionOf(audio, { format }).read()), { code: 'chunk_missing' });
  const part = renditionOf(audio, { format: 'opus', range: { start: 0, end: 800 } });
  t.ok((await collected(part.read())).length > 0);
  t.throws(() => part.read({ start: 0, end: 1 }), RangeError, 'and nothing of it by itself');
});

await t.test('what a format cannot hold is refused before anything is made', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { rate: 8009, samplesPerChunk: 100 });
  const audio = await audioOf(dir, recording);
  for (const format of ['opus', 'mp3'] as const)
    t.throws(() => renditionOf(audio, { format }), { code: 'request_invalid' });
  t.equal(renditionOf(audio, {}).bytes, 44 + 1200);
  const many = Object.assign(Object.create(audio) as RecordedAudio, {
    channels: 3,
    sampleRate: 8000,
    samples: 5,
  });
  for (const format of ['opus', 'mp3'] as const) {
    t.throws(() => renditionOf(many, { format }), { code: 'request_invalid', remedy: /mix/ });
    t.doesNotThrow(() => renditionOf(many, { format, channel: 'mix' }));
  }
});

await t.test('a tag tells one part from another', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { samplesPerChunk: 100 });
  const audio = await audioOf(dir, recording);
  const tags = (['wav', 'opus', 'mp3'] as const).flatMap((format) =>
    [undefined, '0', '1', 'mix'].flatMap((channel) =>
      [
        { start: 0, end: 100 },
        { start: 1, end: 100 },
        { start: 0, end: 99 },
      ].map((range) => renditionOf(audio, { format, channel, range }).tag),
    ),
  );
  t.equal(new Set(tags).size, tags.length);
  const odd = new Rendition(audio, {
    format: 'opus',
    selection: ChannelSelection.read('mix', 2),
    range: { start: 0, end: 1 },
    name: 'a "b"\r\nc/ä',
    clock: { startTime: '2026-11-20T12:00:00.000Z', sampleRate: audio.sampleRate, gaps: [] },
  });
  t.equal(odd.fileName, 'a__b___c__-mix.opus');
});
