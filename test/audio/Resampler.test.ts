import { deserialize, serialize } from 'node:v8';
import fc from 'fast-check';
import t from 'tap';
import { Resampler, type ResamplerState } from '../../src/audio/Resampler.js';

const amplitude = 16_000;

function sine(hz: number, rate: number, samples: number): Int16Array {
  return Int16Array.from({ length: samples }, (_, n) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * hz * n) / rate)),
  );
}

function convert(pcm: Int16Array, from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to);
  return Int16Array.from([...resampler.push(pcm), ...resampler.flush()]);
}

/** Amplitude and phase (radians, of a sine at time 0) at one frequency, over whole periods away from both ends. */
function measure(pcm: Int16Array, hz: number, rate: number): { amplitude: number; phase: number } {
  const from = Math.floor(pcm.length / 4 / rate) * rate || rate / 10;
  const length = Math.floor((pcm.length - 2 * from) / (rate / 10)) * (rate / 10);
  let [inPhase, quadrature] = [0, 0];
  for (let n = from; n < from + length; n++) {
    const angle = (2 * Math.PI * hz * n) / rate;
    inPhase += (pcm[n] ?? 0) * Math.sin(angle);
    quadrature += (pcm[n] ?? 0) * Math.cos(angle);
  }
  return {
    amplitude: (2 * Math.hypot(inPhase, quadrature)) / length,
    phase: Math.atan2(quadrature, inPhase),
  };
}

const decibels = (ratio: number): number => 20 * Math.log10(ratio);

for (const [from, to] of [
  [8000, 16_000],
  [16_000, 8000],
  [8000, 24_000],
  [48_000, 8000],
  [24_000, 16_000],
  [22_050, 8000],
  [8000, 44_100],
] as const) {
  await t.test(`${from} Hz to ${to} Hz keeps a sine's amplitude and position`, (t) => {
    const edge = (0.89 * Math.min(from, to)) / 2;
    for (const hz of [50, 300, 1000, 1990, 3000, 3400, 3500].filter((hz) => hz <= edge)) {
      const output = convert(sine(hz, from, from), from, to);
      t.equal(output.length, to, 'one second');
      const got = measure(output, hz, to);
      t.ok(Math.abs(decibels(got.amplitude / amplitude)) < 0.1, `${hz} Hz: amplitude ${got.amplitude}`);
      t.ok(Math.abs(got.phase) < 0.001, `${hz} Hz: phase ${got.phase}`);
    }
    t.end();
  });
}

await t.test('what would alias is at least 60 dB down', (t) => {
  for (const [from, to, hz] of [
    [16_000, 8000, 4010],
    [16_000, 8000, 4500],
    [16_000, 8000, 6000],
    [16_000, 8000, 7900],
    [48_000, 8000, 4010],
    [48_000, 8000, 23_000],
  ] as const) {
    const output = convert(sine(hz, from, from), from, to);
    const middle = output.subarray(to / 4, (3 * to) / 4);
    const rms = Math.sqrt(middle.reduce((sum, sample) => sum + sample * sample, 0) / middle.length);
    t.ok(decibels((rms * Math.SQRT2) / amplitude) < -60, `${hz} Hz: ${rms} RMS`);
  }
  t.end();
});

await t.test('images are at least 60 dB down', (t) => {
  for (const hz of [500, 1000, 3000, 3500]) {
    const image = measure(convert(sine(hz, 8000, 8000), 8000, 16_000), 8000 - hz, 16_000);
    t.ok(decibels(image.amplitude / amplitude) < -60, `${hz} Hz: ${image.amplitude}`);
  }
  t.end();
});

await t.test('a constant stays the same value, and full scale does not wrap around', (t) => {
  const constant = convert(new Int16Array(4000).fill(12_345), 8000, 24_000).subarray(1000, 11_000);
  t.ok(constant.every((sample) => sample === 12_345));
  const square = Int16Array.from({ length: 4000 }, (_, n) => (n % 40 < 20 ? 32_767 : -32_768));
  const output = convert(square, 8000, 16_000);
  t.ok(
    output.every((sample, n) => n % 80 < 4 || n % 80 > 35 || sample > 20_000),
    'overshoot saturates',
  );
  t.end();
});

await t.test('equal rates pass through bit by bit, in memory of their own', (t) => {
  const pcm = sine(440, 8000, 500);
  const resampler = new Resampler(8000, 8000);
  const output = resampler.push(pcm);
  t.same([...output], [...pcm]);
  t.not(output.buffer, pcm.buffer);
  t.equal(resampler.flush().length, 0);
  t.end();
});

const rates = fc.constantFrom(8000, 11_025, 16_000, 22_050, 24_000, 48_000);
const audio = fc
  .array(fc.integer({ min: -32_768, max: 32_767 }), { maxLength: 900, size: 'max' })
  .map((values) => Int16Array.from(values));
const cuts = fc.array(fc.nat(900), { maxLength: 12 });

/** Cuts audio at these positions, empty pieces included. */
function pieces(pcm: Int16Array, at: readonly number[]): Int16Array[] {
  const bounds = [0, ...at.map((cut) => Math.min(cut, pcm.length)).sort((a, b) => a - b), pcm.length];
  return bounds.slice(1).map((end, index) => pcm.subarray(bounds[index], end));
}

await t.test('the output does not depend on how the input is split, nor on moving the state', (t) => {
  fc.assert(
    fc.property(rates, rates, audio, cuts, (from, to, pcm, at) => {
      const parts: number[] = [];
      let state: ResamplerState | undefined;
      for (const piece of pieces(pcm, at)) {
        const resampler = new Resampler(from, to, state);
        parts.push(...resampler.push(piece));
        state = deserialize(serialize(resampler.state)) as ResamplerState;
      }
      parts.push(...new Resampler(from, to, state).flush());
      t.same(parts, [...convert(pcm, from, to)]);
    }),
    { numRuns: 100 },
  );
  t.end();
});

await t.test('every input sample is worth its share of output samples', (t) => {
  fc.assert(
    fc.property(rates, rates, audio, (from, to, pcm) => {
      t.equal(convert(pcm, from, to).length, Math.ceil((pcm.length * to) / from));
    }),
    { numRuns: 100 },
  );
  t.end();
});

await t.test('after a flush the resampler is as new', (t) => {
  const pcm = sine(700, 16_000, 1234);
  const resampler = new Resampler(16_000, 8000);
  const first = [...resampler.push(pcm), ...resampler.flush()];
  t.same([...resampler.push(pcm), ...resampler.flush()], first);
  t.end();
});

await t.test('rates that cannot be converted are refused', (t) => {
  const refused = { code: 'sample_rate_invalid' };
  t.throws(() => new Resampler(0, 8000), refused);
  t.throws(() => new Resampler(8000, -1), refused);
  t.throws(() => new Resampler(8000.5, 8000), refused);
  t.throws(() => new Resampler(Number.NaN, 8000), refused);
  t.throws(() => new Resampler(8000, 44_101), refused, 'a ratio with too many steps');
  const { state } = new Resampler(8000, 16_000);
  t.throws(() => new Resampler(16_000, 8000, state), refused, 'a state of other rates');
  t.end();
});
