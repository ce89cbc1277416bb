import type { Waveform, WaveformLevel } from '../../audio/Waveform.js';
import type { Manifest } from '../../spool/Manifest.js';

/** Bins of the finest resolution that is given out: more than a screen has points, less than a megabyte. */
const mostBins = 12_000;

/** `waveform.json`. */
export interface WaveformDocument {
  readonly schema: 1;
  readonly recordingId: string;
  /** Of a room: whose peaks these are, where one lane was asked for. */
  readonly lane?: string | undefined;
  readonly state: Manifest['state'];
  /** Hz. */
  readonly sampleRate: number;
  /** Per channel, as far as the recording goes. */
  readonly samples: number;
  readonly channels: Manifest['channels'];
  /** Of a peak: it is in units of 256 of a sample, -128 to 127. */
  readonly bits: 8;
  /** The finest first. */
  readonly levels: readonly {
    readonly samplesPerBin: number;
    readonly bins: number;
    /** Per channel the lowest and the highest of each bin, one pair after the other. */
    readonly peaks: readonly (readonly number[])[];
  }[];
}

/** All resolutions that aren't too fine for a document; the coarsest is there however long the call was. */
export function waveformDocument(
  { recordingId, state, channels }: Pick<Manifest, 'recordingId' | 'state' | 'channels'>,
  waveform: Waveform,
  lane?: string,
): WaveformDocument {
  const levels = waveform.levels.filter(
    (level, at, all) => binsOf(level) <= mostBins || at === all.length - 1,
  );
  return {
    schema: 1,
    recordingId,
    ...(lane === undefined ? {} : { lane }),
    state,
    sampleRate: waveform.sampleRate,
    samples: waveform.samples,
    channels,
    bits: 8,
    levels: levels.map((level) => ({
      samplesPerBin: level.samplesPerBin,
      bins: binsOf(level),
      peaks: level.peaks.map((pairs) => Array.from(pairs, (peak) => peak >> 8)),
    })),
  };
}

/** Head of {@link waveformData}, bytes. */
const dataHeadBytes = 24;
const holdsBytes = 1;

/**
 * One resolution in the form of the BBC's audiowaveform, version 2, which players' waveforms read (`waveform-data.js`): a head
 * of six 32-bit numbers, then for each bin the lowest and the highest byte of each channel.
 *
 * @param samplesPerBin - at least; the next coarser resolution is taken, or the coarsest
 */
export function waveformData(waveform: Waveform, samplesPerBin: number): Buffer {
  const { levels } = waveform;
  const level = levels.find((each) => each.samplesPerBin >= samplesPerBin) ?? levels.at(-1);
  const { peaks = [] } = level ?? {};
  const bins = level === undefined ? 0 : binsOf(level);
  const data = Buffer.alloc(dataHeadBytes + bins * 2 * peaks.length);
  data.writeInt32LE(2, 0);
  data.writeUInt32LE(holdsBytes, 4);
  data.writeInt32LE(waveform.sampleRate, 8);
  data.writeInt32LE(level?.samplesPerBin ?? samplesPerBin, 12);
  data.writeUInt32LE(bins, 16);
  data.writeInt32LE(peaks.length, 20);
  peaks.forEach((pairs, channel) => {
    for (let at = 0; at < pairs.length; at++) {
      const place = (at >> 1) * 2 * peaks.length + 2 * channel + (at & 1);
      data.writeInt8((pairs[at] ?? 0) >> 8, dataHeadBytes + place);
    }
  });
  return data;
}

function binsOf({ peaks }: WaveformLevel): number {
  return (peaks[0]?.length ?? 0) / 2;
}
