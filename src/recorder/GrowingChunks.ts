import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { mixLane, openChunkName } from '../spool/layout.js';
import { ChunkFile } from './ChunkFile.js';

/** The chunks of a recording that aren't sealed yet, a file each. Positions are samples per channel from the recording's first one. */
export class GrowingChunks {
  readonly #folder: string;
  readonly #sampleRate: number;
  readonly #chunkSamples: number;
  readonly #lane: string;
  readonly #files = new Map<number, ChunkFile>();

  /** @param lane - of a room: whose files they are */
  constructor(
    folder: string,
    facts: { readonly sampleRate: number; readonly chunkSeconds: number },
    lane: string = mixLane,
  ) {
    this.#lane = lane;
    this.#folder = folder;
    this.#sampleRate = facts.sampleRate;
    this.#chunkSamples = Math.round(facts.chunkSeconds * facts.sampleRate);
  }

  startOf(index: number): number {
    return index * this.#chunkSamples;
  }

  /** The beginning of the chunk that a position lies in. */
  startAt(position: number): number {
    return this.startOf(this.#indexAt(position));
  }

  /** The end of the chunk that a position lies in. */
  endAt(position: number): number {
    return this.startOf(this.#indexAt(position) + 1);
  }

  /**
   * @param pcm - interleaved; all of it lies in one chunk
   * @throws the file system's error; the same may be written again
   */
  write(position: number, pcm: Int16Array, channels: number): void {
    const index = this.#indexAt(position);
    this.#fileOf(index, channels).write(position - this.startOf(index), pcm);
  }

  /**
   * Gives a chunk its final length. It may be given again, until it is released.
   *
   * @returns the path of its file
   * @throws the file system's error
   */
  cut(index: number, samples: number, channels: number): string {
    const file = this.#fileOf(index, channels);
    file.cut(samples);
    return file.path;
  }

  /** A chunk that has its length doesn't grow any more: its file is somebody else's. */
  release(index: number): void {
    const file = this.#files.get(index);
    this.#files.delete(index);
    file?.close();
  }

  /** Removes those that are left. */
  discard(): void {
    for (const index of [...this.#files.keys()]) this.remove(index);
  }

  /** Removes one, if there is one. */
  remove(index: number): void {
    const file = this.#files.get(index);
    if (file === undefined) return;
    this.#files.delete(index);
    file.close();
    rmSync(file.path, { force: true });
  }

  #indexAt(position: number): number {
    return Math.floor(position / this.#chunkSamples);
  }

  #fileOf(index: number, channels: number): ChunkFile {
    let file = this.#files.get(index);
    if (file === undefined) {
      file = new ChunkFile(join(this.#folder, openChunkName(index, this.#lane)), {
        sampleRate: this.#sampleRate,
        channels,
      });
      this.#files.set(index, file);
    }
    return file;
  }
}
