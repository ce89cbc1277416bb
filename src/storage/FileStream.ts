import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { LimitFunction } from 'p-limit';
import type { ByteRange } from './ObjectStore.js';

/** What is read at a time, and so what a slow reader holds of each file, bytes. */
const pieceBytes = 64 * 1024;

/**
 * A part of an open file, which is closed with the stream. Its reads go through a gate that many streams share: a hundred readers,
 * or a disk that hangs, must leave threads of libuv's pool to the recorder, whose syncs need them.
 */
export class FileStream extends Readable {
  readonly #file: FileHandle;
  readonly #gate: LimitFunction;
  readonly #end: number;
  #at: number;
  #reading: Promise<void> = Promise.resolve();

  /** @param range - in bytes of the file, both ends included; ends early where the file does */
  constructor(file: FileHandle, gate: LimitFunction, { start, end }: Partial<ByteRange> = {}) {
    super({ highWaterMark: pieceBytes });
    this.#file = file;
    this.#gate = gate;
    this.#at = start ?? 0;
    this.#end = end ?? Infinity;
  }

  override _read(): void {
    this.#reading = this.#gate(() => this.#readPiece()).catch((error: unknown) => {
      this.destroy(error as Error);
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    void this.#reading
      .then(() => this.#file.close())
      .then(
        () => done(error),
        (closing: unknown) => done(error ?? (closing as Error)),
      );
  }

  async #readPiece(): Promise<void> {
    if (this.destroyed) return;
    const wanted = Math.min(pieceBytes, this.#end + 1 - this.#at);
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, wanted));
    const { bytesRead } = wanted > 0 ? await this.#file.read(bytes, 0, wanted, this.#at) : { bytesRead: 0 };
    this.#at += bytesRead;
    this.push(bytesRead === 0 ? null : bytes.subarray(0, bytesRead));
  }
}
