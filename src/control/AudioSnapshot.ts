import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readWavHeader, wavHeader, wavHeaderBytes } from '../audio/wav.js';
import { ReelayError } from '../config/ReelayError.js';
import { chunkName, openChunkName } from '../spool/layout.js';
import type { Manifest } from '../spool/Manifest.js';
import type { ObjectStore } from '../storage/ObjectStore.js';
import { chunkKey, readSpooled, type SpooledRecording } from '../storage/SpooledRecording.js';

/** Where a recording's files may be: in the spool, in the store, or on their way from one to the other. */
export interface Whereabouts {
  readonly spoolDir: string;
  readonly folder: string;
  /** Asked anew at each read, because the configuration may change meanwhile. */
  readonly store: () => ObjectStore | null;
}

/** A stretch of the recording that one file holds. */
interface Part {
  readonly index: number;
  /** Per channel. */
  readonly samples: number;
}

interface Format {
  readonly sampleRate: number;
  readonly channels: number;
}

/** How often a file is looked for that is being moved while it is asked for, and the ms between. */
const looks = 5;
const lookAgainMs = 20;

/**
 * A recording's audio as it was at one moment: a WAV of fixed length over all chunks and what the growing one held. Later audio
 * is in later snapshots. Nothing is copied; a read opens the chunks one after the other, wherever they lie by then.
 */
export class AudioSnapshot {
  readonly format: Format;
  /** Per channel. */
  readonly samples: number;
  /** Size of the WAV. */
  readonly bytes: number;
  readonly #where: Whereabouts;
  readonly #parts: readonly Part[];
  readonly #header: Uint8Array;

  private constructor(where: Whereabouts, format: Format, parts: readonly Part[]) {
    this.#where = where;
    this.#parts = parts;
    this.format = format;
    this.samples = parts.reduce((sum, { samples }) => sum + samples, 0);
    this.#header = wavHeader({ ...format, samples: this.samples });
    this.bytes = wavHeaderBytes + this.samples * format.channels * 2;
  }

  /**
   * @param manifest - of the store, for a recording that has left the spool
   * @throws ReelayError `wav_too_long` for a recording beyond 4 GiB
   */
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

  /** @internal */
  static of(where: Whereabouts, format: Format, parts: readonly Part[]): AudioSnapshot {
    return new AudioSnapshot(where, format, parts);
  }

  /** The WAV's bytes from `start` to `end`, both included. */
  async *read({ start, end }: { readonly start: number; readonly end: number }): AsyncGenerator<Uint8Array> {
    if (start < wavHeaderBytes) yield this.#header.subarray(start, Math.min(end + 1, wavHeaderBytes));
    const block = this.format.channels * 2;
    let from = wavHeaderBytes;
    for (const { index, samples } of this.#parts) {
      const to = from + samples * block;
      const first = Math.max(start, from) - from;
      const last = Math.min(end + 1, to) - from;
      if (first < last)
        yield* readPart(this.#where, index, wavHeaderBytes + first, wavHeaderBytes + last - 1);
      from = to;
    }
  }
}

/** Bytes of a chunk's file, from wherever it is. @throws ReelayError `chunk_missing` when it is nowhere, or too short */
export async function* readPart(
  where: Whereabouts,
  index: number,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let missing = end + 1 - start;
  for await (const piece of await openPart(where, index, start, end)) {
    missing -= piece.length;
    yield piece;
  }
  if (missing > 0) throw gone(where, index);
}

async function openPart(
  { spoolDir, folder, store }: Whereabouts,
  index: number,
  start: number,
  end: number,
): Promise<AsyncIterable<Uint8Array>> {
  for (let look = 1; look <= looks; look++) {
    for (const name of [chunkName(index), openChunkName(index)]) {
      const file = await openIfThere(join(spoolDir, folder, name));
      if (file !== undefined) return file.createReadStream({ start, end, highWaterMark: 256 * 1024 });
    }
    const stored = await store()?.read(chunkKey(folder, index), { start, end }).catch(unlessMissing);
    if (stored !== undefined) return stored as AsyncIterable<Uint8Array>;
    await sleep(lookAgainMs);
  }
  throw gone({ spoolDir, folder, store }, index);
}

async function snapshotOf(
  where: Whereabouts,
  spooled: SpooledRecording | undefined,
  manifest: Manifest,
): Promise<AudioSnapshot> {
  const parts = sealedParts(spooled, manifest);
  let format: Format = { sampleRate: manifest.sampleRate, channels: manifest.channels.length };
  const chunkSamples = Math.round(manifest.chunkSeconds * manifest.sampleRate);
  for (let index = parts.length; spooled !== undefined; index++) {
    const name = growingName(spooled, index);
    if (name === undefined) break;
    const grown = await readGrowing(join(spooled.path, name));
    if (index === 0) format = grown.format;
    if (grown.samples > 0) parts.push({ index, samples: Math.min(grown.samples, chunkSamples) });
    if (grown.samples < chunkSamples) break;
  }
  return AudioSnapshot.of(where, format, parts);
}

/** A chunk without a sidecar: it grows, or has been renamed and its sidecar comes in a moment. */
function growingName({ open: growing, wavs }: SpooledRecording, index: number): string | undefined {
  if (growing.has(index)) return openChunkName(index);
  return wavs.has(index) ? chunkName(index) : undefined;
}

/** Chunks from the first on, without a hole; each is known to the manifest, to the uploader's note or by its sidecar. */
function sealedParts(spooled: SpooledRecording | undefined, manifest: Manifest): Part[] {
  const known = new Map(manifest.chunks.map((chunk) => [chunk.index, chunk]));
  for (const chunk of spooled?.note.chunks ?? []) known.set(chunk.index, chunk);
  for (const chunk of spooled?.sealed.values() ?? []) known.set(chunk.index, chunk);
  const parts: Part[] = [];
  let position = 0;
  for (let index = 0; ; index++) {
    const chunk = known.get(index);
    if (chunk?.startSample !== position) return parts;
    parts.push({ index, samples: chunk.samples });
    position += chunk.samples;
  }
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

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof ReelayError && error.code === 'object_missing') return undefined;
  throw error;
}

function gone({ folder }: Whereabouts, index: number): ReelayError {
  return new ReelayError('chunk_missing', { value: chunkKey(folder, index) });
}
