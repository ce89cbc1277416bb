import { ReelayError } from '../config/ReelayError.js';

/** A low-pass filter cut into one row of weights per position that an output can have between two inputs. */
export interface PolyphaseFilter {
  /** Outputs per period; the number of rows. */
  readonly up: number;
  /** Inputs per period. */
  readonly down: number;
  /** Inputs on either side of an output that it depends on; a row has twice as many weights. */
  readonly reach: number;
  /** Row after row. */
  readonly rows: Float64Array;
}

/** Zero crossings of the sinc on either side, at the lower rate. Decides the width of the transition band. */
const crossings = 48;

/**
 * Shape of the Kaiser window. 7.86 gives 80 dB of stop-band attenuation (Kaiser 1974: 0.1102 × (80 − 8.7)), and with it
 * a transition band of 0.105 of the lower Nyquist frequency for 96 zero crossings.
 */
const kaiserBeta = 7.86;
const transition = 0.105;

/** Middle of the transition band relative to the lower Nyquist frequency: it ends where images and aliases begin. */
const cutoff = 1 - transition / 2;

/** Keeps a table below 96 × 4096 weights = 3 MiB. Rates that are multiples of 25 Hz up to 102.4 kHz stay below. */
const maxSteps = 4096;

const cached = new Map<string, PolyphaseFilter>();
const maxCached = 16;

/**
 * The filter between two rates; made once per ratio.
 *
 * @throws ReelayError `sample_rate_invalid`
 */
export function polyphaseFilter(fromHz: number, toHz: number): PolyphaseFilter {
  for (const rate of [fromHz, toHz]) {
    if (!Number.isSafeInteger(rate) || rate <= 0) {
      throw new ReelayError('sample_rate_invalid', { value: rate, remedy: 'Give a whole number of Hz.' });
    }
  }
  const { up, down } = stepsOf(fromHz, toHz);
  if (!canResample(fromHz, toHz)) {
    throw new ReelayError('sample_rate_invalid', {
      value: `${fromHz} Hz to ${toHz} Hz`,
      remedy: 'Convert the audio to a common rate, such as 8000, 16000 or 48000 Hz, first.',
    });
  }
  const key = `${up}/${down}`;
  const filter = cached.get(key) ?? makeFilter(up, down);
  if (cached.size >= maxCached) cached.clear();
  cached.set(key, filter);
  return filter;
}

/** Whether there is a filter between these two rates, which are whole and positive. */
export function canResample(fromHz: number, toHz: number): boolean {
  const { up, down } = stepsOf(fromHz, toHz);
  return fromHz === toHz || Math.max(up, down) <= maxSteps;
}

function stepsOf(fromHz: number, toHz: number): Pick<PolyphaseFilter, 'up' | 'down'> {
  const divisor = greatestCommonDivisor(fromHz, toHz);
  return { up: toHz / divisor, down: fromHz / divisor };
}

function makeFilter(up: number, down: number): PolyphaseFilter {
  const scale = Math.min(1, up / down);
  const reach = Math.ceil(crossings / scale);
  const rows = new Float64Array(up * 2 * reach);
  for (let phase = 0; phase < up; phase++) {
    fillRow(rows.subarray(phase * 2 * reach, (phase + 1) * 2 * reach), reach, phase / up, scale);
  }
  return { up, down, reach, rows };
}

/** The weights of one row sum to 1, so that a constant stays exactly what it is. */
function fillRow(row: Float64Array, reach: number, fraction: number, scale: number): void {
  let sum = 0;
  for (let k = 0; k < row.length; k++) {
    const distance = k - (reach - 1) - fraction;
    const weight = sinc(distance * scale * cutoff) * kaiser((distance * scale) / crossings);
    row[k] = weight;
    sum += weight;
  }
  for (let k = 0; k < row.length; k++) row[k] = (row[k] ?? 0) / sum;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** @param x - from the middle (0) to the edge (±1) of the window; beyond it there is nothing */
function kaiser(x: number): number {
  return Math.abs(x) >= 1 ? 0 : bessel0(kaiserBeta * Math.sqrt(1 - x * x)) / bessel0(kaiserBeta);
}

/** Modified Bessel function of the first kind, order 0, by its power series. */
function bessel0(x: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
