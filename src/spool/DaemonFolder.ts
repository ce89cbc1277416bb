import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { basename, join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { ReelayError } from '../config/ReelayError.js';
import { adoptedFolder, checkpointFolder, daemonsFolder, journalFolder } from './layout.js';

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
  readonly #lock: Server;

  private constructor(path: string, lock: Server) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes a locked folder of this daemon's own and adopts those of daemons that are gone.
   *
   * @param spoolDir - absolute path of the spool; made when it isn't there
   * @throws ReelayError `spool_locked` when another daemon is running on this spool, `spool_unwritable`
   */
  static async claim(spoolDir: string): Promise<DaemonFolder> {
    const base = join(spoolDir, daemonsFolder);
    const folder = await create(base).catch((error: unknown) => {
      throw new ReelayError('spool_unwritable', {
        value: spoolDir,
        cause: error,
        remedy: 'Name a folder under spool.dir that this user may write.',
      });
    });
    try {
      const others = foldersIn(base).filter((name) => join(base, name) !== folder.path);
      // All are asked before any is touched: a daemon that may not start must leave everything as it was.
      for (const name of others) await refuseIfAlive(join(base, name));
      for (const name of others) folder.#adopt(join(base, name), name);
    } catch (error) {
      await folder.release();
      throw error;
    }
    return folder;

    async function create(within: string): Promise<DaemonFolder> {
      const name = uuid();
      const fresh = join(within, unlockedPrefix + name);
      mkdirSync(fresh, { recursive: true });
      const lock = await listen(fresh);
      renameSync(fresh, join(within, name));
      return new DaemonFolder(join(within, name), lock);
    }
  }

  /** Empties the folder, once everything in its journal is sealed. What it adopted and has not recovered stays. */
  forget(): void {
    const adopted = join(this.path, adoptedFolder);
    if (existsSync(adopted) && readdirSync(adopted).length > 0) return;
    // The journal goes first: without the checkpoints, which tell what is finished, it would be rendered once more.
    for (const part of [journalFolder, checkpointFolder, adoptedFolder]) {
      rmSync(join(this.path, part), { recursive: true, force: true });
    }
  }

  /** Gives the lock back. A folder that holds anything stays, for the next start. */
  async release(): Promise<void> {
    await new Promise((resolve) => this.#lock.close(resolve));
    if (foldersIn(this.path).length === 0) rmSync(this.path, { recursive: true, force: true });
  }

  #adopt(path: string, name: string): void {
    if (name.startsWith(unlockedPrefix)) {
      // Died, or is still between making its folder and listening on its lock; it will find this one when it looks.
      const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
      if (made !== undefined && Date.now() - made > 60_000) rmSync(path, { recursive: true, force: true });
      return;
    }
    const adopted = join(this.path, adoptedFolder);
    mkdirSync(adopted, { recursive: true });
    // A daemon that died while recovering others leaves theirs inside its own.
    const inner = join(path, adoptedFolder);
    for (const each of foldersIn(inner)) moveIfThere(join(inner, each), join(adopted, each));
    moveIfThere(path, join(adopted, name));
  }
}

/** A folder whose daemon does not listen on its lock yet. */
const unlockedPrefix = '.new-';

/** Names of the folders in a folder, none when it isn't there. Whatever else lies there is nobody's. */
function foldersIn(path: string): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Another daemon that starts or stops at this moment may have taken it away. */
function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

async function refuseIfAlive(path: string): Promise<void> {
  // One that has its folder, but not its name yet, will find this one and give way.
  if (basename(path).startsWith(unlockedPrefix) || !(await isAlive(path))) return;
  throw new ReelayError('spool_locked', {
    value: path,
    remedy: 'Stop that daemon, or give this one a spool.dir of its own.',
  });
}

const lockName = 'lock';
/** Unix socket paths are limited to 108 bytes (unix(7)), 104 on some systems. */
const longestSocketPath = 100;

async function listen(folder: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await withSocketPath(
    folder,
    (path) =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      }),
  );
  server.unref();
  return server;
}

async function isAlive(folder: string): Promise<boolean> {
  if (!existsSync(join(folder, lockName))) return false;
  return withSocketPath(
    folder,
    (path) =>
      new Promise<boolean>((resolve) => {
        const socket = connect(path, () => {
          socket.destroy();
          resolve(true);
        });
        socket.on('error', (error: NodeJS.ErrnoException) => {
          resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
        });
      }),
  );
}

/** A path that is too long for a socket is reached through an open handle on its folder. */
async function withSocketPath<T>(folder: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = join(folder, lockName);
  if (Buffer.byteLength(path) <= longestSocketPath || process.platform !== 'linux') return use(path);
  const handle = openSync(folder, 'r');
  try {
    return await use(`/proc/self/fd/${handle}/${lockName}`);
  } finally {
    closeSync(handle);
  }
}
