import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { bytesOf, samplesOf } from '../../src/audio/pcm.js';
import { readSpeech, writeWav } from '../../src/audio/Speech.js';
import { readWavHeader, wavHeader } from '../../src/audio/wav.js';

// Fixtures and speech are no part of a build; tests run from the package root.
const toneFile = join('test', 'audio', 'fixtures', 'tone.opus');

const ramp = Int16Array.from({ length: 1000 }, (_, n) => n * 50 - 25_000);

/** A mono G.711 file as telephony tools write it: an 18-byte format, a fact chunk, an odd number of samples. */
function g711File(formatTag: number, codes: Uint8Array): Buffer {
  const head = Buffer.from(
    '52494646000000005741564566' + '6d742012000000' + '0000' + '0100' + '401f0000401f00000100' + '08000000',
    'hex',
  );
  head.writeUInt16LE(formatTag, 20);
  const fact = Buffer.from('6661637404000000' + '00000000' + '6461746100000000', 'hex');
  fact.writeUInt32LE(codes.length, 8);
  fact.writeUInt32LE(codes.length, 16);
  return Buffer.concat([head, fact, codes, Buffer.alloc(codes.length % 2)]);
}

await t.test('a WAV that was written reads back bit by bit', async (t) => {
  const file = join(t.testdir(), 'ramp.wav');
  await writeWav(file, { sampleRate: 8000, channels: [ramp] });
  const bytes = readFileSync(file);
  t.same(readWavHeader(bytes), readWavHeader(wavHeader({ sampleRate: 8000, channels: 1, samples: 1000 })));
  t.equal(bytes.length, 44 + 2000);
  t.same(await readSpeech(file, 8000), ramp);
});

await t.test('of two channels the first one is read', async (t) => {
  const file = join(t.testdir(), 'two.wav');
  await writeWav(file, { sampleRate: 16_000, channels: [ramp, new Int16Array(1000).fill(-7)] });
  const bytes = readFileSync(file);
  t.match(readWavHeader(bytes), { channels: 2, sampleRate: 16_000, dataBytes: 4000 });
  t.equal(samplesOf(bytes.subarray(44))[1], -7);
  t.same(await readSpeech(file, 16_000), ramp);
});

await t.test('an empty recording is a WAV too, and has no speech to read', async (t) => {
  const file = join(t.testdir(), 'empty.wav');
  await writeWav(file, { sampleRate: 8000, channels: [new Int16Array(0)] });
  t.equal(readFileSync(file).length, 44);
  await t.rejects(readSpeech(file, 8000), { code: 'wav_invalid' });
});

await t.test('mu-law and A-law files are decoded', async (t) => {
  const dir = t.testdir();
  const codes = Uint8Array.from({ length: 255 }, (_, n) => n);
  const expected = new Int16Array(255);
  writeFileSync(join(dir, 'mulaw.wav'), g711File(7, codes));
  kernels.decodeMulaw(codes, expected);
  t.same(await readSpeech(join(dir, 'mulaw.wav'), 8000), expected);
  writeFileSync(join(dir, 'alaw.wav'), g711File(6, codes));
  kernels.decodeAlaw(codes, expected);
  t.same(await readSpeech(join(dir, 'alaw.wav'), 8000), expected);
});

await t.test('speech is resampled to the rate that is asked for', async (t) => {
  const file = join(t.testdir(), 'ramp.wav');
  await writeWav(file, { sampleRate: 8000, channels: [ramp] });
  const speech = await readSpeech(file, 24_000);
  t.equal(speech.length, 3000);
  t.ok(
    speech.subarray(300, 2700).every((sample, n) => Math.abs(sample - ((n + 300) * 50) / 3 + 25_000) < 60),
  );
});

for (const sampleRate of [8000, 16_000, 48_000]) {
  await t.test(`Ogg Opus is read at ${sampleRate} Hz`, async (t) => {
    const speech = await readSpeech(toneFile, sampleRate);
    const seconds = speech.length / sampleRate;
    t.ok(seconds >= 1 && seconds < 1.021, `one second and at most one padded frame: ${seconds}`);
    const middle = speech.subarray(sampleRate / 4, (3 * sampleRate) / 4);
    const crossings = middle.filter((sample, n) => sample >= 0 && (middle[n - 1] ?? 0) < 0).length;
    t.ok(Math.abs(crossings - 220) <= 1, `440 Hz: ${crossings} periods in half a second`);
    t.ok(kernels.peak(middle) > 7000 && kernels.peak(middle) < 9500, `level ${kernels.peak(middle)}`);
  });
}

await t.test('the speech of the demo is 8 kHz mono PCM16 of a few seconds', async (t) => {
  for (const name of ['caller', 'bot']) {
    const file = join('src', 'simulators', 'speech', `${name}.wav`);
    t.match(readWavHeader(readFileSync(file)), {
      sampleRate: 8000,
      channels: 1,
      bitsPerSample: 16,
      formatTag: 1,
    });
    const speech = await readSpeech(file, 8000);
    t.ok(speech.length > 7 * 8000 && speech.length < 9 * 8000);
    t.ok(kernels.peak(speech) > 8000);
  }
});

await t.test('what is no speech is refused with a code', async (t) => {
  const dir = t.testdir({ 'text.wav': 'this is text', nothing: '', 'cut.wav': 'RIFF\0\0\0\0WAVEfmt ' });
  await t.rejects(readSpeech(join(dir, 'absent.wav'), 8000), { code: 'speech_unreadable' });
  await t.rejects(readSpeech(join(dir, 'text.wav'), 8000), { code: 'speech_unreadable' });
  await t.rejects(readSpeech(join(dir, 'nothing'), 8000), { code: 'speech_unreadable' });
  await t.rejects(readSpeech(join(dir, 'cut.wav'), 8000), { code: 'wav_invalid' });
  writeFileSync(join(dir, 'float.wav'), g711File(3, bytesOf(ramp)));
  await t.rejects(readSpeech(join(dir, 'float.wav'), 8000), { code: 'wav_invalid' });
  writeFileSync(join(dir, 'torn.opus'), readFileSync(toneFile).subarray(0, 60));
  await t.rejects(readSpeech(join(dir, 'torn.opus'), 8000), { code: 'speech_unreadable' });
  writeFileSync(join(dir, 'broken.opus'), Buffer.concat([readFileSync(toneFile), Buffer.alloc(100, 'x')]));
  await t.rejects(readSpeech(join(dir, 'broken.opus'), 8000), { code: 'speech_unreadable' });
});

/** A WAV of the ramp with these bytes between its format and its data. */
function rampWith(between: string): Buffer {
  const header = wavHeader({ sampleRate: 8000, channels: 1, samples: ramp.length });
  const middle = Buffer.from(between, 'latin1');
  return Buffer.concat([header.subarray(0, 36), middle, header.subarray(36), bytesOf(ramp)]);
}

await t.test('chunks in front of the audio do no harm, also empty and odd ones', async (t) => {
  const file = join(t.testdir(), 'chunks.wav');
  for (const between of ['LIST\0\0\0\0', 'LIST\x03\0\0\0abc\0', 'fact\0\0\0\0', 'bext\x02\0\0\0ab']) {
    writeFileSync(file, rampWith(between));
    t.same(await readSpeech(file, 8000), ramp, JSON.stringify(between));
  }
});

await t.test('audio goes to the end of the file when its writer could not know its length', async (t) => {
  const file = join(t.testdir(), 'piped.wav');
  for (const length of [0, 0xffff_ffff, 2001]) {
    const bytes = rampWith('');
    bytes.writeUInt32LE(length, 40);
    writeFileSync(file, bytes);
    t.same(await readSpeech(file, 8000), ramp, `${length} bytes by its header`);
  }
});

await t.test('a damaged file gives speech or an error with a code, never a crash', async (t) => {
  const file = join(t.testdir(), 'damaged');
  const opusFile = readFileSync(toneFile);
  let refused = 0;
  const damage = fc.record({
    wav: fc.boolean(),
    bytes: fc.array(fc.tuple(fc.integer({ min: 4, max: 120 }), fc.constantFrom(0, 1, 127, 255)), {
      minLength: 1,
      maxLength: 4,
    }),
    length: fc.integer({ min: 0, max: 2000 }),
  });
  await fc.assert(
    fc.asyncProperty(damage, async ({ wav, bytes, length }) => {
      const whole = Buffer.from(wav ? rampWith('LIST\x02\0\0\0ab') : opusFile);
      for (const [at, value] of bytes) whole[at] = value;
      writeFileSync(file, whole.subarray(0, whole.length - (wav ? length : 0)));
      await readSpeech(file, 8000).catch((error: unknown) => {
        refused++;
        t.match(error, { name: 'ReelayError' });
      });
    }),
    { numRuns: 300 },
  );
  t.ok(refused > 0, `${refused} files were refused`);
});

await t.test('writing fails with the error of the file system, or when channels do not fit', async (t) => {
  const file = join(t.testdir(), 'no-such-folder', 'a.wav');
  await t.rejects(writeWav(file, { sampleRate: 8000, channels: [ramp] }), { code: 'ENOENT' });
  await t.rejects(writeWav(file, { sampleRate: 8000, channels: [ramp, ramp.subarray(1)] }), RangeError);
  await t.rejects(writeWav(file, { sampleRate: 8000, channels: [] }), RangeError);
});
