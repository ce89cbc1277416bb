import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, opendir, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { ReelayError } from '../config/ReelayError.js';
import { syncFolder } from '../spool/durable.js';
import type { ByteRange, ObjectStore, StoredObject } from './ObjectStore.js';

const temporarySuffix = '.part';

/**
 * Objects as files below a folder. An object is copied beside its place, synced, renamed into it and the folder synced; then
 * it is read back and hashed, because only what can be read is stored.
 */
export class FileStore implements ObjectStore {
  readonly name: string;
  readonly #dir: string;

  /** @param dir - absolute path; made when the first object comes */
  constructor(dir: string) {
    this.#dir = resolve(dir);
    this.name = `file:${this.#dir}`;
  }

  async put(key: string, file: string, { sha256 }: { readonly sha256: string }): Promise<StoredObject> {
    const target = await this.#placeFor(key);
    const temporary = `${target}${temporarySuffix}`;
    try {
      await this.#refuseItself(file, target);
      const copied = await copySynced(file, temporary);
      if (copied !== sha256) throw mismatch(file, 'The file in the spool is not what its sidecar says.');
      await rename(temporary, target);
    } finally {
      await rm(temporary, { force: true });
    }
    await syncFolder(dirname(target));
    const { hash, bytes } = await hashOf(target);
    if (hash !== sha256) throw mismatch(target, 'The store gives back other bytes than it was given.');
    return { key, bytes };
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const path = this.#pathOf(key);
    try {
      await this.#insist(path);
      const handle = await open(path, 'r');
      return handle.createReadStream({ ...range, highWaterMark: 256 * 1024 });
    } catch (cause) {
      throw isMissing(cause) ? new ReelayError('object_missing', { value: key, cause }) : cause;
    }
  }

  async size(key: string): Promise<number | null> {
    try {
      const path = this.#pathOf(key);
      await this.#insist(path);
      const found = await stat(path);
      return found.isFile() ? found.size : null;
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    // The longest folder that every wanted key lies in; the rest of the prefix is compared.
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    for await (const object of this.#walk(folder)) if (object.key.startsWith(prefix)) yield object;
  }

  async delete(key: string): Promise<void> {
    try {
      const path = this.#pathOf(key);
      await this.#insist(path);
      await unlink(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async *#walk(folder: string): AsyncGenerator<StoredObject> {
    const path = folder === '' ? this.#dir : this.#pathOf(folder.slice(0, -1));
    const entries = await opendir(path).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    for await (const entry of entries) {
      const key = `${folder}${entry.name}`;
      if (entry.isDirectory() && !entry.name.startsWith('.')) yield* this.#walk(`${key}/`);
      if (!entry.isFile() || entry.name.endsWith(temporarySuffix)) continue;
      const bytes = await this.size(key);
      if (bytes !== null) yield { key, bytes };
    }
  }

  /** Folders are made one by one and synced, so that an object's whole path survives a loss of power. */
  async #placeFor(key: string): Promise<string> {
    const path = this.#pathOf(key);
    const first = await mkdir(dirname(path), { recursive: true });
    await this.#insist(dirname(path));
    if (first === undefined) return path;
    for (let made = dirname(path); made.length >= dirname(first).length; made = dirname(made)) {
      await syncFolder(made);
      if (made === dirname(made)) break;
    }
    return path;
  }

  #pathOf(key: string): string {
    const parts = key.split('/');
    const isPlain = parts.every((part) => part !== '' && !part.startsWith('.') && !/[\\\p{Cc}]/u.test(part));
    if (!isPlain) throw new ReelayError('object_key_invalid', { value: key });
    return join(this.#dir, ...parts);
  }

  /** Refuses a path that a symbolic link leads out of the store's folder. */
  async #insist(path: string): Promise<void> {
    const [root, real] = await Promise.all([realpath(this.#dir), realpath(path)]);
    if (real !== root && !real.startsWith(root + sep))
      throw new ReelayError('object_key_invalid', { value: path });
  }

  /** The spool's file is unlinked once it is stored: were it the stored object itself, that would delete the only copy. */
  async #refuseItself(file: string, target: string): Promise<void> {
    const [source, place] = await Promise.all([stat(file), stat(target).catch(() => undefined)]);
    if (source.ino !== place?.ino || source.dev !== place.dev) return;
    const remedy = 'Give the store a folder outside the spool.';
    throw new ReelayError('store_unwritable', { value: target, remedy });
  }
}

/** @returns SHA-256 of what was copied, hex */
async function copySynced(from: string, to: string): Promise<string> {
  await rm(to, { force: true });
  const target = await open(to, 'wx');
  const hash = createHash('sha256');
  try {
    for await (const piece of piecesOf(from)) {
      hash.update(piece);
      await target.writeFile(piece);
    }
    await target.sync();
  } finally {
    await target.close();
  }
  return hash.digest('hex');
}

async function hashOf(path: string): Promise<{ hash: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of piecesOf(path)) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { hash: hash.digest('hex'), bytes };
}

function piecesOf(path: string): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: 256 * 1024 });
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function mismatch(value: string, remedy: string): ReelayError {
  return new ReelayError('checksum_mismatch', { value, remedy });
}
