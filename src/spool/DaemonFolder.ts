import {
  type Dirent,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { ReelayError } from '../config/ReelayError.js';
import { adoptedFolder, checkpointFolder, daemonsFolder, journalFolder, quarantineFolder } from './layout.js';
import { Neighbour } from './Neighbour.js';
import { makeFolderHere, syncFolderHere } from './durable.js';
import { makeDaemonsFolder } from './Quarantine.js';
import { type LockOwner, SpoolLock } from './SpoolLock.js';

/**
 * A daemon's own folder below the spool, `.reelay/<daemon>/`, and the lock on it: a Unix socket that the daemon listens on.
 * The kernel closes it with the process however that ends, so a folder whose socket nobody answers belongs to a daemon that is
 * gone, also across containers that share the volume. (Not across machines: a spool on a network file system is not
 * supported.)
 *
 * What gone daemons left is adopted by renaming their folders into the own one, which only one daemon can do.
 */
export class DaemonFolder {
  readonly path: string;
  /** Daemons on this spool that were alive at the start, and are ending or to be taken over from. */
  neighbours: readonly Neighbour[] = [];
  readonly #lock: SpoolLock;

  private constructor(path: string, lock: SpoolLock) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes a locked folder of this daemon's own and adopts those of daemons that are gone. Nobody is told to do anything yet.
   *
   * @param spoolDir - absolute path of the spool; made when it isn't there
   * @param takeOver - a daemon that is running there doesn't matter: it will be asked to end
   * @throws ReelayError `spool_locked` when another daemon on this spool is running and not ending, `spool_unwritable`
   */
  static async claim(spoolDir: string, { takeOver = false } = {}): Promise<DaemonFolder> {
    const base = join(spoolDir, daemonsFolder);
    const folder = await create(base).catch((error: unknown) => {
      throw new ReelayError('spool_unwritable', {
        value: spoolDir,
        cause: error,
        remedy: 'Name a folder under spool.dir that this user may write.',
      });
    });
    try {
      const names = foldersIn(base).filter((name) => name !== quarantineFolder);
      const others = names.map((name) => join(base, name)).filter((path) => path !== folder.path);
      // All are asked before any is touched: a daemon that may not start must leave everything as it was.
      folder.neighbours = await neighboursAmong(others, takeOver);
      const alive = new Set(folder.neighbours.map(({ path }) => path));
      for (const path of others) if (!alive.has(path)) folder.adopt(path);
    } catch (error) {
      await folder.release();
      throw error;
    }
    return folder;

    async function create(within: string): Promise<DaemonFolder> {
      makeDaemonsFolder(spoolDir);
      const name = uuid();
      const fresh = join(within, unlockedPrefix + name);
      mkdirSync(fresh, { recursive: true });
      const lock = await SpoolLock.listen(fresh);
      renameSync(fresh, join(within, name));
      // The journal is worth nothing without the names of the folders that it lies in.
      makeFolderHere(spoolDir);
      syncFolderHere(spoolDir);
      syncFolderHere(within);
      return new DaemonFolder(join(within, name), lock);
    }
  }

  /** What other daemons are told that start on this spool; until then, that this one is starting. */
  set owner(owner: LockOwner) {
    this.#lock.owner = owner;
  }

  /** Empties the folder, once everything in its journal is sealed. What it adopted and has not recovered stays. */
  forget(): void {
    const adopted = join(this.path, adoptedFolder);
    if (existsSync(adopted) && readdirSync(adopted).length > 0) return;
    // The journal goes first: without the checkpoints, which tell what is finished, it would be rendered once more.
    for (const part of [journalFolder, checkpointFolder, adoptedFolder]) {
      rmSync(join(this.path, part), { recursive: true, force: true });
      syncFolderHere(this.path);
    }
  }

  /** Gives the lock back. A folder that holds anything stays, for the next start. */
  async release(): Promise<void> {
    for (const neighbour of this.neighbours) neighbour.leave();
    await this.#lock.close();
    removeIfEmpty(this.path);
  }

  /** Takes what a daemon has left that is gone; nothing, where it had nothing left. @param path - of its folder */
  adopt(path: string): void {
    const name = basename(path);
    if (name.startsWith(unlockedPrefix)) {
      // Died, or is still between making its folder and listening on its lock; it will find this one when it looks.
      const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
      if (made !== undefined && Date.now() - made > 60_000) removeIfEmpty(path);
      return;
    }
    const adopted = join(this.path, adoptedFolder);
    makeFolderHere(adopted);
    // A daemon that died while recovering others leaves theirs inside its own.
    const inner = join(path, adoptedFolder);
    for (const each of foldersIn(inner)) moveIfThere(join(inner, each), join(adopted, each));
    moveIfThere(path, join(adopted, name));
  }
}

/** A folder whose daemon does not listen on its lock yet. */
const unlockedPrefix = '.new-';

/** Names of the folders in a folder. Whatever else lies there is nobody's. */
function foldersIn(path: string): string[] {
  const entries = entriesOf(path) ?? [];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** What lies in a folder; null when none is there, perhaps since a moment ago. Links are not followed. */
function entriesOf(path: string): Dirent[] | null {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return null;
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Another daemon that starts or stops at this moment may have taken it away. One that is there twice keeps both. */
function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, existsSync(to) ? `${to}~${uuid()}` : to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Removes a daemon's folder in which there is nothing but its lock; anything else is somebody's. */
function removeIfEmpty(path: string): void {
  if (entriesOf(path)?.every((entry) => entry.isSocket()) !== true) return;
  rmSync(path, { recursive: true, force: true });
}

/**
 * Those of other daemons that are alive.
 *
 * @throws ReelayError `spool_locked` when there is one that neither is ending nor may be asked to
 */
async function neighboursAmong(paths: readonly string[], takeOver: boolean): Promise<Neighbour[]> {
  const neighbours: Neighbour[] = [];
  try {
    for (const path of paths) {
      // One that has its folder, but not its name yet, will find this one and give way.
      if (basename(path).startsWith(unlockedPrefix)) continue;
      const neighbour = await Neighbour.meet(path);
      if (neighbour === null) continue;
      neighbours.push(neighbour);
      const { state } = await neighbour.ask();
      if (state === 'draining' || (state === 'running' && takeOver)) continue;
      throw new ReelayError('spool_locked', { value: path, remedy: remedies[state] });
    }
    return neighbours;
  } catch (error) {
    for (const neighbour of neighbours) neighbour.leave();
    throw error;
  }
}

const remedies = {
  starting: 'Another daemon is starting just now; start this one when that is ready.',
  running: 'Stop that daemon, take over from it with --take-over, or give this one a spool.dir of its own.',
  silent:
    'Stop that daemon, which is of another version, another user or stuck, or give this one a spool.dir of its own.',
};
