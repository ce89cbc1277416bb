import { open, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** Bytes of a file, both ends included. */
export interface FileRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The files of one recording in one place: a folder, or a bucket. A name is relative to the recording's own folder; one that
 * begins with a slash is a key below the root of the store that the folder lies in.
 */
export interface RecordingFiles {
  /** The folder, for people: a path, or the URL of a bucket. */
  readonly path: string;
  /** What lies in the folder. */
  names(): Promise<readonly string[]>;
  /** Bytes; null when there is no such file. */
  size(name: string): Promise<number | null>;
  /** Null when there is no such file. */
  read(name: string, range?: FileRange): Promise<AsyncIterable<Buffer> | null>;
}

/** How many folders a recording lies below the root of its store. */
export const depthBelowRoot = 4;
const readBytes = 1 << 20;

/** A recording's files in a folder on the disk. */
export class FolderFiles implements RecordingFiles {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async names(): Promise<readonly string[]> {
    return (await ifPresent(() => readdir(this.path))) ?? [];
  }

  async size(name: string): Promise<number | null> {
    const found = await ifPresent(() => stat(this.#pathOf(name)));
    return found?.isFile() === true ? found.size : null;
  }

  async read(name: string, range?: FileRange): Promise<AsyncIterable<Buffer> | null> {
    const path = this.#pathOf(name);
    if ((await this.size(name)) === null) return null;
    const handle = await ifPresent(() => open(path, 'r'));
    return handle?.createReadStream({ ...range, highWaterMark: readBytes }) ?? null;
  }

  #pathOf(name: string): string {
    if (!name.startsWith('/')) return join(this.path, name);
    const root = Array.from({ length: depthBelowRoot }, () => '..');
    return join(resolve(this.path), ...root, name);
  }
}

/** Null for a file that isn't there; any other trouble is the caller's to see. */
export async function ifPresent<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
