/** Louder than this somebody speaks, peak. */
const loud = 1500;
/** So long nobody must have, ms. */
const quietMs = 150;

/** Finds where sound begins after a silence. */
export class Onsets {
  readonly #quietSamples: number;
  #since = Infinity;

  /** @param rate - Hz */
  constructor(rate: number) {
    this.#quietSamples = (quietMs * rate) / 1000;
  }

  /** @returns the first sample, of those that are given, of a sound that begins there; null: none does */
  hear(samples: Int16Array): number | null {
    let found: number | null = null;
    for (const [index, sample] of samples.entries()) {
      if (Math.abs(sample) < loud) {
        this.#since++;
        continue;
      }
      if (this.#since >= this.#quietSamples) found ??= index;
      this.#since = 0;
    }
    return found;
  }
}
