import { kernels } from './kernels.js';

/** Both channels, one behind the other, of whatever is looked at; used again, since every call is asked twice a second. */
let channels = new Int16Array(0);

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
  const samples = pcm.length >> 1;
  if (channels.length < 2 * samples) channels = new Int16Array(2 * samples);
  const [left, right] = [channels.subarray(0, samples), channels.subarray(samples, 2 * samples)];
  kernels.deinterleave(pcm, left, right);
  peaks[0] = Math.max(peaks[0] ?? 0, kernels.peak(left));
  peaks[1] = Math.max(peaks[1] ?? 0, kernels.peak(right));
}
