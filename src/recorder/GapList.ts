import { gapsBetween } from '../spool/gaps.js';
import type { Gap } from '../spool/Manifest.js';

/**
 * The gaps of what is settled. They are found piece by piece, as often as somebody looks; a gap that goes on where the last
 * piece ended is the same gap, so that what is written down doesn't depend on how often that was.
 */
export class GapList {
  readonly #byChannel: readonly [Gap[], Gap[]] = [[], []];

  constructor(gaps: readonly Gap[] = []) {
    this.add(gaps);
  }

  /** @param gaps - per channel in order, and behind what is there */
  add(gaps: readonly Gap[]): void {
    for (const gap of gaps) {
      const before = this.#byChannel[gap.channel === 0 ? 0 : 1];
      const last = before.at(-1);
      const goesOn = last?.cause === gap.cause && last.startSample + last.samples === gap.startSample;
      if (goesOn) before[before.length - 1] = { ...last, samples: last.samples + gap.samples };
      else before.push(gap);
    }
  }

  /** The parts of gaps that lie in `[from, to)`, sorted by channel and position. */
  within(from: number, to: number): Gap[] {
    return gapsBetween(this.#byChannel.flat(), from, to);
  }
}
