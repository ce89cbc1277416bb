import { kernels } from './kernels.js';

/**
 * Raises the loudest sample so far of each channel.
 *
 * @param peaks - one per channel, 0 to 32768; one or two channels
 * @param pcm - interleaved
 */
export function raisePeaks(peaks: number[], pcm: Int16Array): void {
  if (peaks.length === 1) {
    peaks[0] = Math.max(peaks[0] ?? 0, kernels.peak(pcm));
    return;
  }
  const left = new Int16Array(pcm.length >> 1);
  const right = new Int16Array(pcm.length >> 1);
  kernels.deinterleave(pcm, left, right);
  peaks[0] = Math.max(peaks[0] ?? 0, kernels.peak(left));
  peaks[1] = Math.max(peaks[1] ?? 0, kernels.peak(right));
}
