import { loadAddon } from '../config/nativeAddon.js';
import { kernelsTypescript } from './kernelsTypescript.js';

/**
 * The loops over samples, in two implementations with identical results: the addon of native/ and its TypeScript twin.
 *
 * Arrays may be views at any offset, also into shared memory, and may overlap: each kernel reads and writes in ascending
 * order. Lengths must fit exactly. Every kernel throws a TypeError when an argument has the wrong type or length, and then
 * has written nothing. None allocates.
 */
export interface Kernels {
  /** ITU-T G.711 mu-law to linear PCM, one octet per sample. */
  decodeMulaw(src: Uint8Array, dst: Int16Array): void;
  /** Linear PCM to ITU-T G.711 mu-law; the sample 0 becomes 0xff. */
  encodeMulaw(src: Int16Array, dst: Uint8Array): void;
  /** ITU-T G.711 A-law (even bits inverted, as on the wire) to linear PCM. */
  decodeAlaw(src: Uint8Array, dst: Int16Array): void;
  /** Linear PCM to ITU-T G.711 A-law; the sample 0 becomes 0xd5. */
  encodeAlaw(src: Int16Array, dst: Uint8Array): void;
  /** `dst` has twice the length of each channel. */
  interleave(left: Int16Array, right: Int16Array, dst: Int16Array): void;
  /** `src` has twice the length of each channel. */
  deinterleave(src: Int16Array, left: Int16Array, right: Int16Array): void;
  /** Sum, saturating at -32768 and 32767. `dst` may be `a` or `b`. */
  mix(a: Int16Array, b: Int16Array, dst: Int16Array): void;
  /**
   * One output of a polyphase filter for each element of `dst`: output n is input `src[⌊(phase + n × down) ÷ up⌋…]` weighed with
   * the row of which the remainder is the number, rounded, halves up, and saturating.
   *
   * @param rows - `up` rows of weights, each as long as the filter
   * @param up - 1 to 65536, as `down`; `phase` may be 0
   * @param src - from the first input of the first output to the last one of the last; may be longer
   */
  resample(
    rows: Float64Array,
    up: number,
    down: number,
    phase: number,
    src: Int16Array,
    dst: Int16Array,
  ): void;
  /** Largest magnitude, 0 to 32768; 0 of an empty array. */
  peak(src: Int16Array): number;
  /**
   * Lowest and highest sample of each bin, one pair after the other: `dst` has two elements for each bin, of which there are
   * ceil(samples ÷ perBin). The last bin may be short. `dst` may not overlap `src`.
   *
   * @param perBin - samples, 1 to 2^22
   */
  extremes(src: Int16Array, perBin: number, dst: Int16Array): void;
  /**
   * Mean square of each bin, 0 to 2^30: `dst` has one element for each bin, of which there are ceil(samples ÷ perBin). The last
   * bin may be short, and its mean is that of the samples it has.
   *
   * @param perBin - samples, 1 to 2^22: so many squares have a sum that a binary64 number holds exactly, in any order
   */
  energies(src: Int16Array, perBin: number, dst: Float64Array): void;
}

/**
 * The addon's kernels.
 *
 * @throws Error when the addon isn't built, or was built for another machine
 */
export function loadNativeKernels(): Kernels {
  const addon = loadAddon();
  const absent = Object.keys(kernelsTypescript).filter((name) => !(name in addon));
  if (absent.length > 0) throw new Error(`the addon lacks ${absent.join(', ')}; build it again`);
  return addon as unknown as Kernels;
}

interface Choice {
  readonly kernels: Kernels;
  readonly implementation: 'native' | 'typescript';
  readonly reason: string;
}

function choose(): Choice {
  const twin = { kernels: kernelsTypescript, implementation: 'typescript' } as const;
  if (process.env['REELAY_KERNELS'] === 'typescript') return { ...twin, reason: 'REELAY_KERNELS=typescript' };
  try {
    return { kernels: loadNativeKernels(), implementation: 'native', reason: 'the addon is built' };
  } catch (error) {
    return { ...twin, reason: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error) };
  }
}

const choice = choose();

export const kernels: Kernels = choice.kernels;
export const implementation: 'native' | 'typescript' = choice.implementation;
/** Why this implementation was chosen, for the line that the daemon logs at its start. */
export const implementationReason: string = choice.reason;
