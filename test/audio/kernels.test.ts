import fc from 'fast-check';
import t from 'tap';
import { kernels, loadNativeKernels, type Kernels } from '../../src/audio/kernels.js';
import { kernelsTypescript } from '../../src/audio/kernelsTypescript.js';

/*
 * One list of tests over both implementations. The reference for G.711 is written down here from the tables of the
 * Recommendation (1988), not computed with the formulas that the kernels use.
 */

/** First output value and step of each positive segment: tables 2a/G.711 (14-bit units) and 1a/G.711 (13-bit units). */
const mulawSegments = [
  [0, 2],
  [33, 4],
  [99, 8],
  [231, 16],
  [495, 32],
  [1023, 64],
  [2079, 128],
  [4191, 256],
] as const;
const alawSegments = [
  [1, 2],
  [33, 2],
  [66, 4],
  [132, 8],
  [264, 16],
  [528, 32],
  [1056, 64],
  [2112, 128],
] as const;

/** The linear value of a code whose bits are in transmission order, sign first, without inversions. */
function tableValue(segments: readonly (readonly [number, number])[], code: number, unit: number): number {
  const [first, step] = segments[(code >> 4) & 7] ?? [NaN, NaN];
  return (first + (code & 15) * step) * unit;
}

function mulawValue(octet: number): number {
  const magnitude = tableValue(mulawSegments, ~octet & 0x7f, 4);
  return (octet & 0x80) === 0 ? 0 - magnitude : magnitude;
}

function alawValue(octet: number): number {
  const magnitude = tableValue(alawSegments, (octet ^ 0x55) & 0x7f, 8);
  return (octet & 0x80) === 0 ? -magnitude : magnitude;
}

/** Decision value below each code, in the same tables and units. */
const mulawDecisions = [
  ...[0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29],
  ...[31, 35, 39, 43, 47, 51, 55, 59, 63, 67, 71, 75, 79, 83, 87, 91],
  ...rising(95, 8),
  ...rising(223, 16),
  ...rising(479, 32),
  ...rising(991, 64),
  ...rising(2015, 128),
  ...rising(4063, 256),
];
const alawDecisions = [
  ...rising(0, 2),
  ...rising(32, 2),
  ...rising(64, 4),
  ...rising(128, 8),
  ...rising(256, 16),
  ...rising(512, 32),
  ...rising(1024, 64),
  ...rising(2048, 128),
];

function rising(first: number, step: number): number[] {
  return Array.from({ length: 16 }, (_, index) => first + index * step);
}

/** Negative magnitudes count from -1, so a sample exactly at a negative decision value takes the code nearer to zero. */
function codeOf(decisions: readonly number[], sample: number, unit: number): number {
  const magnitude = sample < 0 ? -1 - sample : sample;
  return decisions.findLastIndex((decision) => decision * unit <= magnitude);
}

function mulawOctet(sample: number): number {
  return (codeOf(mulawDecisions, sample, 4) ^ 0x7f) | (sample < 0 ? 0 : 0x80);
}

function alawOctet(sample: number): number {
  return codeOf(alawDecisions, sample, 8) ^ 0x55 ^ (sample < 0 ? 0 : 0x80);
}

const octets = Uint8Array.from({ length: 256 }, (_, octet) => octet);
const everySample = Int16Array.from({ length: 65_536 }, (_, index) => index - 32_768);

/** Samples at any even offset of a larger buffer, extremes included. */
const samplesAnywhere = fc
  .tuple(
    fc.array(fc.oneof(fc.integer({ min: -32_768, max: 32_767 }), fc.constantFrom(-32_768, -1, 0, 32_767)), {
      maxLength: 400,
      size: 'max',
    }),
    fc.nat(15),
  )
  .map(([values, offset]) => {
    const view = new Int16Array(new ArrayBuffer(2 * (values.length + offset)), 2 * offset);
    view.set(values);
    return view;
  });

const implementations: [string, Kernels][] = [['typescript', kernelsTypescript]];
let notBuilt: string | undefined;
try {
  implementations.push(['native', loadNativeKernels()]);
} catch (error) {
  notBuilt = error instanceof Error ? error.message : 'unknown error';
}

for (const [name, tested] of implementations) {
  await t.test(`${name} kernels`, async (t) => {
    await t.test('decode all 256 codes as the tables of G.711 have them', (t) => {
      const decoded = new Int16Array(256);
      tested.decodeMulaw(octets, decoded);
      t.same([...decoded], [...octets].map(mulawValue));
      t.equal(decoded[0xff], 0, 'mu-law silence');
      t.equal(decoded[0x80], 32_124, 'largest mu-law value');
      tested.decodeAlaw(octets, decoded);
      t.same([...decoded], [...octets].map(alawValue));
      t.equal(decoded[0xd5], 8, 'smallest A-law value');
      t.equal(decoded[0xaa], 32_256, 'largest A-law value');
      t.end();
    });

    await t.test('encode every sample by the decision values of G.711', (t) => {
      const coded = new Uint8Array(65_536);
      tested.encodeMulaw(everySample, coded);
      t.ok(
        coded.every((octet, index) => octet === mulawOctet(index - 32_768)),
        'mu-law',
      );
      t.equal(coded[32_768], 0xff, 'mu-law silence');
      t.equal(coded[0], 0x00, 'the most negative sample');
      tested.encodeAlaw(everySample, coded);
      t.ok(
        coded.every((octet, index) => octet === alawOctet(index - 32_768)),
        'A-law',
      );
      t.equal(coded[32_768], 0xd5, 'A-law silence');
      t.end();
    });

    await t.test('give a decoded code back when it is encoded again', (t) => {
      const linear = new Int16Array(256);
      const again = new Uint8Array(256);
      tested.decodeMulaw(octets, linear);
      tested.encodeMulaw(linear, again);
      // Mu-law has two zeros, and a sample of 0 is the positive one.
      t.same(
        [...again],
        [...octets].map((octet) => (octet === 0x7f ? 0xff : octet)),
      );
      tested.decodeAlaw(octets, linear);
      tested.encodeAlaw(linear, again);
      t.same([...again], [...octets]);
      t.end();
    });

    await t.test('interleave, and deinterleave to the same channels', (t) => {
      const stereo = new Int16Array(6);
      tested.interleave(Int16Array.of(1, 2, 3), Int16Array.of(-1, -2, -32_768), stereo);
      t.same([...stereo], [1, -1, 2, -2, 3, -32_768]);
      const left = new Int16Array(3);
      const right = new Int16Array(3);
      tested.deinterleave(stereo, left, right);
      t.same(
        [[...left], [...right]],
        [
          [1, 2, 3],
          [-1, -2, -32_768],
        ],
      );
      t.end();
    });

    await t.test('mix with saturation, also in place', (t) => {
      const a = Int16Array.of(1, 32_767, -32_768, 32_767, -20_000, 0);
      const b = Int16Array.of(2, 1, -1, -32_768, -20_000, 0);
      tested.mix(a, b, a);
      t.same([...a], [3, 32_767, -32_768, -1, -32_768, 0]);
      t.end();
    });

    await t.test('resample as the formula says, halves up and saturating', (t) => {
      // Two rows of three weights: the mean of two inputs, and the sum of all three.
      const rows = Float64Array.of(0.5, 0.5, 0, 1, 1, 1);
      const out = new Int16Array(5);
      tested.resample(rows, 2, 1, 0, Int16Array.of(1, 2, -8, 5, 32_767, 32_767), out);
      t.same([...out], [2, -5, -3, -1, -1]);
      tested.resample(rows, 2, 3, 1, Int16Array.of(-32_768, -1, -32_768, 9, 4, 5, 6, 1, 1), out);
      t.same([...out], [-32_768, -16_379, 18, 6, 8]);
      t.end();
    });

    await t.test('find the largest magnitude', (t) => {
      t.equal(tested.peak(new Int16Array(0)), 0);
      t.equal(tested.peak(Int16Array.of(3, -7, 5)), 7);
      t.equal(tested.peak(Int16Array.of(-32_768, 32_767)), 32_768);
      t.end();
    });

    await t.test('find the extremes of each bin', (t) => {
      const pairs = new Int16Array(6);
      tested.extremes(Int16Array.of(3, -7, 5, 32_767, -32_768, 0, 9), 3, pairs);
      t.same([...pairs], [-7, 5, -32_768, 32_767, 9, 9], 'the last bin has one sample, and none of silence');
      const one = new Int16Array(2);
      tested.extremes(Int16Array.of(-5, -9), 2 ** 22, one);
      t.same([...one], [-9, -5], 'a bin without a positive sample has no 0');
      t.end();
    });

    await t.test('find the mean square of each bin', (t) => {
      const squares = new Float64Array(3);
      tested.energies(Int16Array.of(1, 2, 3, -32_768, -32_768, -32_768, 5), 3, squares);
      t.same([...squares], [14 / 3, 2 ** 30, 25], 'the last bin is the mean of what it has');
      const full = new Int16Array(2 ** 22).fill(-32_768);
      full[0] = 1;
      const one = new Float64Array(1);
      tested.energies(full, 2 ** 22, one);
      const exact = ((2n ** 22n - 1n) * 2n ** 30n + 1n).toString();
      t.equal(one[0], Number(exact) / 2 ** 22, 'the longest bin at full scale is exact');
      t.end();
    });

    await t.test('work on shared memory and on a Buffer', (t) => {
      const payload = new Uint8Array(new SharedArrayBuffer(64), 40, 3);
      payload.set([0xff, 0x80, 0x00]);
      const samples = new Int16Array(new SharedArrayBuffer(64), 10, 3);
      tested.decodeMulaw(payload, samples);
      t.same([...samples], [0, 32_124, -32_124]);
      tested.decodeMulaw(Buffer.from([0x00, 0xff, 0x80]), samples);
      t.same([...samples], [-32_124, 0, 32_124]);
      t.end();
    });

    await t.test('accept empty arrays', (t) => {
      const none = new Int16Array(0);
      t.doesNotThrow(() => tested.decodeMulaw(new Uint8Array(0), none));
      t.doesNotThrow(() => tested.encodeAlaw(none, new Uint8Array(0)));
      t.doesNotThrow(() => tested.interleave(none, none, none));
      t.doesNotThrow(() => tested.deinterleave(none, none, none));
      t.doesNotThrow(() => tested.mix(none, none, none));
      t.doesNotThrow(() => tested.extremes(none, 1, none));
      t.doesNotThrow(() => tested.energies(none, 80, new Float64Array(0)));
      t.end();
    });

    await t.test('throw a TypeError that names the argument, and write nothing', (t) => {
      for (const [text, call] of badCalls(tested)) t.throws(call, { name: 'TypeError', message: text });
      const target = Int16Array.of(5, 5);
      t.throws(() => tested.decodeMulaw(new Uint8Array(3), target), TypeError);
      t.throws(() => tested.extremes(new Int16Array(9), 3, target), TypeError);
      t.same([...target], [5, 5]);
      t.end();
    });
  });
}

if (notBuilt === undefined) {
  const native = loadNativeKernels();
  await t.test('both kernels give the same for any input, length and offset', (t) => {
    fc.assert(
      fc.property(samplesAnywhere, samplesAnywhere, (one, other) => {
        const length = Math.min(one.length, other.length);
        const a = one.subarray(0, length);
        const b = other.subarray(other.length - length);
        t.same(everything(native, a, b), everything(kernelsTypescript, a, b));
      }),
      { numRuns: 300 },
    );
    t.end();
  });

  await t.test('both kernels give the same at every length around those of vectors, at every offset', (t) => {
    const random = pseudoRandom(5);
    const noise = Int16Array.from({ length: 300 }, () => random() * 65_536 - 32_768);
    noise.set([-32_768, 32_767, -32_768, -32_768, 0, -1], 64);
    const differing: string[] = [];
    for (const offset of [0, 1, 2, 3, 5, 7, 8, 15, 16, 31])
      for (let length = 0; length <= 133; length++) {
        const a = noise.subarray(offset, offset + length);
        const b = noise.subarray(2 * offset, 2 * offset + length);
        const [mine, twin] = [native, kernelsTypescript].map((each) =>
          JSON.stringify(everything(each, a, b)),
        );
        if (mine !== twin) differing.push(`${length} at ${offset}`);
      }
    t.same(differing, []);
    t.end();
  });

  await t.test('both resample to the same, whatever the weights, rates and lengths', (t) => {
    fc.assert(
      fc.property(
        fc.record({
          up: fc.integer({ min: 1, max: 7 }),
          down: fc.integer({ min: 1, max: 7 }),
          phase: fc.nat(9),
          taps: fc.integer({ min: 1, max: 40 }),
          seed: fc.nat(),
        }),
        samplesAnywhere,
        ({ up, down, phase, taps, seed }, source) => {
          const random = pseudoRandom(seed);
          const rows = Float64Array.from({ length: up * taps }, () => (random() - 0.5) * 2);
          const most = Math.max(0, Math.ceil(((source.length - taps + 1) * up - phase) / down));
          const [mine, twin] = [native, kernelsTypescript].map((each) => {
            const out = new Int16Array(most);
            each.resample(rows, up, down, phase, source, out);
            return [...out];
          });
          t.same(mine, twin);
          const beyond = new Int16Array(most + 1);
          for (const each of [native, kernelsTypescript])
            t.throws(() => each.resample(rows, up, down, phase, source, beyond), TypeError);
        },
      ),
      { numRuns: 300 },
    );
    t.end();
  });

  await t.test('both kernels give the same for bins of any length', (t) => {
    fc.assert(
      fc.property(samplesAnywhere, fc.integer({ min: 1, max: 450 }), (samples, perBin) => {
        t.same(binned(native, samples, perBin), binned(kernelsTypescript, samples, perBin));
        t.same(binned(native, samples, perBin), plainlyBinned(samples, perBin));
      }),
      { numRuns: 300 },
    );
    t.end();
  });

  await t.test('both kernels give the same where source and target overlap', (t) => {
    fc.assert(
      fc.property(fc.nat(40), fc.nat(40), fc.integer({ min: 0, max: 200 }), (from, to, length) => {
        t.same(overlapping(native, from, to, length), overlapping(kernelsTypescript, from, to, length));
      }),
      { numRuns: 300 },
    );
    t.end();
  });

  await t.test('the addon is the one that is used unless the environment says otherwise', (t) => {
    const forced = process.env['REELAY_KERNELS'] === 'typescript';
    t.equal(kernels, forced ? kernelsTypescript : native);
    t.end();
  });
} else {
  await t.test('the addon is NOT BUILT here: only the TypeScript kernels were tested, and are used', (t) => {
    t.comment(notBuilt);
    t.equal(kernels, kernelsTypescript);
    t.end();
  });
}

/** Numbers from 0 up to 1, the same for a seed. */
function pseudoRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

/** Every kernel's result for two channels of one length; octets lie at an odd address. */
function everything(tested: Kernels, a: Int16Array, b: Int16Array): unknown {
  const n = a.length;
  const bytes = new Uint8Array(new ArrayBuffer(n + 3), 3);
  const [linear, mixed, stereo] = [new Int16Array(n), new Int16Array(n), new Int16Array(2 * n)];
  const results: number[][] = [];
  tested.encodeMulaw(a, bytes);
  results.push([...bytes]);
  tested.decodeMulaw(bytes, linear);
  results.push([...linear]);
  tested.encodeAlaw(a, bytes);
  results.push([...bytes]);
  tested.decodeAlaw(bytes, linear);
  results.push([...linear]);
  tested.mix(a, b, mixed);
  tested.interleave(a, b, stereo);
  results.push([...mixed], [...stereo], [tested.peak(a)]);
  const [left, right] = [new Int16Array(n), new Int16Array(n)];
  tested.deinterleave(stereo, left, right);
  return [...results, [...left], [...right]];
}

/** Extremes, then energies. */
function binned(tested: Kernels, samples: Int16Array, perBin: number): number[] {
  const bins = Math.ceil(samples.length / perBin);
  const [pairs, squares] = [new Int16Array(2 * bins), new Float64Array(bins)];
  tested.extremes(samples, perBin, pairs);
  tested.energies(samples, perBin, squares);
  return [...pairs, ...squares];
}

/** The same as a definition says it. */
function plainlyBinned(samples: Int16Array, perBin: number): number[] {
  const bins: number[][] = [];
  for (let at = 0; at < samples.length; at += perBin) bins.push([...samples.subarray(at, at + perBin)]);
  return [
    ...bins.flatMap((bin) => [Math.min(...bin), Math.max(...bin)]),
    ...bins.map((bin) => bin.reduce((sum, sample) => sum + sample * sample, 0) / bin.length),
  ];
}

function overlapping(tested: Kernels, from: number, to: number, length: number): number[] {
  const memory = Int16Array.from({ length: 300 }, (_, index) => (index * 7919) % 65_536);
  const bytes = new Uint8Array(memory.buffer);
  tested.mix(
    memory.subarray(from, from + length),
    memory.subarray(to, to + length),
    memory.subarray(to + 3, to + 3 + length),
  );
  tested.decodeMulaw(bytes.subarray(from, from + length), memory.subarray(to, to + length));
  tested.encodeAlaw(memory.subarray(to, to + length), bytes.subarray(from, from + length));
  return [...memory];
}

function badCalls(tested: Kernels): [string, () => void][] {
  const bytes = new Uint8Array(4);
  const samples = new Int16Array(4);
  const short = new Int16Array(3);
  const wrong = (value: unknown) => value as Uint8Array & Int16Array & Float64Array;
  const weights = new Float64Array(6);
  const resampled = (rows: Float64Array, up: number, down: number, phase: number, source: Int16Array) =>
    tested.resample(rows, up, down, phase, source, samples);
  const squares = new Float64Array(2);
  return [
    ['decodeMulaw: src must be a Uint8Array', () => tested.decodeMulaw(wrong(samples), samples)],
    ['decodeMulaw: dst must be an Int16Array', () => tested.decodeMulaw(bytes, wrong(bytes))],
    ['decodeMulaw: dst must have 4 elements, not 3', () => tested.decodeMulaw(bytes, short)],
    ['decodeAlaw: src must be a Uint8Array', () => tested.decodeAlaw(wrong('ff'), samples)],
    [
      'decodeAlaw: src must be a Uint8Array',
      () => tested.decodeAlaw(wrong(new Uint8ClampedArray(4)), samples),
    ],
    ['decodeAlaw: dst must have 4 elements, not 3', () => tested.decodeAlaw(bytes, short)],
    ['encodeMulaw: src must be an Int16Array', () => tested.encodeMulaw(wrong(new Uint16Array(4)), bytes)],
    ['encodeMulaw: dst must be a Uint8Array', () => tested.encodeMulaw(samples, wrong(undefined))],
    ['encodeMulaw: dst must have 3 elements, not 4', () => tested.encodeMulaw(short, bytes)],
    [
      'encodeAlaw: dst must be a Uint8Array',
      () => tested.encodeAlaw(samples, wrong(new DataView(bytes.buffer))),
    ],
    ['encodeAlaw: dst must have 3 elements, not 4', () => tested.encodeAlaw(short, bytes)],
    ['interleave: left must be an Int16Array', () => tested.interleave(wrong(null), samples, samples)],
    ['interleave: dst must be an Int16Array', () => tested.interleave(samples, samples, wrong([]))],
    ['interleave: right must have 4 elements, not 3', () => tested.interleave(samples, short, samples)],
    ['interleave: dst must have 8 elements, not 4', () => tested.interleave(samples, samples, samples)],
    ['deinterleave: src must be an Int16Array', () => tested.deinterleave(wrong(bytes), samples, samples)],
    ['deinterleave: right must have 4 elements, not 3', () => tested.deinterleave(samples, samples, short)],
    ['deinterleave: src must have 8 elements, not 4', () => tested.deinterleave(samples, samples, samples)],
    ['mix: a must be an Int16Array', () => tested.mix(wrong({}), samples, samples)],
    ['mix: b must have 4 elements, not 3', () => tested.mix(samples, short, samples)],
    ['mix: dst must have 4 elements, not 3', () => tested.mix(samples, samples, short)],
    ['resample: rows must be a Float64Array', () => resampled(wrong(bytes), 1, 1, 0, samples)],
    ['resample: up must be a whole number from 1 to 65536', () => resampled(weights, 0, 1, 0, samples)],
    ['resample: down must be a whole number from 1 to 65536', () => resampled(weights, 1, 1.5, 0, samples)],
    ['resample: phase must be a whole number from 0 to 65536', () => resampled(weights, 1, 1, NaN, samples)],
    [
      'resample: phase must be a whole number from 0 to 65536',
      () => resampled(weights, 1, 1, 1e300, samples),
    ],
    [
      'resample: phase must be a whole number from 0 to 65536',
      () => resampled(weights, 1, 1, '0' as unknown as number, samples),
    ],
    ['resample: src must be an Int16Array', () => resampled(weights, 1, 1, 0, wrong(bytes))],
    ['resample: rows must have 4 elements, not 6', () => resampled(weights, 4, 1, 0, samples)],
    ['resample: src must have at least 9 elements, not 4', () => resampled(weights, 1, 1, 0, samples)],
    ['peak: src must be an Int16Array', () => tested.peak(wrong(bytes))],
    ['peak: src must be an Int16Array', () => tested.peak(wrong(new Float32Array(4)))],
    ['extremes: src must be an Int16Array', () => tested.extremes(wrong(bytes), 1, samples)],
    ['extremes: dst must be an Int16Array', () => tested.extremes(samples, 2, wrong(new Uint16Array(4)))],
    ['extremes: dst must have 4 elements, not 3', () => tested.extremes(samples, 3, short)],
    ['energies: src must be an Int16Array', () => tested.energies(wrong(null), 1, squares)],
    ['energies: dst must be a Float64Array', () => tested.energies(samples, 2, wrong(new Float32Array(2)))],
    ['energies: dst must have 1 elements, not 2', () => tested.energies(samples, 4, squares)],
    ...[0, -1, 1.5, NaN, 2 ** 22 + 1, 2 ** 32 + 1, Infinity, '3', undefined].map(
      (perBin): [string, () => void] => [
        'energies: perBin must be a whole number from 1 to 4194304',
        () => tested.energies(samples, perBin as number, squares),
      ],
    ),
  ];
}
