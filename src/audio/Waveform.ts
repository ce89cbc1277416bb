import { kernels } from './kernels.js';

/** Peaks of all channels, bin by bin, at one resolution. */
export interface WaveformLevel {
  /** Samples per channel in a bin; the last one may be short. */
  readonly samplesPerBin: number;
  /** Per channel the lowest and the highest sample of each bin, one pair after the other. */
  readonly peaks: readonly Int16Array[];
}

export interface WaveformShape {
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
}

/** Of the finest level: 20 ms, a frame of most providers. */
const binsPerSecond = 50;
/** Bins of a level that become one of the next coarser. */
const coarser = 5;
/** 20 ms, 100 ms, 0.5 s, 2.5 s and 12.5 s: an hour is 288 bins of the last. */
const levelCount = 5;

/**
 * The outline of audio that may still grow: how far each channel went up and down in each bin. The finest level is kept, 200 bytes
 * per second and channel; coarser ones are made of it when they are asked for, and are exactly what they would be if they were
 * made of the samples.
 */
export class Waveform {
  readonly sampleRate: number;
  readonly samplesPerBin: number;
  readonly #outlines: readonly Outline[];

  /** @param outlines - of a waveform of this shape, to go on from */
  constructor({ sampleRate, channels }: WaveformShape, outlines?: readonly Outline[]) {
    this.sampleRate = sampleRate;
    this.samplesPerBin = Math.max(1, Math.round(sampleRate / binsPerSecond));
    this.#outlines = outlines ?? Array.from({ length: channels }, () => new Outline(this.samplesPerBin));
  }

  /** Per channel. */
  get samples(): number {
    return this.#outlines[0]?.samples ?? 0;
  }

  get channels(): number {
    return this.#outlines.length;
  }

  /** Memory that it takes, bytes. */
  get bytes(): number {
    return this.#outlines.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** @param pcm - what comes next, one array per channel, of one length */
  push(pcm: readonly Int16Array[]): void {
    this.#outlines.forEach((outline, channel) => outline.push(pcm[channel] ?? new Int16Array(0)));
  }

  /** Another one that grows by itself. */
  copy(): Waveform {
    const { sampleRate, channels } = this;
    return new Waveform(
      { sampleRate, channels },
      this.#outlines.map((outline) => outline.copy()),
    );
  }

  /** All resolutions, the finest first. */
  get levels(): WaveformLevel[] {
    const levels: WaveformLevel[] = [
      { samplesPerBin: this.samplesPerBin, peaks: this.#outlines.map(({ pairs }) => pairs) },
    ];
    while (levels.length < levelCount) levels.push(coarserThan(levels.at(-1)));
    return levels;
  }
}

/** The lowest of some lowest and the highest of some highest samples are the extremes of them all, in any order. */
function coarserThan(finer: WaveformLevel | undefined): WaveformLevel {
  const { samplesPerBin, peaks } = finer ?? { samplesPerBin: 1, peaks: [] };
  return {
    samplesPerBin: samplesPerBin * coarser,
    peaks: peaks.map((pairs) => {
      const fewer = new Int16Array(2 * Math.ceil(pairs.length / 2 / coarser));
      kernels.extremes(pairs, 2 * coarser, fewer);
      return fewer;
    }),
  };
}

/** One channel's bins. */
class Outline {
  readonly #perBin: number;
  #pairs: Int16Array;
  /** Bins that are full, and samples in the one that isn't. */
  #bins = 0;
  #rest: Int16Array;
  #resting = 0;

  constructor(perBin: number) {
    this.#perBin = perBin;
    this.#pairs = new Int16Array(2 * binsPerSecond);
    this.#rest = new Int16Array(perBin);
  }

  get samples(): number {
    return this.#bins * this.#perBin + this.#resting;
  }

  get bytes(): number {
    return this.#pairs.byteLength + this.#rest.byteLength;
  }

  copy(): Outline {
    const copy = new Outline(this.#perBin);
    copy.#pairs = this.#pairs.slice();
    copy.#bins = this.#bins;
    copy.#rest = this.#rest.slice();
    copy.#resting = this.#resting;
    return copy;
  }

  push(pcm: Int16Array): void {
    let at = 0;
    if (this.#resting > 0) {
      at = Math.min(pcm.length, this.#perBin - this.#resting);
      this.#keep(pcm.subarray(0, at));
      if (this.#resting < this.#perBin) return;
      this.#resting = 0;
      this.#add(this.#rest);
    }
    const whole = pcm.length - ((pcm.length - at) % this.#perBin);
    this.#add(pcm.subarray(at, whole));
    this.#keep(pcm.subarray(whole));
  }

  /** A copy, with the bin that isn't full. */
  get pairs(): Int16Array {
    const full = 2 * this.#bins;
    const pairs = new Int16Array(this.#resting > 0 ? full + 2 : full);
    pairs.set(this.#pairs.subarray(0, full));
    kernels.extremes(this.#rest.subarray(0, this.#resting), this.#perBin, pairs.subarray(full));
    return pairs;
  }

  #keep(pcm: Int16Array): void {
    this.#rest.set(pcm, this.#resting);
    this.#resting += pcm.length;
  }

  /** @param pcm - whole bins */
  #add(pcm: Int16Array): void {
    const end = this.#bins + pcm.length / this.#perBin;
    if (2 * end > this.#pairs.length) {
      const larger = new Int16Array(Math.max(2 * end, 2 * this.#pairs.length));
      larger.set(this.#pairs.subarray(0, 2 * this.#bins));
      this.#pairs = larger;
    }
    kernels.extremes(pcm, this.#perBin, this.#pairs.subarray(2 * this.#bins, 2 * end));
    this.#bins = end;
  }
}
