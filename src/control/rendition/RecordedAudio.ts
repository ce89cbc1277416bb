import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { samplesOf } from '../../audio/pcm.js';
import { readWavHeader, wavHeaderBytes, type WavShape } from '../../audio/wav.js';
import { chunkName, openChunkName } from '../../spool/layout.js';
import type { Manifest, Sidecar } from '../../spool/Manifest.js';
import { ownWav } from '../../spool/ownAudio.js';
import { ChunkedPcm, type Piece, sealedPieces, type Whereabouts } from '../../storage/ChunkedPcm.js';
import { readSpooled, type SpooledRecording } from '../../storage/SpooledRecording.js';

type Format = Pick<WavShape, 'sampleRate' | 'channels'>;

/** A stretch of a recording, in samples per channel; `end` is the first one behind it. */
export interface SampleRange {
  readonly start: number;
  readonly end: number;
}

/** How often a folder is looked into whose growing chunk is sealed in the same moment. */
const looks = 5;

/**
 * The samples of a recording as far as they went at one moment: every sealed chunk, and what the growing one held. A gap is the
 * silence that was recorded in its place. Nothing is copied or held: what is read comes from wherever it lies by then.
 */
export class RecordedAudio {
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
  /** Per channel. */
  readonly samples: number;
  /** As many of them are in sealed chunks and will never change; what is behind them may be amended. */
  readonly sealedSamples: number;
  /** All of it as bytes, interleaved PCM16. */
  readonly pcm: ChunkedPcm;

  /** @param pieces - each begins where the one before it ends */
  constructor(where: Whereabouts, { sampleRate, channels }: Format, pieces: readonly Piece[]) {
    this.pcm = new ChunkedPcm(where, channels, pieces);
    this.sampleRate = sampleRate;
    this.channels = channels;
    this.samples = samplesIn(pieces);
    this.sealedSamples = samplesIn(pieces.filter(({ isGrowing }) => isGrowing !== true));
  }

  /**
   * @param manifest - of the store, for a recording that has left the spool
   * @param lane - of a room: one of its lanes alone, as long as the recording; default: all that there is
   */
  static async take(where: Whereabouts, manifest: Manifest, lane?: string): Promise<RecordedAudio> {
    for (let look = 1; ; look++) {
      const spooled = await readSpooled(where.spoolDir, where.folder);
      try {
        return await audioOf(where, spooled, spooled?.manifest ?? manifest, lane);
      } catch (error) {
        // A growing chunk was sealed between listing the folder and opening it.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || look === looks) throw error;
      }
    }
  }

  /**
   * One chunk as its sidecar describes it.
   *
   * @param lane - the same of one lane that the sidecar lists
   */
  static ofChunk(
    where: Whereabouts,
    sidecar: Pick<Sidecar, 'index' | 'startSample' | 'samples' | 'sampleRate' | 'channels'>,
    lane?: string,
  ): RecordedAudio {
    const { index, startSample, samples, sampleRate, channels } = sidecar;
    const format = { sampleRate, channels: lane === undefined ? channels.length : 1 };
    return new RecordedAudio(where, format, [{ index, startSample, samples, lane }]);
  }

  /**
   * Interleaved samples in pieces of some ten thousand, each of whole samples of all channels.
   *
   * @throws ReelayError `chunk_missing` when a piece of them is nowhere, or too short; the store's own error
   */
  async *read({ start, end }: SampleRange): AsyncGenerator<Int16Array> {
    if (end <= start) return;
    const block = this.channels * 2;
    let rest = Buffer.alloc(0);
    for await (const piece of this.pcm.read({ start: start * block, end: end * block - 1 })) {
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      const whole = bytes.length - (bytes.length % block);
      if (whole > 0) yield samplesOf(bytes.subarray(0, whole));
      // Copied, because the piece's memory is its source's.
      rest = Buffer.from(bytes.subarray(whole));
    }
  }
}

function samplesIn(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { samples }) => sum + samples, 0);
}

async function audioOf(
  where: Whereabouts,
  spooled: SpooledRecording | undefined,
  manifest: Manifest,
  lane?: string,
): Promise<RecordedAudio> {
  const pieces = sealedPieces(spooled, manifest, lane);
  let format: Format = { sampleRate: manifest.sampleRate, channels: manifest.channels.length };
  const chunkSamples = Math.round(manifest.chunkSeconds * manifest.sampleRate);
  for (let index = pieces.length; spooled !== undefined; index++) {
    const name = growingName(spooled, index);
    if (name === undefined) break;
    const grown = await readGrowing(join(spooled.path, name));
    if (index === 0) format = grown.format;
    const samples = Math.min(grown.samples, chunkSamples);
    const hasFile = [spooled.laneWavs, spooled.openLanes].some((each) => each.get(index)?.has(lane ?? ''));
    const isSilent = lane !== undefined && !hasFile;
    pieces.push({ index, startSample: samplesIn(pieces), samples, isGrowing: true, lane, isSilent });
    if (grown.samples < chunkSamples) break;
  }
  // All lanes are alike.
  if (lane !== undefined) format = { sampleRate: format.sampleRate, channels: 1 };
  const audio = [...(spooled?.note.audio ?? []), ...(manifest.audio ?? [])];
  const audioKey = ownWav({ ...manifest, audio })?.key;
  return new RecordedAudio({ ...where, audioKey }, format, pieces);
}

/** A chunk without a sidecar: it grows, or has been renamed and its sidecar comes in a moment. */
function growingName({ open: growing, wavs }: SpooledRecording, index: number): string | undefined {
  if (growing.has(index)) return openChunkName(index);
  return wavs.has(index) ? chunkName(index) : undefined;
}

/** What the header of a growing chunk says, as far as the file bears it out. */
async function readGrowing(path: string): Promise<{ format: Format; samples: number }> {
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array(wavHeaderBytes);
    await file.read(bytes, 0, wavHeaderBytes, 0);
    const { sampleRate, channels, dataBytes } = readWavHeader(bytes);
    const { size } = await file.stat();
    const audio = Math.max(0, Math.min(dataBytes, size - wavHeaderBytes));
    return { format: { sampleRate, channels }, samples: Math.floor(audio / (channels * 2)) };
  } finally {
    await file.close();
  }
}
