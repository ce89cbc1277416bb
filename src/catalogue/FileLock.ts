import { existsSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ReelayError } from '../config/ReelayError.js';
import { withLockPath } from '../spool/lockPath.js';

/** How long somebody who started at the same moment may take to notice, ms. */
const settleMs = 50;

/**
 * Says to other processes that a file is in use: a Unix socket beside it, which the kernel closes with whoever listens on it, however
 * that ends. It holds between containers that share the folder, and not between machines.
 *
 * Two that start in the same moment on what a killed one left may both take its socket away; so each looks, a moment later, whether
 * the socket that is there is its own.
 */
export class FileLock {
  readonly #path: string;
  readonly #server: Server;

  private constructor(path: string, server: Server) {
    this.#path = path;
    this.#server = server;
  }

  /**
   * @param file - absolute
   * @throws ReelayError `catalogue_locked`
   */
  static async take(file: string): Promise<FileLock> {
    const path = `${file}.owner`;
    const isStale = existsSync(path);
    if (isStale) {
      if (await isAnswered(path)) throw locked(file);
      rmSync(path, { force: true });
    }
    const lock = new FileLock(path, await listen(path, file));
    if (!isStale) return lock;
    const mine = statSync(path, { throwIfNoEntry: false })?.ino;
    await sleep(settleMs);
    if (statSync(path, { throwIfNoEntry: false })?.ino === mine) return lock;
    await lock.release();
    throw locked(file);
  }

  async release(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // Closing takes the socket away, unless its path was too long to be listened on directly.
    if (existsSync(this.#path) && !(await isAnswered(this.#path))) rmSync(this.#path, { force: true });
  }
}

async function listen(path: string, file: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  try {
    await withLockPath(
      dirname(path),
      (there) =>
        new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(there, resolve);
        }),
      basename(path),
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw locked(file);
    throw error;
  }
  // A connection that breaks while it is accepted is nobody's concern.
  server.on('error', () => undefined);
  return server.unref();
}

async function isAnswered(path: string): Promise<boolean> {
  return await withLockPath(
    dirname(path),
    (there) =>
      new Promise<boolean>((resolve) => {
        const socket = connect(there, () => {
          socket.destroy();
          resolve(true);
        });
        socket.on('error', ({ code }: NodeJS.ErrnoException) => {
          // Anything else, such as missing permission, says nothing about who listens there.
          resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT');
        });
      }),
    basename(path),
  );
}

function locked(file: string): ReelayError {
  const remedy = 'Stop the daemon that has it open, or give this one a catalogue.url of its own.';
  return new ReelayError('catalogue_locked', { value: file, remedy });
}
