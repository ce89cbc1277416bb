import type { WaveformLevel } from './documents.js';
import type { TimeWindow } from './TimeWindow.js';

/** The coarsest level that still has a bin for each pixel; the finest where none has. @param levels - the finest first */
export function levelFor(
  levels: readonly WaveformLevel[],
  window: TimeWindow,
  width: number,
): WaveformLevel | undefined {
  const samplesPerPixel = window.length / Math.max(1, width);
  return levels.findLast(({ samplesPerBin }) => samplesPerBin <= samplesPerPixel) ?? levels[0];
}

/**
 * Peaks as they are drawn: for each pixel of a width the lowest and the highest of the bins that touch it, -1 to 1, one pair after the
 * other. Pixels behind the end of what is there are 0.
 *
 * @param pairs - lowest and highest of each bin, -128 to 127
 */
export function foldPeaks(
  pairs: ArrayLike<number>,
  samplesPerBin: number,
  window: TimeWindow,
  width: number,
): Float32Array {
  const folded = new Float32Array(width * 2);
  const bins = pairs.length / 2;
  for (let x = 0; x < width; x++) {
    const from = window.from + (x / width) * window.length;
    const to = window.from + ((x + 1) / width) * window.length;
    const first = Math.floor(from / samplesPerBin);
    const last = Math.min(bins - 1, Math.max(first, Math.ceil(to / samplesPerBin) - 1));
    let [low, high] = [0, 0];
    for (let bin = Math.max(0, first); bin <= last; bin++) {
      low = Math.min(low, pairs[bin * 2] ?? 0);
      high = Math.max(high, pairs[bin * 2 + 1] ?? 0);
    }
    folded[x * 2] = low / 128;
    folded[x * 2 + 1] = high / 128;
  }
  return folded;
}
