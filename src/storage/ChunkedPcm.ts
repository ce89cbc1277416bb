import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { wavHeaderBytes, wholeHeaderBytes } from '../audio/wav.js';
import { ReelayError } from '../config/ReelayError.js';
import { chunkName, openChunkName } from '../spool/layout.js';
import type { Manifest, ManifestChunk } from '../spool/Manifest.js';
import { ownWav } from '../spool/ownAudio.js';
import { FileStream } from './FileStream.js';
import type { ByteRange, ObjectStore } from './ObjectStore.js';
import { chunkKey, type SpooledRecording } from './SpooledRecording.js';
import { readStoredManifest } from './StoredRecording.js';

/** Where a recording's files may be: in the spool, in the store, or on their way from one to the other. */
export interface Whereabouts {
  readonly spoolDir: string;
  readonly folder: string;
  /** Asked anew at each read, because the configuration may change meanwhile. */
  readonly store: () => ObjectStore | null | Promise<ObjectStore | null>;
  /**
   * Key of the object that holds the whole call losslessly, where it is known already; else the stored manifest is asked. One that the
   * recording may name, see {@link ownWav}.
   */
  readonly audioKey?: string | undefined;
}

/** A stretch of the recording, which is a chunk of it. Positions and lengths are samples per channel. */
export interface Piece {
  readonly index: number;
  readonly startSample: number;
  readonly samples: number;
  /** The chunk isn't sealed, so its file may have the name of a growing one. */
  readonly isGrowing?: boolean;
  /** Of a room: whose own file of the chunk is meant. */
  readonly lane?: string | undefined;
  /** The lane has no file of the chunk, since it wasn't there. */
  readonly isSilent?: boolean;
}

/** What one file or object gives of the wanted bytes; `end` is the last one. */
interface Source {
  readonly stream: AsyncIterable<Buffer>;
  readonly end: number;
}

/** How often a file is looked for that is being moved while it is asked for, and the ms between. */
const looks = 5;
const lookAgainMs = 20;
/** Of a piece of silence. */
const silenceBytes = 65_536;
/** Reads of the spool's files at once, for whoever reads recordings; the rest of libuv's pool is the recorder's. */
const spoolReads = pLimit(4);

/**
 * The samples of consecutive chunks as one run of bytes. Nothing is copied or held: a read opens one file or object after the
 * other, wherever it lies by then. The spool comes first, then the object that holds the whole call, then the chunk's own. Of a lane
 * there is no object that holds all, and what it has no file of is silence.
 */
export class ChunkedPcm {
  readonly bytes: number;
  readonly #where: Whereabouts;
  readonly #block: number;
  readonly #pieces: readonly Piece[];
  readonly #firstSample: number;
  #wholeKey: string | undefined;

  /**
   * @param channels - of PCM16
   * @param pieces - each begins where the one before it ends
   */
  constructor(where: Whereabouts, channels: number, pieces: readonly Piece[]) {
    this.#where = where;
    this.#block = channels * 2;
    this.#pieces = pieces.filter(({ samples }) => samples > 0);
    this.#firstSample = pieces[0]?.startSample ?? 0;
    this.bytes = pieces.reduce((sum, { samples }) => sum + samples, 0) * this.#block;
    this.#wholeKey = where.audioKey;
  }

  /** @throws ReelayError `chunk_missing` when a piece is nowhere or too short, or the store's own error */
  async *read({ start, end }: ByteRange): AsyncGenerator<Buffer> {
    let at = start;
    for (const piece of this.#pieces) {
      const next = this.#offsetOf(piece) + piece.samples * this.#block;
      if (at >= next) continue;
      if (at > end) return;
      const source = await this.#open(piece, { start: at, end });
      for await (const bytes of source.stream) {
        at += bytes.length;
        yield bytes;
      }
      if (at !== source.end + 1) throw this.#gone(piece);
    }
  }

  /** Bytes in front of a piece. */
  #offsetOf({ startSample }: Piece): number {
    return (startSample - this.#firstSample) * this.#block;
  }

  async #open(piece: Piece, wanted: ByteRange): Promise<Source> {
    const last = this.#offsetOf(piece) + piece.samples * this.#block - 1;
    const inPiece = { start: wanted.start, end: Math.min(wanted.end, last) };
    if (piece.isSilent === true) return { stream: silence(inPiece), end: inPiece.end };
    const { lane } = piece;
    for (let look = 1; look <= looks; look++) {
      const found =
        (await this.#inSpool(piece, inPiece)) ??
        (lane === undefined ? await this.#inWhole(this.#wholeKey, wanted) : undefined) ??
        (await this.#inObject(chunkKey(this.#where.folder, piece.index, lane), inPiece, this.#inFile(piece)));
      if (found !== undefined) return found;
      if (lane === undefined && this.#wholeKey === undefined) this.#wholeKey = await this.#lookUpWhole();
      else await sleep(lookAgainMs);
    }
    throw this.#gone(piece);
  }

  async #inSpool(piece: Piece, range: ByteRange): Promise<Source | undefined> {
    const { spoolDir, folder } = this.#where;
    const { index, lane, isGrowing } = piece;
    const names = [chunkName(index, lane), ...(isGrowing === true ? [openChunkName(index, lane)] : [])];
    const shift = this.#inFile(piece);
    for (const name of names) {
      const file = await openIfThere(join(spoolDir, folder, name));
      if (file === undefined) continue;
      const place = { start: range.start + shift, end: range.end + shift };
      return { stream: new FileStream(file, spoolReads, place), end: range.end };
    }
    return undefined;
  }

  /** What is added to a position of this run to have it in the piece's own file. */
  #inFile(piece: Piece): number {
    return wavHeaderBytes - this.#offsetOf(piece);
  }

  /** The object over the whole call gives all that is still wanted at once. */
  async #inWhole(key: string | undefined, wanted: ByteRange): Promise<Source | undefined> {
    if (key === undefined) return undefined;
    const range = { start: wanted.start, end: Math.min(wanted.end, this.bytes - 1) };
    return await this.#inObject(key, range, wholeHeaderBytes + this.#firstSample * this.#block);
  }

  async #inObject(key: string, range: ByteRange, shift: number): Promise<Source | undefined> {
    const place = { start: range.start + shift, end: range.end + shift };
    const stream = await (await this.#where.store())?.read(key, place).catch(unlessMissing);
    return stream === undefined ? undefined : { stream, end: range.end };
  }

  async #lookUpWhole(): Promise<string | undefined> {
    const store = await this.#where.store();
    const manifest = store === null ? null : await readStoredManifest(store, this.#where.folder);
    if (manifest === null) await sleep(lookAgainMs);
    return manifest === null ? undefined : ownWav(manifest)?.key;
  }

  #gone({ index, lane }: Piece): ReelayError {
    return new ReelayError('chunk_missing', { value: chunkKey(this.#where.folder, index, lane) });
  }
}

/** Zeros for a range, both ends included, in pieces as files have them. */
async function* silence({ start, end }: ByteRange): AsyncGenerator<Buffer> {
  for (let left = end + 1 - start; left > 0; left -= silenceBytes) {
    // Whoever reads may wait in between, as for a file.
    await Promise.resolve();
    yield Buffer.alloc(Math.min(left, silenceBytes));
  }
}

/** A file's bytes whose first ones are this header and whose others are this audio. */
export async function* withHeader(
  header: Uint8Array,
  pcm: ChunkedPcm,
  { start, end }: ByteRange,
): AsyncGenerator<Uint8Array> {
  if (start < header.length) yield header.subarray(start, Math.min(end + 1, header.length));
  if (end >= header.length)
    yield* pcm.read({ start: Math.max(0, start - header.length), end: end - header.length });
}

/**
 * Chunks from the first on, without a hole; each is known to the manifest, to the uploader's note or by its sidecar.
 *
 * @param lane - of a room: whose own files are meant; default: the chunks' own
 */
export function sealedPieces(
  spooled: Pick<SpooledRecording, 'note' | 'sealed'> | undefined,
  manifest: Pick<Manifest, 'chunks'>,
  lane?: string,
): Piece[] {
  const known = new Map<number, Pick<ManifestChunk, 'startSample' | 'samples' | 'lanes'>>(
    manifest.chunks.map((chunk) => [chunk.index, chunk]),
  );
  for (const chunk of spooled?.note.chunks ?? []) known.set(chunk.index, chunk);
  for (const chunk of spooled?.sealed.values() ?? []) known.set(chunk.index, chunk);
  const pieces: Piece[] = [];
  let position = 0;
  for (let index = 0; ; index++) {
    const chunk = known.get(index);
    if (chunk?.startSample !== position) return pieces;
    const isSilent = lane !== undefined && chunk.lanes?.some((each) => each.lane === lane) !== true;
    pieces.push({ index, startSample: position, samples: chunk.samples, lane, isSilent });
    position += chunk.samples;
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
