import { rmSync } from 'node:fs';
import { ChunkFile } from './ChunkFile.js';

/** The chunks of a recording that aren't sealed yet, a file each. Positions are samples per channel from the recording's first one. */
export class GrowingChunks {
  readonly #folder: string;
  readonly #sampleRate: number;
  readonly #chunkSamples: number;
  readonly #files = new Map<number, ChunkFile>();

  constructor(folder: string, facts: { readonly sampleRate: number; readonly chunkSeconds: number }) {
    this.#folder = folder;
    this.#sampleRate = facts.sampleRate;
    this.#chunkSamples = Math.round(facts.chunkSeconds * facts.sampleRate);
  }

  startOf(index: number): number {
    return index * this.#chunkSamples;
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
   * Gives a chunk its final length; it doesn't grow any more.
   *
   * @returns the path of its file
   * @throws the file system's error
   */
  close(index: number, samples: number, channels: number): string {
    const file = this.#fileOf(index, channels);
    file.cut(samples);
    file.close();
    this.#files.delete(index);
    return file.path;
  }

  /** Removes those that are left. */
  discard(): void {
    for (const file of this.#files.values()) {
      file.close();
      rmSync(file.path, { force: true });
    }
    this.#files.clear();
  }

  #indexAt(position: number): number {
    return Math.floor(position / this.#chunkSamples);
  }

  #fileOf(index: number, channels: number): ChunkFile {
    let file = this.#files.get(index);
    if (file === undefined) {
      file = new ChunkFile(this.#folder, index, { sampleRate: this.#sampleRate, channels });
      this.#files.set(index, file);
    }
    return file;
  }
}
