import type { WaveformLevel } from './documents.js';

/**
 * One resolution out of `waveform.dat`: version 2 of audiowaveform's format, six numbers of 32 bits and then for each bin the lowest and the
 * highest byte of each channel (https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md).
 *
 * @returns undefined for anything else
 */
export function readWaveformData(data: ArrayBuffer): WaveformLevel | undefined {
  if (data.byteLength < 24) return undefined;
  const head = new DataView(data);
  const [version, flags] = [head.getInt32(0, true), head.getUint32(4, true)];
  const [samplesPerBin, bins, channels] = [
    head.getInt32(12, true),
    head.getUint32(16, true),
    head.getInt32(20, true),
  ];
  if (version !== 2 || flags !== 1 || data.byteLength < 24 + bins * channels * 2) return undefined;
  const bytes = new Int8Array(data, 24);
  const peaks = Array.from({ length: channels }, (_, channel) => {
    const pairs = new Int8Array(bins * 2);
    for (let bin = 0; bin < bins; bin++) {
      pairs[bin * 2] = bytes[(bin * channels + channel) * 2] ?? 0;
      pairs[bin * 2 + 1] = bytes[(bin * channels + channel) * 2 + 1] ?? 0;
    }
    return pairs;
  });
  return { samplesPerBin, bins, peaks };
}
