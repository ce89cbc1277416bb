import { randomBytes } from 'node:crypto';
import { open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder, writeDurably } from '../spool/durable.js';
import type { DurableWrite } from './UploadNote.js';

/** Files that are kept, and the bytes of each: a note takes about 300 bytes for a chunk. */
const spares = 16;
const spareBytes = 64 * 1024;
const spareName = /^reserve-\d+$/;
/** How often it is tried to make those again that were used, ms. */
const refillMs = 250;

/**
 * Room for control's notes on a disk that has none. Nothing leaves the spool before its note is on the disk, so a disk without a
 * free block could never be drained. A few files of random bytes are kept beside the daemons' folders; when a note meets `ENOSPC`, one
 * of them becomes that note: it is renamed to the note's temporary name, written over in the blocks that it has, cut, and renamed
 * into its place. What then leaves the spool makes the room in which the reserve is made again.
 *
 * Several daemons on one spool share it: renaming takes a file once. File systems that write changed blocks to new places (btrfs, ZFS)
 * may refuse all the same; then the note is tried again later, as without a reserve.
 */
export class SpoolReserve {
  readonly #folder: string;
  readonly #write: DurableWrite;
  /** Null: not used yet, or not known to be short. */
  #refilling: NodeJS.Timeout | null = null;
  #filling: Promise<boolean> | null = null;

  /**
   * @param folder - absolute, on the file system of the spool; made by whoever locks the spool
   * @param write - how notes are written where there is room
   */
  constructor(folder: string, write: DurableWrite = writeDurably) {
    this.#folder = folder;
    this.#write = write;
  }

  /**
   * Makes what is missing.
   *
   * @returns whether it is whole; on a disk that refuses it isn't
   */
  fill(): Promise<boolean> {
    this.#filling ??= this.#fill()
      .catch(() => false)
      .finally(() => (this.#filling = null));
    return this.#filling;
  }

  /** Ends the tries to make it again. */
  stop(): void {
    if (this.#refilling !== null) clearInterval(this.#refilling);
    this.#refilling = null;
  }

  /**
   * {@link writeDurably}, in a spare file's blocks where the disk has none.
   *
   * @throws the file system's error
   */
  async write(path: string, data: string): Promise<void> {
    if (this.#refilling !== null) await this.fill();
    try {
      await this.#write(path, data);
    } catch (error) {
      if (!isFull(error) || !(await this.#writeInSpare(path, Buffer.from(data)))) throw error;
    }
  }

  async #writeInSpare(path: string, data: Buffer): Promise<boolean> {
    // Longer ones, of a call of many hours, wait until what the others free is room enough.
    if (data.length > spareBytes) return false;
    const temporary = `${path}.tmp`;
    if (!(await this.#take(temporary))) return false;
    this.#refillLater();
    const file = await open(temporary, 'r+');
    try {
      await file.write(data, 0, data.length, 0);
      await file.truncate(data.length);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
    return true;
  }

  async #take(to: string): Promise<boolean> {
    for (const name of await this.#spares()) {
      // Somebody else may be quicker.
      const isTaken = await rename(join(this.#folder, name), to).then(
        () => true,
        () => false,
      );
      if (isTaken) return true;
    }
    return false;
  }

  async #spares(): Promise<string[]> {
    return (await readdir(this.#folder)).filter((name) => spareName.test(name));
  }

  async #fill(): Promise<boolean> {
    const there = new Set(await this.#spares());
    for (let index = 0; index < spares; index++)
      if (!there.has(`reserve-${index}`)) await this.#make(join(this.#folder, `reserve-${index}`));
    this.stop();
    return true;
  }

  /** @throws the file system's error; then nothing of it is left */
  async #make(path: string): Promise<void> {
    const temporary = `${path}.tmp`;
    const file = await open(temporary, 'w');
    try {
      // Neither zeros nor anything else that a file system may store without blocks. Synced, so that it has them now.
      await file.writeFile(randomBytes(spareBytes));
      await file.sync();
      await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
  }

  #refillLater(): void {
    this.#refilling ??= setInterval(() => void this.fill(), refillMs).unref();
  }
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
