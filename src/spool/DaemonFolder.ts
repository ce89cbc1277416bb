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
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { ReelayError } from '../config/ReelayError.js';
import { daemonsFolder } from './layout.js';

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
    try {
      mkdirSync(base, { recursive: true });
    } catch (error) {
      throw new ReelayError('spool_unwritable', {
        value: spoolDir,
        cause: error,
        remedy: 'Name a folder under spool.dir that this user may write.',
      });
    }
    const name = uuid();
    const fresh = join(base, `.new-${name}`);
    mkdirSync(fresh);
    const lock = await listen(fresh);
    const path = join(base, name);
    renameSync(fresh, path);
    const folder = new DaemonFolder(path, lock);
    try {
      for (const other of readdirSync(base))
        if (other !== name) await folder.#adopt(join(base, other), other);
    } catch (error) {
      await folder.release();
      rmSync(path, { recursive: true });
      throw error;
    }
    return folder;
  }

  /** Removes the folder, once everything in its journal is sealed. What it adopted and has not recovered stays. */
  forget(): void {
    const adopted = join(this.path, 'adopted');
    if (existsSync(adopted) && readdirSync(adopted).length > 0) return;
    rmSync(this.path, { recursive: true, force: true });
  }

  /** Gives the lock back. A folder that was not forgotten stays, for the next start. */
  async release(): Promise<void> {
    await new Promise((resolve) => this.#lock.close(resolve));
  }

  async #adopt(path: string, name: string): Promise<void> {
    if (await isAlive(path)) {
      throw new ReelayError('spool_locked', {
        value: path,
        remedy: 'Stop that daemon, or give this one a spool.dir of its own.',
      });
    }
    if (name.startsWith('.new-')) {
      // Died, or is still between making its folder and listening on its lock.
      if (Date.now() - statSync(path).mtimeMs > 60_000) rmSync(path, { recursive: true });
      return;
    }
    const adopted = join(this.path, 'adopted');
    mkdirSync(adopted, { recursive: true });
    // A daemon that died while recovering others leaves theirs inside its own.
    const inner = join(path, 'adopted');
    if (existsSync(inner)) {
      for (const each of readdirSync(inner)) renameSync(join(inner, each), join(adopted, each));
    }
    renameSync(path, join(adopted, name));
  }
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
