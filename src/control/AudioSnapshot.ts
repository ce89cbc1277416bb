import { open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  maxDataBytes,
  readWavHeader,
  wavHeader,
  wavHeaderBytes,
  type WavShape,
  wholeWavHeader,
} from '../audio/wav.js';
import { chunkName, openChunkName } from '../spool/layout.js';
import type { Manifest, Sidecar } from '../spool/Manifest.js';
import { ChunkedPcm, type Piece, sealedPieces, type Whereabouts, withHeader } from '../storage/ChunkedPcm.js';
import type { ByteRange } from '../storage/ObjectStore.js';
import { readSpooled, type SpooledRecording } from '../storage/SpooledRecording.js';

export type { Whereabouts };

type Format = Pick<WavShape, 'sampleRate' | 'channels'>;

/** How often a folder is looked into whose growing chunk is sealed in the same moment. */
const looks = 5;

/**
 * A recording's audio as it was at one moment: a WAV of fixed length over all chunks and what the growing one held, RF64 where it
 * has to be. Later audio is in later snapshots. Whatever objects the recording became, the bytes are the same: the header is
 * made here, and the audio behind it comes from wherever it lies by then.
 */
export class AudioSnapshot {
  /** Per channel. */
  readonly samples: number;
  /** Size of the WAV. */
  readonly bytes: number;
  readonly #pcm: ChunkedPcm;
  readonly #header: Uint8Array;

  /** @param pieces - each begins where the one before it ends */
  constructor(where: Whereabouts, { sampleRate, channels }: Format, pieces: readonly Piece[]) {
    this.#pcm = new ChunkedPcm(where, channels, pieces);
    this.samples = this.#pcm.bytes / (channels * 2);
    const isLong = this.#pcm.bytes > maxDataBytes;
    this.#header = (isLong ? wholeWavHeader : wavHeader)({ sampleRate, channels, samples: this.samples });
    this.bytes = this.#header.length + this.#pcm.bytes;
  }

  /** @param manifest - of the store, for a recording that has left the spool */
  static async take(where: Whereabouts, manifest: Manifest): Promise<AudioSnapshot> {
    for (let look = 1; ; look++) {
      const spooled = await readSpooled(where.spoolDir, where.folder);
      try {
        return await snapshotOf(where, spooled, spooled?.manifest ?? manifest);
      } catch (error) {
        // A growing chunk was sealed between listing the folder and opening it.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || look === looks) throw error;
      }
    }
  }

  /**
   * One chunk as its sidecar describes it: the same bytes, also when it has no object of its own.
   *
   * @throws ReelayError `wav_too_long` for a sidecar that no chunk can have
   */
  static ofChunk(
    where: Whereabouts,
    sidecar: Pick<Sidecar, 'index' | 'startSample' | 'samples' | 'sampleRate' | 'channels'>,
  ): AudioSnapshot {
    const { index, startSample, samples, sampleRate, channels } = sidecar;
    const format = { sampleRate, channels: channels.length };
    return new AudioSnapshot(where, format, [{ index, startSample, samples }]);
  }

  /**
   * The WAV's bytes.
   *
   * @throws ReelayError `chunk_missing` when a piece of them is nowhere, or too short; the store's own error
   */
  read(range: ByteRange): AsyncGenerator<Uint8Array> {
    return withHeader(this.#header, this.#pcm, range);
  }
}

async function snapshotOf(
  where: Whereabouts,
  spooled: SpooledRecording | undefined,
  manifest: Manifest,
): Promise<AudioSnapshot> {
  const pieces = sealedPieces(spooled, manifest);
  let format: Format = { sampleRate: manifest.sampleRate, channels: manifest.channels.length };
  const chunkSamples = Math.round(manifest.chunkSeconds * manifest.sampleRate);
  for (let index = pieces.length; spooled !== undefined; index++) {
    const name = growingName(spooled, index);
    if (name === undefined) break;
    const grown = await readGrowing(join(spooled.path, name));
    if (index === 0) format = grown.format;
    const samples = Math.min(grown.samples, chunkSamples);
    pieces.push({ index, startSample: endOf(pieces), samples, isGrowing: true });
    if (grown.samples < chunkSamples) break;
  }
  const wholes = [...(spooled?.note.audio ?? []), ...(manifest.audio ?? [])];
  const audioKey = wholes.find((audio) => audio.format === 'wav')?.key;
  return new AudioSnapshot({ ...where, audioKey }, format, pieces);
}

function endOf(pieces: readonly Piece[]): number {
  const last = pieces.at(-1);
  return last === undefined ? 0 : last.startSample + last.samples;
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
