import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  canEncodeMp3,
  mp3BytesOf,
  encodeMp3,
  mp3BitrateOf,
  mp3RateOf,
  type Mp3Shape,
} from '../../src/audio/Mp3.js';
import { bytesOf, channelOf, interleaved, samplesOf } from '../../src/audio/pcm.js';

/** Hz, one per channel: the left one is the caller's. */
const tones = [440, 1234];
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).error === undefined;

function toneOf(shape: Mp3Shape, seconds: number): Int16Array {
  const { sampleRate, channels } = shape;
  const made = Array.from({ length: channels }, (_, channel) =>
    Int16Array.from({ length: Math.round(sampleRate * seconds) }, (_, at) =>
      Math.round(9000 * Math.sin((2 * Math.PI * (tones[channel] ?? 0) * at) / sampleRate)),
    ),
  );
  return interleaved(made);
}

async function* piecesOf(bytes: Uint8Array, ...lengths: number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? bytes.length;
    yield bytes.subarray(at, at + length);
    at += length;
    await Promise.resolve();
  }
}

async function encode(pcm: Int16Array, shape: Mp3Shape, ...lengths: number[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of encodeMp3(
    piecesOf(bytesOf(pcm), ...(lengths.length > 0 ? lengths : [50_000])),
    shape,
  ))
    pieces.push(piece);
  return Buffer.concat(pieces);
}

interface Frame {
  readonly rate: number;
  readonly channels: number;
  /** Samples per channel. */
  readonly samples: number;
  /** kbit/s. */
  readonly bitrate: number;
}

const rates = [[11_025, 12_000, 8000], [], [22_050, 24_000, 16_000], [44_100, 48_000, 32_000]];
const bitrates = {
  long: [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  short: [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
};

/** Walks an MP3 from frame to frame (ISO/IEC 11172-3, 2.4.2.3) and throws where one doesn't follow the other. */
function framesOf(mp3: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < mp3.length;) {
    const head = mp3.readUInt32BE(at);
    if (head >>> 21 !== 0x7ff || ((head >>> 17) & 3) !== 1) throw new Error(`no layer III frame at ${at}`);
    const version = (head >>> 19) & 3;
    const isLong = version === 3;
    const bitrate = (isLong ? bitrates.long : bitrates.short)[(head >>> 12) & 15] ?? 0;
    const rate = rates[version]?.[(head >>> 10) & 3] ?? 0;
    const samples = isLong ? 1152 : 576;
    frames.push({ rate, samples, bitrate, channels: ((head >>> 6) & 3) === 3 ? 1 : 2 });
    at += Math.floor((samples * bitrate * 125) / rate) + ((head >>> 9) & 1);
    if (at > mp3.length) throw new Error('the last frame is cut short');
  }
  return frames;
}

/** How loud a tone is in samples: Goertzel's algorithm, as a share of full scale. */
function levelOf(samples: Int16Array, hz: number, rate: number): number {
  const turn = (2 * Math.PI * hz) / rate;
  let [cosine, sine] = [0, 0];
  samples.forEach((sample, at) => {
    cosine += sample * Math.cos(turn * at);
    sine += sample * Math.sin(turn * at);
  });
  return (2 * Math.hypot(cosine, sine)) / samples.length / 32_768;
}

await t.test('every rate and both channel counts give whole frames of the audio’s length', async (t) => {
  for (const sampleRate of [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]) {
    for (const channels of [1, 2]) {
      const shape = { sampleRate, channels };
      const frames = framesOf(await encode(toneOf(shape, 1), shape));
      const [first] = frames;
      t.match(first, { rate: sampleRate, channels, bitrate: mp3BitrateOf(shape) }, `${sampleRate} Hz`);
      const samples = frames.reduce((sum, frame) => sum + frame.samples, 0);
      const frame = first?.samples ?? 0;
      t.ok(samples >= sampleRate, 'nothing is missing');
      t.ok(samples <= sampleRate + frame + 1105, `${samples - sampleRate} samples more`);
      t.ok(frames.every(({ rate, bitrate }) => rate === sampleRate && bitrate === first?.bitrate));
    }
  }
});

await t.test('other rates are converted to the next that MP3 has', async (t) => {
  t.same(
    [4000, 8000, 8001, 24_000, 48_000, 64_000, 96_000].map(mp3RateOf),
    [8000, 8000, 11_025, 24_000, 48_000, 48_000, 48_000],
  );
  for (const [sampleRate, rate] of [
    [6000, 8000],
    [18_000, 22_050],
    [64_000, 48_000],
  ] as const) {
    const shape = { sampleRate, channels: 2 };
    const frames = framesOf(await encode(toneOf(shape, 1), shape));
    const seconds = frames.reduce((sum, frame) => sum + frame.samples, 0) / rate;
    t.equal(frames[0]?.rate, rate);
    t.ok(seconds >= 1 && seconds < 1 + (1152 + 1105) / rate, `${seconds} s`);
  }
});

await t.test('what can be encoded is known before, and how large it becomes at most', async (t) => {
  for (const sampleRate of [8000, 8009, 8025, 11_025, 16_000, 44_100, 47_999, 48_000]) {
    const shape = { sampleRate, channels: 2, samples: 2 * sampleRate };
    const made = await encode(toneOf(shape, 2), shape).catch(() => null);
    t.equal(canEncodeMp3(shape), made !== null, `${sampleRate} Hz`);
    if (made === null) continue;
    t.ok(
      made.length <= mp3BytesOf(shape) && made.length > mp3BytesOf({ ...shape, samples: sampleRate }) - 2000,
    );
  }
  t.notOk(canEncodeMp3({ sampleRate: 8000, channels: 3 }));
});

await t.test('the file depends on the audio alone, not on the pieces that it came in', async (t) => {
  const shape = { sampleRate: 8000, channels: 2 };
  const pcm = toneOf(shape, 3);
  const expected = createHash('sha256')
    .update(await encode(pcm, shape))
    .digest('hex');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }),
      async (cuts) => {
        const hash = createHash('sha256')
          .update(await encode(pcm, shape, ...cuts))
          .digest('hex');
        if (hash !== expected) throw new Error(`cut into ${cuts.join(', ')}`);
      },
    ),
    { numRuns: 15 },
  );
  const odd = encodeMp3(piecesOf(Buffer.concat([bytesOf(pcm), Buffer.from([1, 2, 3])])), shape);
  const hash = createHash('sha256');
  for await (const piece of odd) hash.update(piece);
  t.equal(hash.digest('hex'), expected, 'a block that the end cuts short is left out');
});

await t.test('nothing is an MP3 too, and three channels are not', async (t) => {
  t.ok(framesOf(await encode(new Int16Array(0), { sampleRate: 8000, channels: 2 })).length <= 3);
  await t.rejects(encode(new Int16Array(3), { sampleRate: 8000, channels: 3 }), { code: 'wav_invalid' });
});

await t.test('the event loop has its turn all the way', async (t) => {
  const shape = { sampleRate: 48_000, channels: 2 };
  const pcm = toneOf(shape, 5);
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

await t.test('what a decoder gives back is the tone of each channel, in its place', async (t) => {
  for (const sampleRate of [8000, 16_000, 48_000]) {
    const shape = { sampleRate, channels: 2 };
    const mp3 = await encode(toneOf(shape, 2), shape);
    const decoded = decode(mp3) ?? toneOf(shape, 2);
    const frame = sampleRate < 32_000 ? 576 : 1152;
    const more = decoded.length / 2 - 2 * sampleRate;
    t.ok(more >= 0 && more <= frame + 1105, `${more} samples more at ${sampleRate} Hz`);
    for (const channel of [0, 1]) {
      const heard = channelOf(decoded, channel, 2).subarray(sampleRate / 2, (sampleRate * 3) / 2);
      const own = levelOf(heard, tones[channel] ?? 0, sampleRate);
      const other = levelOf(heard, tones[1 - channel] ?? 0, sampleRate);
      t.ok(Math.abs(20 * Math.log10(own / (9000 / 32_768))) < 0.5, `its own tone at ${own}`);
      t.ok(20 * Math.log10(own / other) > 40, `the other party's at ${other}`);
    }
  }
});

await t.test('a file that is told its length says where its audio begins and ends', async (t) => {
  const lengths = fc.record({
    sampleRate: fc.constantFrom(8000, 11_025, 16_000, 44_100, 48_000, 6000),
    channels: fc.constantFrom(1, 2),
    samples: fc.integer({ min: 1, max: 9000 }),
  });
  await fc.assert(
    fc.asyncProperty(lengths, async (shape) => {
      const pcm = new Int16Array(shape.samples * shape.channels);
      const [info, ...frames] = framesOf(await encode(pcm, shape));
      const mp3 = await encode(pcm, shape);
      const tag = mp3.indexOf('Info');
      const rate = info?.rate ?? 0;
      const wanted = Math.ceil((shape.samples * rate) / shape.sampleRate);
      const trims = mp3.readUIntBE(tag + 12 + 21, 3);
      const given = frames.reduce((sum, { samples }) => sum + samples, 0);
      if (mp3.readUInt32BE(tag + 8) !== frames.length) throw new Error(`${frames.length} frames`);
      if (given - (trims >> 12) - (trims & 4095) !== wanted) throw new Error(`${given} for ${wanted}`);
      if (info?.bitrate !== frames[0]?.bitrate || info?.channels !== shape.channels) throw new Error('rates');
    }),
    { numRuns: 60 },
  );
  const shape = { sampleRate: 8000, channels: 2, samples: 16_000 };
  const tone = toneOf(shape, 2);
  const decoded = decode(await encode(tone, shape)) ?? tone;
  t.equal(decoded.length, tone.length, 'a decoder gives back exactly as much');
  let [error, power] = [0, 0];
  tone.forEach((sample, at) => {
    error += (sample - (decoded[at] ?? 0)) ** 2;
    power += sample ** 2;
  });
  t.ok(error < power / 100, `in its place: the difference is ${(error / power).toFixed(5)} of it`);
});

/** The samples that ffmpeg makes of it; undefined where there is no ffmpeg. */
function decode(mp3: Buffer): Int16Array | undefined {
  if (!hasFfmpeg) return undefined;
  const args = ['-v', 'error', '-i', 'pipe:0', '-f', 's16le', 'pipe:1'];
  const { stdout, stderr } = spawnSync('ffmpeg', args, { input: mp3, maxBuffer: 2 ** 26 });
  if (stderr.length > 0) throw new Error(stderr.toString());
  return samplesOf(stdout);
}
