import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { opus } from 'prism-media';
import t from 'tap';
import {
  canEncodeOpus,
  encodeOggOpus,
  opusBitrateOf,
  type OggOpusOptions,
  type OggOpusShape,
} from '../../src/audio/OggOpus.js';
import { createOpusCodec, opusImplementation, type OpusImplementation } from '../../src/audio/Opus.js';
import { bytesOf, channelOf, interleaved, samplesOf } from '../../src/audio/pcm.js';
import { readSpeech } from '../../src/audio/Speech.js';
import { pagesOf } from './fixtures/oggPages.js';

/** Hz, one per channel: the left one is the caller's. */
const tones = [440, 1234];
const level = 9000;
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).error === undefined;
const available: OpusImplementation[] = opusImplementation() === 'native' ? ['native', 'wasm'] : ['wasm'];

function toneOf({ sampleRate, channels }: OggOpusShape, samples: number): Int16Array {
  const made = Array.from({ length: channels }, (_, channel) =>
    Int16Array.from({ length: samples }, (_, at) =>
      Math.round(level * Math.sin((2 * Math.PI * (tones[channel] ?? 0) * at) / sampleRate)),
    ),
  );
  return interleaved(made);
}

async function* piecesOf(bytes: Uint8Array, ...lengths: number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let piece = 0; at < bytes.length; piece++) {
    const length = lengths[piece % lengths.length] ?? bytes.length;
    yield bytes.subarray(at, at + length);
    at += length;
    await Promise.resolve();
  }
}

async function encode(
  pcm: Int16Array,
  options: Omit<OggOpusOptions, 'serial'>,
  ...lengths: number[]
): Promise<Buffer> {
  const pieces = piecesOf(bytesOf(pcm), ...(lengths.length > 0 ? lengths : [50_000]));
  const pages: Buffer[] = [];
  for await (const page of encodeOggOpus(pieces, { serial: 0x1234, ...options })) pages.push(page);
  return Buffer.concat(pages);
}

interface Read {
  readonly head: Buffer;
  readonly tags: Buffer;
  readonly packets: readonly Buffer[];
}

/** What prism-media finds in the file. */
async function demuxed(file: Buffer): Promise<Read> {
  const demuxer = new opus.OggDemuxer();
  let head: Buffer = Buffer.alloc(0);
  let tags: Buffer = Buffer.alloc(0);
  demuxer.on('head', (packet: Buffer) => (head = packet));
  demuxer.on('tags', (packet: Buffer) => (tags = packet));
  const packets: Buffer[] = [];
  // Cut where no page ends.
  const pieces = Array.from({ length: Math.ceil(file.length / 997) }, (_, at) =>
    file.subarray(at * 997, (at + 1) * 997),
  );
  for await (const packet of Readable.from(pieces).pipe(demuxer)) packets.push(packet as Buffer);
  return { head, tags, packets };
}

/** What a player plays, at 48 kHz: without the pre-skip in front, and up to the last page's position (RFC 7845, section 4). */
async function played(file: Buffer): Promise<{ readonly samples: Int16Array; readonly channels: number }> {
  const { head, packets } = await demuxed(file);
  const channels = head.readUInt8(9);
  const codec = createOpusCodec({ sampleRate: 48_000, channels }, 'wasm');
  try {
    const decoded = Buffer.concat(packets.map((packet) => bytesOf(codec.decode(packet))));
    const end = pagesOf(file).at(-1)?.granule ?? 0;
    return {
      samples: samplesOf(decoded.subarray(head.readUInt16LE(10) * channels * 2, end * channels * 2)),
      channels,
    };
  } finally {
    codec.delete();
  }
}

/** The samples that ffmpeg makes of it, at 48 kHz; undefined where there is no ffmpeg. */
function heardByFfmpeg(file: Buffer): Int16Array | undefined {
  if (!hasFfmpeg) return undefined;
  const args = ['-v', 'warning', '-i', 'pipe:0', '-f', 's16le', '-c:a', 'pcm_s16le', 'pipe:1'];
  const { stdout, stderr } = spawnSync('ffmpeg', args, { input: file, maxBuffer: 2 ** 26 });
  // It says so of a file without a sample.
  const said = stderr.toString().replace(/^.*Output file is empty, nothing was encoded.*\n?/m, '');
  if (said !== '') throw new Error(said);
  return samplesOf(stdout);
}

/** Power of the difference to the tone that belongs there, as a share of the tone's; without the edges. */
function errorOf(heard: Int16Array, channels: number): number {
  let [error, power] = [0, 0];
  const samples = heard.length / channels;
  for (let at = 4800; at < samples - 4800; at++)
    for (let channel = 0; channel < channels; channel++) {
      const wanted = level * Math.sin((2 * Math.PI * (tones[channel] ?? 0) * at) / 48_000);
      error += (wanted - (heard[at * channels + channel] ?? 0)) ** 2;
      power += wanted ** 2;
    }
  return error / power;
}

t.comment(hasFfmpeg ? 'read by ffmpeg as well' : 'ffmpeg is not there: read by prism-media alone');

for (const implementation of available)
  for (const [sampleRate, channels, samples] of [
    [8000, 1, 16_000],
    [8000, 2, 16_001],
    [16_000, 2, 31_999],
    [48_000, 2, 96_000],
    [11_025, 2, 22_051],
    [44_100, 1, 88_201],
  ] as const)
    await t.test(`${implementation}: ${channels} × ${sampleRate} Hz comes back in its place`, async (t) => {
      const shape = { sampleRate, channels };
      const file = await encode(toneOf(shape, samples), { ...shape, implementation });
      const rate = [8000, 12_000, 16_000, 24_000, 48_000].find((each) => each >= sampleRate) ?? 0;
      const expected = (Math.ceil((samples * rate) / sampleRate) * 48_000) / rate;
      for (const heard of [(await played(file)).samples, heardByFfmpeg(file)]) {
        if (heard === undefined) continue;
        t.equal(heard.length, expected * channels, 'as long as it was');
        const error = errorOf(heard, channels);
        t.ok(error < 0.02, `the difference is ${error.toFixed(5)} of it`);
      }
      const kbits = (file.length * 8 * sampleRate) / samples / 1000;
      const wanted = opusBitrateOf(shape) / 1000;
      t.ok(kbits > wanted / 3 && kbits < wanted * 1.1 + 4, `${kbits.toFixed(1)} kbit/s of ${wanted}`);
    });

await t.test('the pages follow one another, and say where they are', async (t) => {
  const shape = { sampleRate: 8000, channels: 2 };
  const file = await encode(toneOf(shape, 20_100), { ...shape, comments: { TITLE: 'Ä call', DATE: '2026' } });
  const pages = pagesOf(file);
  t.same(
    pages.map(({ isFirst, isLast, granule, serial, sequence }) => [
      isFirst,
      isLast,
      granule,
      serial,
      sequence,
    ]),
    [
      [true, false, 0, 0x1234, 0],
      [false, false, 0, 0x1234, 1],
      [false, false, 48_000, 0x1234, 2],
      [false, false, 96_000, 0x1234, 3],
      [false, true, 20_100 * 6 + 312, 0x1234, 4],
    ],
  );
  const { head, tags, packets } = await demuxed(file);
  t.equal(
    head.toString('hex'),
    Buffer.from('OpusHead').toString('hex') + '01' + '02' + '3801' + '401f0000' + '000000',
  );
  t.equal(tags.toString('latin1', 0, 8), 'OpusTags');
  const said = tags.subarray(8 + 4 + tags.readUInt32LE(8));
  t.equal(said.readUInt32LE(0), 2);
  t.equal(said.toString('utf8', 8, 8 + said.readUInt32LE(4)), 'TITLE=Ä call');
  t.same(
    packets.length,
    pages.slice(2).reduce((sum, page) => sum + page.packets.length, 0),
  );
  t.equal(packets.length, Math.ceil((20_100 * 6 + 312) / 960));
});

await t.test('any length is told exactly', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(8000, 12_000, 16_000, 48_000, 22_050),
      fc.constantFrom(1, 2),
      fc.integer({ min: 0, max: 3000 }),
      async (sampleRate, channels, samples) => {
        const shape = { sampleRate, channels };
        const file = await encode(toneOf(shape, samples), { ...shape, implementation: 'wasm' });
        const rate = sampleRate === 22_050 ? 24_000 : sampleRate;
        const { samples: heard } = await played(file);
        const expected = (Math.ceil((samples * rate) / sampleRate) * 48_000) / rate;
        if (heard.length !== expected * channels) throw new Error(`${heard.length} for ${expected}`);
        const [, , ...pages] = pagesOf(file);
        if (pages.filter(({ isLast }) => isLast).length !== 1) throw new Error('not one end');
      },
    ),
    { numRuns: 40 },
  );
  const shape = { sampleRate: 8000, channels: 2 };
  const nothing = await encode(new Int16Array(0), shape);
  t.equal((await played(nothing)).samples.length, 0, 'nothing is a file too');
  t.equal(heardByFfmpeg(nothing)?.length ?? 0, 0);
});

await t.test('the file depends on the audio alone, not on the pieces that it came in', async (t) => {
  for (const sampleRate of [8000, 11_025]) {
    const shape = { sampleRate, channels: 2, implementation: 'wasm' } as const;
    const pcm = toneOf(shape, 5000);
    const expected = await encode(pcm, shape);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }),
        async (cuts) => {
          if (!(await encode(pcm, shape, ...cuts)).equals(expected)) throw new Error(cuts.join(', '));
        },
      ),
      { numRuns: 15 },
    );
    const odd = [...bytesOf(pcm), 1, 2, 3];
    const pages: Buffer[] = [];
    for await (const page of encodeOggOpus(piecesOf(Uint8Array.from(odd), 777), { ...shape, serial: 0x1234 }))
      pages.push(page);
    t.ok(Buffer.concat(pages).equals(expected), 'a block that the end cuts short is left out');
  }
});

await t.test('who says nothing is not heard, however loud the other one is', async (t) => {
  const speech = await readSpeech(join('src', 'simulators', 'speech', 'caller.wav'), 8000);
  const shape = { sampleRate: 8000, channels: 2, implementation: 'wasm' } as const;
  for (const silent of [0, 1]) {
    const channels =
      silent === 0 ? [new Int16Array(speech.length), speech] : [speech, new Int16Array(speech.length)];
    const { samples } = await played(await encode(interleaved(channels), shape));
    const power = (channel: number) =>
      channelOf(samples, channel, 2).reduce((sum, sample) => sum + sample ** 2, 0);
    const ratio = 10 * Math.log10(Math.max(1, power(silent)) / power(1 - silent));
    t.ok(ratio < -60, `${ratio.toFixed(1)} dB of the other one`);
  }
});

await t.test('speech is what it was', async (t) => {
  const [caller, bot] = await Promise.all(
    ['caller', 'bot'].map(
      async (name) => await readSpeech(join('src', 'simulators', 'speech', `${name}.wav`), 48_000),
    ),
  );
  const narrow = await Promise.all(
    ['caller', 'bot'].map(
      async (name) => await readSpeech(join('src', 'simulators', 'speech', `${name}.wav`), 8000),
    ),
  );
  const samples = Math.min(...narrow.map(({ length }) => length));
  const pcm = interleaved(narrow.map((channel) => channel.subarray(0, samples)));
  const file = await encode(pcm, { sampleRate: 8000, channels: 2, implementation: 'wasm' });
  const { samples: heard } = await played(file);
  t.equal(heard.length, samples * 6 * 2);
  [caller, bot].forEach((said, channel) => {
    let [error, power] = [0, 0];
    channelOf(heard, channel, 2).forEach((sample, at) => {
      error += (sample - (said?.[at] ?? 0)) ** 2;
      power += (said?.[at] ?? 0) ** 2;
    });
    const ratio = 10 * Math.log10(power / error);
    t.ok(ratio > 8, `channel ${channel}: ${ratio.toFixed(1)} dB above what was changed`);
  });
});

await t.test('the event loop has its turn all the way', async (t) => {
  const shape = { sampleRate: 8000, channels: 2 };
  const pcm = toneOf(shape, 40_000);
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await encode(pcm, shape, pcm.byteLength);
  isOver = true;
  t.ok(turns >= 50, `${turns} turns in five seconds of audio that came in one piece`);
});

await t.test('who stops listening gives the codec back', async (t) => {
  const shape = { sampleRate: 8000, channels: 2, implementation: 'wasm', serial: 1 } as const;
  const pcm = toneOf(shape, 16_000);
  for (let round = 0; round < 40; round++) {
    const pages = encodeOggOpus(piecesOf(bytesOf(pcm), 8000), shape);
    await pages.next();
    if (round % 2 === 0) await pages.return(undefined);
    else await t.rejects(pages.throw(new Error('gone')), { message: 'gone' });
  }
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield bytesOf(pcm);
    await turn();
    throw new Error('no audio any more');
  }
  for (let round = 0; round < 20; round++)
    await t.rejects(
      (async () => {
        for await (const page of encodeOggOpus(breaking(), shape)) t.ok(page.length > 0);
      })(),
      { message: 'no audio any more' },
    );
  t.ok((await encode(pcm, shape)).length > 0);
});

await t.test('what can’t be an Opus file is refused', async (t) => {
  await t.rejects(encode(new Int16Array(3), { sampleRate: 8000, channels: 3 }), { code: 'opus_invalid' });
  await t.rejects(encode(new Int16Array(3), { sampleRate: 8009, channels: 1 }), {
    code: 'sample_rate_invalid',
  });
  const comments = { TITLE: 'x'.repeat(70_000) };
  await t.rejects(encode(new Int16Array(3), { sampleRate: 8000, channels: 1, comments }), {
    code: 'opus_invalid',
  });
  t.ok(canEncodeOpus({ sampleRate: 44_100, channels: 2 }));
  t.notOk(canEncodeOpus({ sampleRate: 8009, channels: 2 }));
  t.notOk(canEncodeOpus({ sampleRate: 8000, channels: 3 }));
});
