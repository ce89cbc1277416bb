/**
 * What a 20 ms frame costs in each kernel, native against its TypeScript twin: `npm run bench:micro`.
 *
 * Both implementations take turns within one process, so that a slow moment of the machine meets both. A line gives the
 * median over the rounds and, as spread, half the distance between the quartiles.
 */
import { loadNativeKernels, type Kernels } from '../src/audio/kernels.js';
import { polyphaseFilter } from '../src/audio/polyphaseFilter.js';
import { kernelsTypescript } from '../src/audio/kernelsTypescript.js';

/** One frame of 20 ms at 8 kHz, and one that shows the slope: 20 ms at 48 kHz. */
const frameLengths = [160, 960];
const rounds = 301;
/** Short against the time slices of a busy machine, so that most rounds are undisturbed. */
const roundNs = 200_000;

type Work = (kernels: Kernels) => void;

function worksOn(samples: number): [string, Work][] {
  const pcm = Int16Array.from({ length: samples }, (_, n) => Math.round(12_000 * Math.sin(n / 3)));
  const octets = new Uint8Array(samples);
  kernelsTypescript.encodeMulaw(pcm, octets);
  const [linear, other, stereo] = [new Int16Array(samples), pcm.slice(), new Int16Array(2 * samples)];
  const coded = new Uint8Array(samples);
  // To a frame of this length from twice the rate, as a call of 16 kHz is recorded at 8 kHz.
  const { up, down, reach, rows } = polyphaseFilter(16_000, 8000);
  const wide = new Int16Array(2 * (samples + reach));
  // As speech is looked for: bins of 10 ms.
  const [pairs, squares] = [new Int16Array(4), new Float64Array(2)];
  return [
    ['decodeMulaw', (kernels) => kernels.decodeMulaw(octets, linear)],
    ['encodeMulaw', (kernels) => kernels.encodeMulaw(pcm, coded)],
    ['decodeAlaw', (kernels) => kernels.decodeAlaw(octets, linear)],
    ['encodeAlaw', (kernels) => kernels.encodeAlaw(pcm, coded)],
    ['interleave', (kernels) => kernels.interleave(pcm, other, stereo)],
    ['deinterleave', (kernels) => kernels.deinterleave(stereo, linear, other)],
    ['mix', (kernels) => kernels.mix(pcm, other, linear)],
    ['peak', (kernels) => void kernels.peak(pcm)],
    ['resample', (kernels) => kernels.resample(rows, up, down, 0, wide, linear)],
    ['extremes', (kernels) => kernels.extremes(pcm, samples / 2, pairs)],
    ['energies', (kernels) => kernels.energies(pcm, samples / 2, squares)],
  ];
}

/** ns per call over `calls` calls. */
function time(work: Work, kernels: Kernels, calls: number): number {
  const started = process.hrtime.bigint();
  for (let call = 0; call < calls; call++) work(kernels);
  return Number(process.hrtime.bigint() - started) / calls;
}

/** Also the warm-up: doubles the calls until a round is long enough to be timed. */
function callsPerRound(work: Work, kernels: Kernels): number {
  let calls = 8192;
  time(work, kernels, calls);
  calls = 64;
  while (time(work, kernels, calls) * calls < roundNs) calls *= 2;
  return calls;
}

interface Result {
  readonly median: number;
  readonly spread: number;
}

function compare(work: Work, implementations: readonly Kernels[]): Result[] {
  const calls = implementations.map((kernels) => callsPerRound(work, kernels));
  const times = implementations.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    implementations.forEach((kernels, index) => times[index]?.push(time(work, kernels, calls[index] ?? 1)));
  }
  return times.map((all) => summary(all));
}

function summary(times: readonly number[]): Result {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? NaN;
  return { median: at(0.5), spread: (at(0.75) - at(0.25)) / 2 };
}

function cell(result: Result | undefined): string {
  const text =
    result === undefined ? 'not built' : `${result.median.toFixed(0)} ± ${result.spread.toFixed(0)}`;
  return text.padStart(14);
}

function printTable(samples: number, implementations: readonly Kernels[]): void {
  console.log(`\nns per frame of ${samples} samples`);
  console.log(
    `${'kernel'.padEnd(14)}${'TypeScript'.padStart(14)}${'native'.padStart(14)}${'ratio'.padStart(8)}`,
  );
  for (const [name, work] of worksOn(samples)) {
    const [twin, native] = compare(work, implementations);
    const ratio = twin && native ? (twin.median / native.median).toFixed(2) : '';
    console.log(`${name.padEnd(14)}${cell(twin)}${cell(native)}${ratio.padStart(8)}`);
  }
}

const implementations: Kernels[] = [kernelsTypescript];
try {
  implementations.push(loadNativeKernels());
} catch (error) {
  console.log(`The addon is not built: ${error instanceof Error ? error.message : 'unknown error'}`);
}
console.log(
  `Node ${process.version}, ${process.arch}; median of ${rounds} rounds ± half the distance of the quartiles`,
);
for (const samples of frameLengths) printTable(samples, implementations);
