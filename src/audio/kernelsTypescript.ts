import type { Kernels } from './kernels.js';

/*
 * The kernels in TypeScript: the twin of native/kernels.cpp, with the same results and the same error texts. G.711 codes
 * depend on the upper 14 (mu-law) and 12 (A-law) bits of a sample only, so each direction is one look-up in a small table.
 */

/** Segment of a magnitude of at least `1 << first`, counted from 0, and the 4 bits that follow its leading one. */
function floatingCode(magnitude: number, first: number): number {
  const exponent = 31 - Math.clz32(magnitude);
  return ((exponent - first) << 4) | ((magnitude >> (exponent - 4)) & 15);
}

/** Negative samples are folded by one's complement, as in the reference software ITU-T G.191 (module g711). */
function fold(sample: number): number {
  return sample < 0 ? ~sample : sample;
}

function mulawOf(sample: number): number {
  const magnitude = Math.min(fold(sample) + 132, 32_767);
  return ~(floatingCode(magnitude, 7) | (sample < 0 ? 0x80 : 0)) & 0xff;
}

function alawOf(sample: number): number {
  const magnitude = fold(sample) >> 4;
  const code = magnitude < 16 ? magnitude : floatingCode(magnitude, 3);
  return (code | (sample < 0 ? 0 : 0x80)) ^ 0x55;
}

function linearOfMulaw(octet: number): number {
  const code = ~octet & 0xff;
  const magnitude = ((((code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132;
  return (code & 0x80) === 0 ? magnitude : -magnitude;
}

function linearOfAlaw(octet: number): number {
  const code = octet ^ 0x55;
  const exponent = (code >> 4) & 7;
  const step = ((code & 15) << 4) + 8;
  const magnitude = exponent === 0 ? step : (step + 256) << (exponent - 1);
  return (code & 0x80) === 0 ? -magnitude : magnitude;
}

const mulawExpansion = Int16Array.from({ length: 256 }, (_, octet) => linearOfMulaw(octet));
const alawExpansion = Int16Array.from({ length: 256 }, (_, octet) => linearOfAlaw(octet));

/** A table over all samples, indexed by the sample's upper `16 - shift` bits as an unsigned number. */
function compressionTable(shift: number, codeOf: (sample: number) => number): Uint8Array {
  const signShift = 16 + shift;
  return Uint8Array.from({ length: 0x1_0000 >> shift }, (_, index) => codeOf((index << signShift) >> 16));
}
const mulawCompression = compressionTable(2, mulawOf);
const alawCompression = compressionTable(4, alawOf);

type Checked<T> = (value: T, kernel: string, name: string) => void;

const needBytes: Checked<Uint8Array> = (value, kernel, name) => {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${kernel}: ${name} must be a Uint8Array`);
};

const needSamples: Checked<Int16Array> = (value, kernel, name) => {
  if (!(value instanceof Int16Array)) throw new TypeError(`${kernel}: ${name} must be an Int16Array`);
};

const needSquares: Checked<Float64Array> = (value, kernel, name) => {
  if (!(value instanceof Float64Array)) throw new TypeError(`${kernel}: ${name} must be a Float64Array`);
};

/** A bin of so many full-scale squares has a sum of 2^52, which is exact. */
const mostPerBin = 2 ** 22;

/** @returns how many bins there are */
function needBins(kernel: string, samples: number, perBin: unknown): number {
  if (typeof perBin === 'number' && Number.isInteger(perBin) && perBin >= 1 && perBin <= mostPerBin)
    return Math.ceil(samples / perBin);
  throw new TypeError(`${kernel}: perBin must be a whole number from 1 to ${mostPerBin}`);
}

function needLength(kernel: string, name: string, actual: number, expected: number): void {
  if (actual === expected) return;
  throw new TypeError(`${kernel}: ${name} must have ${expected} elements, not ${actual}`);
}

const needWeights: Checked<Float64Array> = (value, kernel, name) => {
  if (!(value instanceof Float64Array)) throw new TypeError(`${kernel}: ${name} must be a Float64Array`);
};

/** So small that no product of two of them and a length is too large to be exact. */
const mostCount = 65_536;

function needCount(value: number, least: number, kernel: string, name: string): void {
  if (Number.isInteger(value) && value >= least && value <= mostCount) return;
  throw new TypeError(`${kernel}: ${name} must be a whole number from ${least} to ${mostCount}`);
}

/**
 * The sum has an order, since that decides its last bits: eight of them, of every eighth product, added up in halves, and then the
 * products that are left.
 */
function convolve(rows: Float64Array, row: number, src: Int16Array, start: number, taps: number): number {
  const product = (k: number): number => (rows[row + k] ?? 0) * (src[start + k] ?? 0);
  let [sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7] = [0, 0, 0, 0, 0, 0, 0, 0];
  let k = 0;
  for (; k + 8 <= taps; k += 8) {
    sum0 += product(k);
    sum1 += product(k + 1);
    sum2 += product(k + 2);
    sum3 += product(k + 3);
    sum4 += product(k + 4);
    sum5 += product(k + 5);
    sum6 += product(k + 6);
    sum7 += product(k + 7);
  }
  let sum = sum0 + sum4 + (sum2 + sum6) + (sum1 + sum5 + (sum3 + sum7));
  for (; k < taps; k++) sum += product(k);
  return sum;
}

function expand(table: Int16Array, src: Uint8Array, dst: Int16Array): void {
  for (let i = 0; i < src.length; i++) dst[i] = table[src[i] ?? 0] ?? 0;
}

/* All parameters are typed, but callers are not always: what the types promise is checked, as the addon has to. */
export const kernelsTypescript: Kernels = {
  decodeMulaw(src, dst) {
    needBytes(src, 'decodeMulaw', 'src');
    needSamples(dst, 'decodeMulaw', 'dst');
    needLength('decodeMulaw', 'dst', dst.length, src.length);
    expand(mulawExpansion, src, dst);
  },

  encodeMulaw(src, dst) {
    needSamples(src, 'encodeMulaw', 'src');
    needBytes(dst, 'encodeMulaw', 'dst');
    needLength('encodeMulaw', 'dst', dst.length, src.length);
    for (let i = 0; i < src.length; i++) dst[i] = mulawCompression[((src[i] ?? 0) & 0xffff) >> 2] ?? 0;
  },

  decodeAlaw(src, dst) {
    needBytes(src, 'decodeAlaw', 'src');
    needSamples(dst, 'decodeAlaw', 'dst');
    needLength('decodeAlaw', 'dst', dst.length, src.length);
    expand(alawExpansion, src, dst);
  },

  encodeAlaw(src, dst) {
    needSamples(src, 'encodeAlaw', 'src');
    needBytes(dst, 'encodeAlaw', 'dst');
    needLength('encodeAlaw', 'dst', dst.length, src.length);
    for (let i = 0; i < src.length; i++) dst[i] = alawCompression[((src[i] ?? 0) & 0xffff) >> 4] ?? 0;
  },

  interleave(left, right, dst) {
    needSamples(left, 'interleave', 'left');
    needSamples(right, 'interleave', 'right');
    needSamples(dst, 'interleave', 'dst');
    needLength('interleave', 'right', right.length, left.length);
    needLength('interleave', 'dst', dst.length, 2 * left.length);
    for (let i = 0; i < left.length; i++) {
      dst[2 * i] = left[i] ?? 0;
      dst[2 * i + 1] = right[i] ?? 0;
    }
  },

  deinterleave(src, left, right) {
    needSamples(src, 'deinterleave', 'src');
    needSamples(left, 'deinterleave', 'left');
    needSamples(right, 'deinterleave', 'right');
    needLength('deinterleave', 'right', right.length, left.length);
    needLength('deinterleave', 'src', src.length, 2 * left.length);
    for (let i = 0; i < left.length; i++) {
      left[i] = src[2 * i] ?? 0;
      right[i] = src[2 * i + 1] ?? 0;
    }
  },

  mix(a, b, dst) {
    needSamples(a, 'mix', 'a');
    needSamples(b, 'mix', 'b');
    needSamples(dst, 'mix', 'dst');
    needLength('mix', 'b', b.length, a.length);
    needLength('mix', 'dst', dst.length, a.length);
    for (let i = 0; i < a.length; i++) {
      const sum = (a[i] ?? 0) + (b[i] ?? 0);
      dst[i] = sum > 32_767 ? 32_767 : sum < -32_768 ? -32_768 : sum;
    }
  },

  resample(rows, up, down, phase, src, dst) {
    needWeights(rows, 'resample', 'rows');
    needCount(up, 1, 'resample', 'up');
    needCount(down, 1, 'resample', 'down');
    needCount(phase, 0, 'resample', 'phase');
    needSamples(src, 'resample', 'src');
    needSamples(dst, 'resample', 'dst');
    const taps = Math.floor(rows.length / up);
    needLength('resample', 'rows', rows.length, taps * up);
    const least = dst.length === 0 ? 0 : Math.floor((phase + (dst.length - 1) * down) / up) + taps;
    if (src.length < least)
      throw new TypeError(`resample: src must have at least ${least} elements, not ${src.length}`);
    for (let n = 0, position = phase; n < dst.length; n++, position += down) {
      const sum = convolve(rows, (position % up) * taps, src, Math.floor(position / up), taps);
      dst[n] = Math.max(-32_768, Math.min(32_767, Math.round(sum)));
    }
  },

  peak(src) {
    needSamples(src, 'peak', 'src');
    let largest = 0;
    // Downwards with an index: an iterator over the samples takes several times as long.
    for (let i = src.length - 1; i >= 0; i--) {
      const sample = src[i] ?? 0;
      const magnitude = sample < 0 ? -sample : sample;
      if (magnitude > largest) largest = magnitude;
    }
    return largest;
  },

  extremes(src, perBin, dst) {
    needSamples(src, 'extremes', 'src');
    const bins = needBins('extremes', src.length, perBin);
    needSamples(dst, 'extremes', 'dst');
    needLength('extremes', 'dst', dst.length, 2 * bins);
    for (let bin = 0; bin < bins; bin++) {
      const start = bin * perBin;
      const end = Math.min(start + perBin, src.length);
      let lowest = src[start] ?? 0;
      let highest = lowest;
      for (let i = start + 1; i < end; i++) {
        const sample = src[i] ?? 0;
        if (sample < lowest) lowest = sample;
        if (sample > highest) highest = sample;
      }
      dst[2 * bin] = lowest;
      dst[2 * bin + 1] = highest;
    }
  },

  energies(src, perBin, dst) {
    needSamples(src, 'energies', 'src');
    const bins = needBins('energies', src.length, perBin);
    needSquares(dst, 'energies', 'dst');
    needLength('energies', 'dst', dst.length, bins);
    for (let bin = 0; bin < bins; bin++) {
      const start = bin * perBin;
      const end = Math.min(start + perBin, src.length);
      let sum = 0;
      for (let i = start; i < end; i++) sum += (src[i] ?? 0) ** 2;
      dst[bin] = sum / (end - start);
    }
  },
};
