import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { wholeHeaderBytes, wholeWavHeader } from '../audio/wav.js';
import type { Manifest } from '../spool/Manifest.js';
import { ChunkedPcm, type Piece, sealedPieces, type Whereabouts, withHeader } from './ChunkedPcm.js';
import type { ByteRange, PartBody } from './ObjectStore.js';
import type { SpooledRecording } from './SpooledRecording.js';

export interface WholeWavOptions {
  readonly where: Whereabouts;
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
  /** Sealed chunks from the first on. */
  readonly pieces: readonly Piece[];
  /** No chunk follows: only then is the length known, and with it the header. */
  readonly isFinal: boolean;
}

/**
 * The whole call as one WAV that exists only in pieces: a header of `wholeHeaderBytes`, then the audio of the sealed chunks.
 * It is read in constant memory and never assembled. Every byte behind the header is the same at every length, so parts of
 * an object can be stored from it while the call goes on.
 */
export class WholeWav {
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
  /** Samples per channel. */
  readonly samples: number;
  /** Size of the file, so far or for good. */
  readonly bytes: number;
  readonly isFinal: boolean;
  readonly #pcm: ChunkedPcm;
  readonly #header: Uint8Array;

  constructor({ where, sampleRate, channels, pieces, isFinal }: WholeWavOptions) {
    this.sampleRate = sampleRate;
    this.channels = channels;
    this.isFinal = isFinal;
    this.samples = pieces.reduce((sum, { samples }) => sum + samples, 0);
    this.#pcm = new ChunkedPcm(where, channels, pieces);
    this.#header = wholeWavHeader({ sampleRate, channels, samples: this.samples });
    this.bytes = wholeHeaderBytes + this.#pcm.bytes;
  }

  /**
   * What a folder of the spool and the store that its chunks go to hold of the call.
   *
   * @param manifest - the recording's; its chunks count together with those that lie in the folder or are noted as stored
   */
  static of(
    spooled: SpooledRecording,
    manifest: Pick<Manifest, 'sampleRate' | 'channels' | 'chunks'>,
    where: Whereabouts,
    isFinal: boolean,
  ): WholeWav {
    const { sampleRate, channels } = manifest;
    const pieces = sealedPieces(spooled, manifest);
    return new WholeWav({ where, sampleRate, channels: channels.length, pieces, isFinal });
  }

  /**
   * Bytes of the file, both ends included. The stream ends with ReelayError `chunk_missing` when a chunk is nowhere or too
   * short, or with the store's own error.
   */
  read(range: ByteRange): Readable {
    this.#insist(range);
    return Readable.from(withHeader(this.#header, this.#pcm, range), { objectMode: false });
  }

  /** The samples alone, interleaved PCM16. */
  readPcm(): Readable {
    return Readable.from(this.#pcm.read({ start: 0, end: this.#pcm.bytes - 1 }), { objectMode: false });
  }

  /**
   * @returns SHA-256, hex
   * @throws as {@link read}
   */
  async hash(range: ByteRange): Promise<string> {
    const hash = createHash('sha256');
    for await (const bytes of this.read(range) as AsyncIterable<Buffer>) hash.update(bytes);
    return hash.digest('hex');
  }

  /** How many parts of this size the file has, so far or for good. */
  parts(partBytes: number): number {
    return Math.ceil(this.bytes / partBytes);
  }

  /** Whether a part won't change any more: the first one, with the header, only when the file is whole. */
  has(number: number, partBytes: number): boolean {
    if (this.isFinal) return number <= this.parts(partBytes);
    return number > 1 && number * partBytes <= this.bytes;
  }

  /**
   * A part of a multipart upload, hashed.
   *
   * @param number - from 1; one that the file {@link has}
   * @throws as {@link read}
   */
  async part(number: number, partBytes: number): Promise<PartBody> {
    const start = (number - 1) * partBytes;
    const end = Math.min(number * partBytes, this.bytes) - 1;
    const sha256 = await this.hash({ start, end });
    return { bytes: end + 1 - start, sha256, read: () => this.read({ start, end }) };
  }

  #insist({ start, end }: ByteRange): void {
    if (start < 0 || end >= this.bytes) throw new RangeError(`${start} to ${end} of ${this.bytes} bytes`);
    if (start < wholeHeaderBytes && !this.isFinal)
      throw new RangeError('the header of a file that still grows');
  }
}
