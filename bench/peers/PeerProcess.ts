import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { eventually } from '../../test/acceptance/eventually.js';
import { descendants } from './cores.js';
import type { Complaints, RunningSubject } from './Subject.js';

/** Servers lie where only root looks for programs. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin` };
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) killWhole(child);
});

/** A subject that is a program of its own and the live path with all that it does, on one processor. */
export class PeerProcess implements RunningSubject {
  port = 0;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #said = '';

  private constructor(command: readonly string[], core: number, takesPort: boolean) {
    const child = spawn('taskset', ['-c', String(core), ...command], {
      stdio: ['ignore', takesPort ? 'pipe' : 'ignore', 'pipe'],
      env,
    });
    this.#child = child;
    this.#closed = once(child, 'close');
    running.add(child);
    child.once('exit', () => running.delete(child));
    child.stderr?.on('data', (text: Buffer) => (this.#said = `${this.#said}${text.toString()}`.slice(-2000)));
  }

  /** Starts a program that was told its port, and waits until it listens there. */
  static async onPort(command: readonly string[], core: number, port: number): Promise<PeerProcess> {
    const peer = new PeerProcess(command, core, false);
    peer.port = port;
    await eventually(`${command[0]} listens`, async () => {
      if (peer.#child.exitCode !== null) throw new Error(`${command[0]} ended: ${peer.#said}`);
      return await listens(port);
    });
    return peer;
  }

  /** Starts a module of the bench, which says its port in its first line. */
  static async module(path: string, words: readonly string[], core: number): Promise<PeerProcess> {
    const peer = new PeerProcess([process.execPath, path, ...words], core, true);
    const { stdout } = peer.#child;
    if (stdout === null) throw new Error('a peer has no output');
    peer.port = await new Promise<number>((resolve, reject) => {
      createInterface(stdout).once('line', (line) => resolve(Number(line)));
      peer.#child.once('exit', (code) => reject(new Error(`${path} ended with ${code}: ${peer.#said}`)));
    });
    return peer;
  }

  get pids(): readonly number[] {
    const pid = this.#child.pid ?? -1;
    return [pid, ...descendants(pid)];
  }

  isLive(): boolean {
    return true;
  }

  /** What it starts inherits its processor. */
  pin(): void {
    // Nothing has to be moved.
  }

  complaints(): Promise<Complaints> {
    const ended = this.#child.exitCode ?? this.#child.signalCode;
    const live = ended === null ? [] : [`it ended with ${ended}: ${this.#said}`];
    return Promise.resolve({ live, beside: [] });
  }

  async stop(): Promise<void> {
    killWhole(this.#child);
    await this.#closed;
  }
}

/** With those that it started, which would outlive it; they come second, because it would start others in their stead. */
function killWhole(child: ChildProcess): void {
  const started = descendants(child.pid ?? -1);
  child.kill('SIGKILL');
  for (const pid of started) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }
}

/** @returns null when it can be run, else what is missing */
export function missingProgram(name: string, from: string): string | null {
  const { error } = spawnSync(name, ['-v'], { stdio: 'ignore', env });
  return error === undefined ? null : `${name} is not installed (Debian: ${from})`;
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
