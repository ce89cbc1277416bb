import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { loadProgram } from './loadProgram.js';

/** A line of JSON that the load program says. */
export interface LoadLine {
  readonly event: string;
  readonly [key: string]: unknown;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** The load program while it runs. */
export class LoadProcess {
  /** Its exit code, null when a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ended: Promise<number | null>) {
    this.#child = child;
    this.ended = ended;
  }

  /** @param onLine - called at once for each line, before anything else is done */
  static start(words: readonly string[], onLine: (line: LoadLine) => void): LoadProcess {
    const child = spawn(loadProgram(), words, { stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(child);
    child.once('exit', () => running.delete(child));
    createInterface(child.stdout).on('line', (text) => onLine(JSON.parse(text) as LoadLine));
    const ended = once(child, 'close').then(([code]) => code as number | null);
    return new LoadProcess(child, ended);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
