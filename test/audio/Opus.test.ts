import t from 'tap';
import { createOpusCodec, opusImplementation, type OpusImplementation } from '../../src/audio/Opus.js';

const available: OpusImplementation[] = opusImplementation() === 'native' ? ['native', 'wasm'] : ['wasm'];

/** One second of a sine, interleaved, the second channel at half the first one's level. */
function tone(sampleRate: number, channels: number): Int16Array {
  return Int16Array.from({ length: sampleRate * channels }, (_, index) => {
    const level = index % channels === 0 ? 10_000 : 5000;
    return Math.round(level * Math.sin((2 * Math.PI * 440 * Math.floor(index / channels)) / sampleRate));
  });
}

/** Best normalised correlation of two signals when the second may lag by up to 20 ms. */
function correlation(
  original: Int16Array,
  decoded: Int16Array,
  sampleRate: number,
  channels: number,
): number {
  let best = 0;
  const length = (sampleRate / 2) * channels;
  const start = (sampleRate / 4) * channels;
  for (let lag = 0; lag <= sampleRate / 50; lag++) {
    let [product, one, other] = [0, 0, 0];
    for (let n = start; n < start + length; n++) {
      const [a, b] = [original[n] ?? 0, decoded[n + lag * channels] ?? 0];
      product += a * b;
      one += a * a;
      other += b * b;
    }
    best = Math.max(best, product / Math.sqrt(one * other));
  }
  return best;
}

t.comment(`createOpusCodec uses ${opusImplementation()} here`);

for (const implementation of available) {
  for (const [sampleRate, channels] of [
    [8000, 1],
    [16_000, 1],
    [48_000, 2],
  ] as const) {
    await t.test(`${implementation}: a tone at ${sampleRate} Hz on ${channels} channels survives`, (t) => {
      const codec = createOpusCodec({ sampleRate, channels }, implementation);
      t.teardown(() => codec.delete());
      t.equal(codec.implementation, implementation);
      const pcm = tone(sampleRate, channels);
      const frame = (sampleRate / 50) * channels;
      const decoded = new Int16Array(pcm.length);
      let bytes = 0;
      for (let at = 0; at < pcm.length; at += frame) {
        const packet = codec.encode(pcm.subarray(at, at + frame));
        bytes += packet.length;
        const samples = codec.decode(packet);
        t.equal(samples.length, frame);
        decoded.set(samples, at);
      }
      t.ok(bytes < pcm.byteLength / 2, `${bytes} bytes`);
      const likeness = correlation(pcm, decoded, sampleRate, channels);
      t.ok(likeness > 0.98, `correlation ${likeness}`);
      t.end();
    });
  }

  await t.test(`${implementation}: what cannot be coded is refused with a code`, (t) => {
    const codec = createOpusCodec({ sampleRate: 8000, channels: 1 }, implementation);
    t.teardown(() => codec.delete());
    const refused = { name: 'ReelayError', code: 'opus_invalid' };
    t.throws(() => codec.encode(new Int16Array(161)), refused, 'no frame length of Opus');
    t.throws(() => codec.encode(new Int16Array(0)), refused, 'no audio');
    t.throws(() => codec.decode(new Uint8Array(0)), refused, 'no packet');
    t.throws(() => codec.decode(new Uint8Array(4000)), refused, 'too large');
    t.throws(() => codec.decode(Uint8Array.of(0xff, 0xff, 0xff)), refused, 'no Opus');
    t.equal(codec.decode(codec.encode(new Int16Array(160))).length, 160, 'and the codec still works');
    t.end();
  });
}

await t.test('WASM codecs are limited in number and give their place back', (t) => {
  const options = { sampleRate: 48_000, channels: 2 };
  const codecs = Array.from({ length: 16 }, () => createOpusCodec(options, 'wasm'));
  t.throws(() => createOpusCodec(options, 'wasm'), { code: 'opus_invalid' });
  const frame = tone(48_000, 2).subarray(0, 1920);
  const alone = codecs[0]?.encode(frame);
  for (const codec of codecs.slice(1)) t.same(codec.encode(frame), alone, 'none disturbs another');
  for (const codec of codecs) {
    codec.delete();
    codec.delete();
  }
  const next = createOpusCodec(options, 'wasm');
  t.same(next.encode(frame), alone);
  next.delete();
  t.end();
});

for (const implementation of available)
  await t.test(`${implementation}: an encoder makes as much of a second as it was told`, (t) => {
    const sizes = [16_000, 64_000].map((bitrate) => {
      const encoder = { bitrate, complexity: 5 };
      const codec = createOpusCodec({ sampleRate: 48_000, channels: 2, encoder }, implementation);
      t.teardown(() => codec.delete());
      const pcm = tone(48_000, 2);
      let bytes = 0;
      for (let at = 0; at < pcm.length; at += 1920) bytes += codec.encode(pcm.subarray(at, at + 1920)).length;
      t.ok(bytes * 8 < bitrate * 1.5, `${bytes} bytes for ${bitrate} bit/s`);
      return bytes;
    });
    t.ok((sizes[1] ?? 0) > 1.5 * (sizes[0] ?? Infinity));
    for (let round = 0; round < 40; round++)
      for (const encoder of [
        { bitrate: 64_000, complexity: 11 },
        { bitrate: -5, complexity: 5 },
      ])
        t.throws(() => createOpusCodec({ sampleRate: 48_000, channels: 2, encoder }, implementation), {
          code: 'opus_invalid',
        });
    createOpusCodec({ sampleRate: 8000, channels: 1 }, implementation).delete();
    t.end();
  });

await t.test('rates and channels that Opus does not have are refused', (t) => {
  for (const [sampleRate, channels] of [
    [44_100, 1],
    [0, 1],
    [8000, 0],
    [8000, 3],
  ] as const) {
    t.throws(() => createOpusCodec({ sampleRate, channels }), { code: 'opus_invalid' });
  }
  t.end();
});
