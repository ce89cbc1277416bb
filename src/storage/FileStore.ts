import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, open, opendir, realpath, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import pLimit from 'p-limit';
import { ReelayError } from '../config/ReelayError.js';
import { DurableFolders } from '../spool/DurableFolders.js';
import { syncFolder } from '../spool/durable.js';
import { filePieces } from '../spool/filePieces.js';
import { fileFaultOf, inFolder, isMissing, SourceError } from './FileFault.js';
import { FileMultipart, holds } from './FileMultipart.js';
import { FileStream } from './FileStream.js';
import { partsOfKey } from './objectKey.js';
import type { ByteRange, Multipart, ObjectStore, StoredObject } from './ObjectStore.js';
import { StoreFault } from './StoreFault.js';
import type { PartSum } from './PartHash.js';

const temporarySuffix = '.part';
/** Looks and reads at once in one store: one whose disk hangs keeps no more threads of libuv's pool than this from the others. */
const readsAtOnce = 3;

/**
 * Objects as files below a folder. An object is copied beside its place, synced, renamed into it and the folder synced; then
 * it is read back and hashed, because only what can be read is stored.
 */
export class FileStore implements ObjectStore {
  readonly name: string;
  readonly multipart: Multipart;
  /** Nobody else reads a folder. */
  readonly presign: ObjectStore['presign'] = () => Promise.resolve(null);
  readonly #dir: string;
  readonly #folders: DurableFolders;
  readonly #reads = pLimit(readsAtOnce);

  /** @param dir - absolute path; made when the first object comes */
  constructor(dir: string) {
    this.#dir = resolve(dir);
    this.#folders = DurableFolders.below(this.#dir);
    this.name = `file:${this.#dir}`;
    this.multipart = new FileMultipart(
      (key) => this.#placeFor(key),
      (key) => this.#pathOf(key),
    );
  }

  async put(key: string, file: string, { sha256 }: { readonly sha256: string }): Promise<StoredObject> {
    return await inFolder(async () => {
      const target = await this.#placeFor(key);
      const temporary = `${target}${temporarySuffix}`;
      let copied: PartSum;
      try {
        await this.#refuseItself(file, target);
        copied = await copySynced(file, temporary);
        if (copied.sha256 !== sha256) throw mismatch(file);
        await rename(temporary, target);
      } finally {
        await rm(temporary, { force: true });
      }
      await syncFolder(dirname(target));
      if (!(await holds(target, [copied]))) {
        const remedy = 'The store gives back other bytes than it was given; they are copied again.';
        throw new StoreFault('store_unavailable', { value: target, remedy });
      }
      return { key, bytes: copied.bytes };
    });
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const path = this.#pathOf(key);
    return await inFolder(async () => {
      try {
        const handle = await this.#reads(() => this.#open(path));
        return new FileStream(handle, this.#reads, range);
      } catch (cause) {
        throw isMissing(cause) ? new ReelayError('object_missing', { value: key, cause }) : cause;
      }
    });
  }

  async size(key: string): Promise<number | null> {
    const path = this.#pathOf(key);
    return await inFolder(async () => {
      try {
        const found = await this.#reads(() => this.#stat(path));
        return found.isFile() ? found.size : null;
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    });
  }

  async *list(prefix: string, after = ''): AsyncGenerator<StoredObject> {
    // The longest folder that every wanted key lies in; the rest of the prefix is compared.
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    try {
      for await (const object of this.#walk(folder, after))
        if (object.key.startsWith(prefix) && isAfter(object.key, after)) yield object;
    } catch (error) {
      throw fileFaultOf(error);
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.#pathOf(key);
    await inFolder(async () => {
      try {
        await this.#insist(path);
        await unlink(path);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    });
  }

  /** There is nothing to close. */
  close(): void {
    // Files are closed as soon as they are read.
  }

  async *#walk(folder: string, after: string): AsyncGenerator<StoredObject> {
    const path = folder === '' ? this.#dir : this.#pathOf(folder.slice(0, -1));
    const entries = await opendir(path).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    for await (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const key = `${folder}${entry.name}`;
      const isWanted = isAfter(`${key}/`, after) || after.startsWith(`${key}/`);
      if (entry.isDirectory() && isWanted) yield* this.#walk(`${key}/`, after);
      if (!entry.isFile() || entry.name.endsWith(temporarySuffix)) continue;
      const bytes = await this.size(key);
      if (bytes !== null) yield { key, bytes };
    }
  }

  /** Folders are made one by one and synced, so that an object's whole path survives a loss of power. */
  async #placeFor(key: string): Promise<string> {
    const path = this.#pathOf(key);
    await this.#folders.make(dirname(path));
    await this.#insist(dirname(path));
    return path;
  }

  #pathOf(key: string): string {
    return join(this.#dir, ...partsOfKey(key));
  }

  async #open(path: string): Promise<FileHandle> {
    await this.#insist(path);
    return await open(path, 'r');
  }

  async #stat(path: string): Promise<Stats> {
    await this.#insist(path);
    return await stat(path);
  }

  /** Refuses a path that a symbolic link leads out of the store's folder. */
  async #insist(path: string): Promise<void> {
    const root = await realpath(this.#dir);
    const real = await realpath(path);
    if (real !== root && !real.startsWith(root + sep))
      throw new ReelayError('object_key_invalid', { value: path });
  }

  /** The spool's file is unlinked once it is stored: were it the stored object itself, that would delete the only copy. */
  async #refuseItself(file: string, target: string): Promise<void> {
    const [source, place] = await Promise.all([statSource(file), stat(target).catch(() => undefined)]);
    if (source.ino !== place?.ino || source.dev !== place.dev) return;
    const remedy = 'Give the store a folder outside the spool.';
    throw new StoreFault('store_refused', { value: target, remedy });
  }
}

/** @returns what was copied */
async function copySynced(from: string, to: string): Promise<PartSum> {
  await rm(to, { force: true });
  const target = await open(to, 'wx');
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const piece of sourcePieces(from)) {
      hash.update(piece);
      bytes += piece.length;
      await target.writeFile(piece);
    }
    await target.sync();
  } finally {
    await target.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** What comes from the spool; its errors stay apart from the store's. */
async function* sourcePieces(file: string): AsyncGenerator<Buffer> {
  try {
    yield* filePieces(file);
  } catch (error) {
    throw new SourceError(error);
  }
}

/** In the order of the keys' bytes. */
function isAfter(key: string, after: string): boolean {
  return after === '' || Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0;
}

function mismatch(value: string): ReelayError {
  const remedy = 'The file in the spool is not what its sidecar says.';
  return new ReelayError('checksum_mismatch', { value, remedy });
}

async function statSource(file: string): ReturnType<typeof stat> {
  return await stat(file).catch((error: unknown) => {
    throw new SourceError(error);
  });
}
