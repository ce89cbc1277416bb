import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { lockName, withLockPath } from './lockPath.js';

/** What a daemon says of itself to one that starts on the same spool. */
export interface LockOwner {
  readonly state: 'running' | 'draining';
  /** Ports that it listens on, or did. */
  readonly ports: readonly number[];
  /** Lets its calls end, and gives its ports back. */
  handOver(): HandOver;
}

/** Settles as the ports are free; the first one is that of the media. */
export interface HandOver {
  readonly media: Promise<void>;
  readonly control: Promise<void>;
}

/** Who is connected and says nothing is sent away after this time, ms. */
const silentMs = 2000;
/** Bytes of a question, and questions of one connection. */
const longestQuestion = 32;
const mostQuestions = 16;
/** Connections at once; a further one takes the place of the oldest. */
const mostGuests = 64;

/**
 * The lock on a daemon's folder: a Unix socket that lives as long as its process, and over which daemons on one spool talk. Lines of
 * ASCII, one question, one answer:
 *
 *     state       starting | running <media port> <control port> | draining <media port> <control port>
 *     hand over   media, when the media port is free; then control, when that one is
 *
 * A guest that has asked may stay: the end of its connection tells it that the daemon is gone. Only the user that the daemon runs as
 * may connect, who could as well end it; all the same a guest that sends anything else, too much or nothing is shown the door.
 */
export class SpoolLock {
  /** Null as long as the daemon starts. */
  owner: LockOwner | null = null;
  readonly #server: Server;
  readonly #guests = new Set<Socket>();

  private constructor() {
    this.#server = createServer((socket) => this.#receive(socket));
  }

  /** @param folder - absolute; nobody else may listen there */
  static async listen(folder: string): Promise<SpoolLock> {
    const lock = new SpoolLock();
    const server = lock.#server;
    await withLockPath(
      folder,
      (path) =>
        new Promise<void>((resolve, reject) => {
          server.once('error', reject);
          server.listen(path, resolve);
        }),
    );
    server.unref();
    chmodSync(join(folder, lockName), 0o600);
    return lock;
  }

  /** From now on the folder is anybody's. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const guest of this.#guests) guest.destroy();
    await closed;
  }

  #receive(socket: Socket): void {
    this.#guests.add(socket);
    for (const oldest of this.#guests) {
      if (this.#guests.size <= mostGuests) break;
      this.#guests.delete(oldest);
      oldest.destroy();
    }
    const silent = setTimeout(() => socket.destroy(), silentMs).unref();
    let waiting = '';
    let asked = 0;
    socket.unref().setEncoding('latin1');
    // One that breaks is closed, and nothing more is to be done about it.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(silent);
      this.#guests.delete(socket);
    });
    socket.on('data', (text: string) => {
      const lines = (waiting + text).split('\n');
      waiting = lines.pop() ?? '';
      asked += lines.length;
      const isWellBehaved =
        waiting.length <= longestQuestion &&
        asked <= mostQuestions &&
        lines.every((line) => this.#answer(line, socket));
      if (!isWellBehaved) socket.destroy();
      else if (asked > 0) clearTimeout(silent);
    });
  }

  /** @returns whether that was a question */
  #answer(line: string, socket: Socket): boolean {
    const { owner } = this;
    if (line === 'state') {
      socket.write(owner === null ? 'starting\n' : `${[owner.state, ...owner.ports].join(' ')}\n`);
      return true;
    }
    if (line !== 'hand over' || owner === null) return false;
    const { media, control } = owner.handOver();
    void media.then(() => socket.write('media\n'));
    void Promise.all([media, control]).then(() => socket.write('control\n'));
    return true;
  }
}
