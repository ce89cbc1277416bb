import { createHash, type Hash } from 'node:crypto';
import { wavHeader, wholeHeaderBytes } from '../audio/wav.js';
import type { Manifest, ManifestChunk } from './Manifest.js';
import type { RecordingFiles } from './RecordingFiles.js';

/** An object that holds a whole call, without its samples. */
export interface WholeAudioOnDisk {
  readonly name: string;
  readonly bytes: number;
  /** Hex, of all of it; null where it is longer than it may be and was not read to its end. */
  readonly sha256: string | null;
  /** Its first 80 bytes, or what there is of them. */
  readonly header: Uint8Array;
  /**
   * SHA-256, hex, of each chunk's own WAV made anew from its samples in here, by the place in the manifest's list; of a chunk
   * that isn't in here to its last sample there is none.
   */
  readonly chunks: ReadonlyMap<number, string>;
}

/**
 * Reads the object once, in constant memory.
 *
 * @param name - as in {@link RecordingFiles}
 * @param limit - bytes it should have; what lies behind them is not read
 * @param manifest - tells where in a WAV the chunks are; null for other formats
 * @returns null when there is no such object
 */
export async function readWholeAudio(
  files: RecordingFiles,
  name: string,
  limit: number,
  manifest: Pick<Manifest, 'sampleRate' | 'channels' | 'chunks'> | null,
): Promise<WholeAudioOnDisk | null> {
  const stream = await files.read(name);
  if (stream === null) return null;
  const whole = createHash('sha256');
  const slices = manifest === null ? null : new SliceHashes(manifest);
  const enough = Math.max(limit, wholeHeaderBytes);
  let header = Buffer.alloc(0);
  let bytes = 0;
  for await (const piece of stream) {
    if (header.length < wholeHeaderBytes)
      header = Buffer.concat([header, piece.subarray(0, wholeHeaderBytes - header.length)]);
    whole.update(piece);
    slices?.push(piece.subarray(Math.max(0, wholeHeaderBytes - bytes)));
    bytes += piece.length;
    if (bytes > enough) break;
  }
  const isRead = bytes <= enough;
  return {
    name,
    bytes: isRead ? bytes : ((await files.size(name)) ?? bytes),
    sha256: isRead ? whole.digest('hex') : null,
    header,
    chunks: slices?.hashes ?? new Map(),
  };
}

/** Cuts samples that follow each other into the chunks that a manifest lists, and hashes each as the WAV it would be. */
class SliceHashes {
  readonly hashes = new Map<number, string>();
  readonly #shape: { readonly sampleRate: number; readonly channels: number };
  readonly #chunks: readonly ManifestChunk[];
  #at = -1;
  #left = 0;
  #hash: Hash | null = null;

  constructor({ sampleRate, channels, chunks }: Pick<Manifest, 'sampleRate' | 'channels' | 'chunks'>) {
    this.#shape = { sampleRate, channels: channels.length };
    this.#chunks = chunks;
    this.#next();
  }

  push(piece: Buffer): void {
    let rest = piece;
    while (rest.length > 0 && this.#at < this.#chunks.length) {
      const part = rest.subarray(0, this.#left);
      this.#hash?.update(part);
      this.#left -= part.length;
      rest = rest.subarray(part.length);
      if (this.#left === 0) this.#next();
    }
  }

  /** Ends this chunk and all empty ones behind it. */
  #next(): void {
    do {
      if (this.#hash !== null) this.hashes.set(this.#at, this.#hash.digest('hex'));
      const chunk = this.#chunks[++this.#at];
      this.#left = (chunk?.samples ?? 0) * this.#shape.channels * 2;
      this.#hash = chunk === undefined ? null : beginning({ ...this.#shape, samples: chunk.samples });
    } while (this.#left === 0 && this.#at < this.#chunks.length);
  }
}

/** Null where no chunk can be so long. */
function beginning(shape: Parameters<typeof wavHeader>[0]): Hash | null {
  return shape.samples * shape.channels * 2 > 0xffff_ff00
    ? null
    : createHash('sha256').update(wavHeader(shape));
}
