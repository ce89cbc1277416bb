import { lstatSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { lockName, withLockPath } from './lockPath.js';

/** What another daemon on the same spool says of itself. `silent`: it lives and says nothing, as those did that know no questions. */
export interface NeighbourState {
  readonly state: 'starting' | 'running' | 'draining' | 'silent';
  readonly ports: readonly number[];
}

/** How long an answer is waited for, ms. A daemon's main thread is never busy for that long. */
const patienceMs = 5000;
/** How long a port of its control thread is waited for, ms: that thread may hang, and be replaced. */
const controlPatienceMs = 15_000;
const longestAnswer = 256;

/** Another daemon that is alive on the same spool, as seen through its lock; see {@link SpoolLock} for what is said. */
export class Neighbour {
  /** Its folder, absolute. */
  readonly path: string;
  /** Settles when the connection ends: the daemon is gone, or has had enough. */
  readonly gone: Promise<void>;
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  #heard: () => void = () => undefined;
  #isGone = false;

  private constructor(path: string, socket: Socket) {
    this.path = path;
    this.#socket = socket;
    this.gone = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isGone = true;
        this.#heard();
        resolve();
      });
    });
    let waiting = '';
    socket.unref().setEncoding('latin1');
    socket.on('data', (text: string) => {
      const lines = (waiting + text).split('\n');
      waiting = lines.pop() ?? '';
      if (waiting.length > longestAnswer || this.#lines.length + lines.length > longestAnswer)
        socket.destroy();
      this.#lines.push(...lines);
      this.#heard();
    });
  }

  /** @returns null when nobody holds the lock. @throws the system's errors, such as EMFILE */
  static async meet(path: string): Promise<Neighbour | null> {
    // A link to somebody's socket is nobody's lock.
    if (lstatSync(join(path, lockName), { throwIfNoEntry: false })?.isSocket() !== true) return null;
    return await withLockPath(
      path,
      (lock) =>
        new Promise<Neighbour | null>((resolve) => {
          const socket = connect(lock);
          const neighbour = new Neighbour(path, socket);
          socket.once('connect', () => resolve(neighbour));
          socket.on('error', (error: NodeJS.ErrnoException) => {
            // Anything else, a lock of another user for instance, is held by somebody.
            resolve(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? null : neighbour);
          });
        }),
    ).catch((error: unknown) => {
      // One that ends takes its folder away, perhaps between two looks.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    });
  }

  async ask(): Promise<NeighbourState> {
    const [state, ...ports] = (await this.#question('state'))?.split(' ') ?? [];
    const isKnown = state === 'starting' || state === 'running' || state === 'draining';
    return { state: isKnown ? state : 'silent', ports: ports.map(Number) };
  }

  /**
   * Has it let its calls end and give its ports back.
   *
   * @returns when the media port is free: null if that didn't come about; and when the control port is, or is waited for no longer
   */
  async handOver(): Promise<{ readonly control: Promise<unknown> } | null> {
    const isFree = (await this.#question('hand over')) === 'media' || this.#isGone;
    return isFree ? { control: this.#line(controlPatienceMs) } : null;
  }

  leave(): void {
    this.#socket.destroy();
  }

  #question(text: string): Promise<string | undefined> {
    if (!this.#isGone) this.#socket.write(`${text}\n`);
    return this.#line(patienceMs);
  }

  /** The next line; undefined when there is none in time. */
  async #line(withinMs: number): Promise<string | undefined> {
    let timer: NodeJS.Timeout | undefined;
    if (this.#lines.length === 0 && !this.#isGone) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
        timer = setTimeout(resolve, withinMs);
      });
      clearTimeout(timer);
    }
    return this.#lines.shift();
  }
}
