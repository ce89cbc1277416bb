import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { wavHeader, wavHeaderBytes } from '../audio/wav.js';
import { writeWhole } from '../spool/durable.js';

/**
 * A chunk that is still growing: a WAV file that is whole at every moment, so that it can be listened to while the call is
 * up. Samples are written at their place and may be written again; only sealing makes them final. Nothing here is synced:
 * after a crash the file is rendered anew from the journal.
 */
export class ChunkFile {
  readonly path: string;
  readonly #file: number;
  readonly #sampleRate: number;
  readonly #channels: number;
  #samples = 0;

  /** @throws the file system's error when the file cannot be made */
  constructor(path: string, format: { sampleRate: number; channels: number }) {
    this.path = path;
    this.#sampleRate = format.sampleRate;
    this.#channels = format.channels;
    mkdirSync(dirname(this.path), { recursive: true });
    this.#file = openSync(this.path, 'w');
    this.#writeHeader();
  }

  /** Samples per channel that the file holds. */
  get samples(): number {
    return this.#samples;
  }

  /**
   * Writes samples at their place; the file grows as needed.
   *
   * @param position - per channel, from the chunk's first sample; what lies between the file's end and it becomes silence
   * @param pcm - channels interleaved
   */
  write(position: number, pcm: Int16Array): void {
    const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    writeWhole(this.#file, bytes, wavHeaderBytes + position * 2 * this.#channels);
    const end = position + pcm.length / this.#channels;
    if (end <= this.#samples) return;
    this.#samples = end;
    this.#writeHeader();
  }

  /** Gives the file its final length; what it lacks becomes silence. */
  cut(samples: number): void {
    if (samples === this.#samples) return;
    ftruncateSync(this.#file, wavHeaderBytes + samples * 2 * this.#channels);
    this.#samples = samples;
    this.#writeHeader();
  }

  close(): void {
    closeSync(this.#file);
  }

  #writeHeader(): void {
    const shape = { sampleRate: this.#sampleRate, channels: this.#channels, samples: this.#samples };
    writeWhole(this.#file, wavHeader(shape), 0);
  }
}
