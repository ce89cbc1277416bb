import { ReelayError } from '../config/ReelayError.js';
import { depthBelowRoot, type FileRange, type RecordingFiles } from './RecordingFiles.js';

/** What reading recordings needs of an object store; keys have forward slashes. */
export interface ObjectSource {
  /** Objects whose key begins with the prefix. */
  list(prefix: string): AsyncIterable<{ readonly key: string; readonly bytes: number }>;
  /** Null when there is no such object. */
  size(key: string): Promise<number | null>;
  /** @throws ReelayError `object_missing` */
  read(key: string, range?: FileRange): Promise<AsyncIterable<Buffer>>;
}

/** A recording's files as objects of a store. */
export class RecordingObjects implements RecordingFiles {
  readonly path: string;
  readonly #source: ObjectSource;
  readonly #folder: string;

  /**
   * @param name - of the source, for people
   * @param folder - key of the recording's folder, without a slash at its end
   */
  constructor(source: ObjectSource, name: string, folder: string) {
    this.#source = source;
    this.#folder = folder;
    this.path = `${name}/${folder}`;
  }

  async names(): Promise<readonly string[]> {
    const names: string[] = [];
    const prefix = `${this.#folder}/`;
    for await (const { key } of this.#source.list(prefix)) {
      const name = key.slice(prefix.length);
      if (name !== '' && !name.includes('/')) names.push(name);
    }
    return names;
  }

  async size(name: string): Promise<number | null> {
    const key = this.#keyOf(name);
    return key === null ? null : await this.#source.size(key);
  }

  async read(name: string, range?: FileRange): Promise<AsyncIterable<Buffer> | null> {
    const key = this.#keyOf(name);
    if (key === null) return null;
    try {
      return await this.#source.read(key, range);
    } catch (error) {
      if (error instanceof ReelayError && error.code === 'object_missing') return null;
      throw error;
    }
  }

  /** Null for a key below a root that can't be told: the folder doesn't lie deep enough. */
  #keyOf(name: string): string | null {
    if (!name.startsWith('/')) return `${this.#folder}/${name}`;
    const parts = this.#folder.split('/');
    if (parts.length < depthBelowRoot) return null;
    return [...parts.slice(0, -depthBelowRoot), name.slice(1)].join('/');
  }
}
