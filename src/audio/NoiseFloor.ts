import { meanSquareOf } from './Decibels.js';

/*
 * How loud a line is when nobody speaks, by minimum statistics (R. Martin, "Noise power spectral density estimation based on
 * optimal smoothing and minimum statistics", 2001), here of the whole band: whoever talks also pauses, so the lowest power of the
 * last seconds is the noise's. It is followed up after a few seconds, and down at once.
 */

/** Powers are averaged over about so many frames of 10 ms, else the lowest would be far below the noise's mean. */
const smoothing = 8;
/** Frames in each part of the window, and parts: 12 × 250 ms. A breath or a pause between words comes at least every 3 s. */
const framesPerPart = 25;
const parts = 12;

/** Before anything was heard, dBFS; louder than a telephone line's noise as a rule, so that speech from the first sample is found. */
const assumed = meanSquareOf(-45);
/** Below this there is no noise worth the name, and a steady tone is not taken for noise above that. */
const lowest = meanSquareOf(-59);
const highest = meanSquareOf(-36);

/** The power of the noise of one channel, from frame to frame. */
export class NoiseFloor {
  #smoothed: number | null = null;
  #part = Infinity;
  #inPart = 0;
  #minima: number[] = Array.from({ length: parts }, () => assumed);

  /** Mean square of a sample, as of the frames so far. */
  get power(): number {
    const least = Math.min(this.#part, ...this.#minima);
    return Math.min(highest, Math.max(lowest, least));
  }

  /**
   * Hears a frame of 10 ms. One without any sound is where nothing was recorded, and says nothing about the line.
   *
   * @param power - mean square of its samples
   */
  hear(power: number): void {
    if (power === 0) return;
    this.#smoothed = this.#smoothed === null ? power : this.#smoothed + (power - this.#smoothed) / smoothing;
    this.#part = Math.min(this.#part, this.#smoothed);
    if (++this.#inPart < framesPerPart) return;
    this.#minima = [...this.#minima.slice(1), this.#part];
    this.#part = Infinity;
    this.#inPart = 0;
  }

  /** Another one that goes on by itself. */
  copy(): NoiseFloor {
    const copy = new NoiseFloor();
    copy.#smoothed = this.#smoothed;
    copy.#part = this.#part;
    copy.#inPart = this.#inPart;
    copy.#minima = [...this.#minima];
    return copy;
  }
}
