import type { Gap } from './Manifest.js';

/**
 * The parts of gaps that lie in `[from, to)`. What was skipped lies between two samples and belongs to the one before it, as far as
 * there is one: whoever holds that says what was left out behind it.
 */
export function gapsBetween(gaps: readonly Gap[], from: number, to: number): Gap[] {
  return gaps.flatMap((gap) => {
    const { startSample, samples, skippedSamples } = gap;
    if (skippedSamples !== undefined) {
      const isIn = (from < startSample && startSample <= to) || (from === 0 && startSample === 0);
      return isIn ? [gap] : [];
    }
    const start = Math.max(startSample, from);
    const end = Math.min(startSample + samples, to);
    return start < end ? [{ ...gap, startSample: start, samples: end - start }] : [];
  });
}

/** By channel and position; what was skipped at a position comes before what is missing from there on. */
export function sortedGaps(gaps: readonly Gap[]): Gap[] {
  return [...gaps].sort(
    (a, b) => a.channel - b.channel || a.startSample - b.startSample || a.samples - b.samples,
  );
}

/** Samples of a channel that were left out at a position up to `sample`, so that the recording is shorter than its call. */
export function skippedUpTo(gaps: readonly Gap[], channel: number, sample: number): number {
  return gaps.reduce(
    (sum, gap) =>
      gap.channel === channel && gap.startSample <= sample ? sum + (gap.skippedSamples ?? 0) : sum,
    0,
  );
}

/** Recorded samples ÷ samples of the call, of one channel; 1 for a call without any. */
export function completenessOf(gaps: readonly Gap[], channel: number, samples: number): number {
  const own = gaps.filter((gap) => gap.channel === channel);
  const call = samples + skippedUpTo(own, channel, samples);
  if (call === 0) return 1;
  const lost = own.reduce((sum, gap) => sum + gap.samples, 0);
  return Math.max(0, (samples - lost) / call);
}

/** Gaps in order, with neighbours of one cause made one: a chunk's edge cuts a gap in two. */
export function joinedGaps(gaps: readonly Gap[]): Gap[] {
  const result: Gap[] = [];
  for (const gap of sortedGaps(gaps)) {
    const last = result.at(-1);
    const continues =
      last?.channel === gap.channel &&
      last.cause === gap.cause &&
      last.skippedSamples === undefined &&
      gap.skippedSamples === undefined &&
      last.startSample + last.samples === gap.startSample;
    if (continues) result[result.length - 1] = { ...last, samples: last.samples + gap.samples };
    else result.push(gap);
  }
  return result;
}

/** Every gap that begins before an earlier one of its channel ends. */
export function overlaps(gaps: readonly Gap[]): Gap[] {
  const ends = new Map<number, number>();
  return sortedGaps(gaps).filter((gap) => {
    const end = ends.get(gap.channel) ?? 0;
    ends.set(gap.channel, Math.max(end, gap.startSample + gap.samples));
    return gap.startSample < end;
  });
}

/** A gap as findings show it. */
export function gapText({ channel, samples, startSample, cause, skippedSamples }: Gap): string {
  const skipped = skippedSamples === undefined ? '' : ` and ${skippedSamples} skipped`;
  return `channel ${channel}: ${samples} samples${skipped} at ${startSample} (${cause})`;
}
