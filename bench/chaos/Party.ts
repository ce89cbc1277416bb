import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LogHistogram } from '../LogHistogram.js';
import type { HistogramData, PartyAnswer, PartyAnswers, PartyOrder } from './PartyMessage.js';

export interface LatencyWindow {
  /** Both directions together. */
  readonly relay: LogHistogram;
  /** How late the measuring process's own timer was. */
  readonly lateness: LogHistogram;
}

/** The process that holds all callers and bots, see `partyProcess.ts`. */
export class Party {
  readonly upstream: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  #asked = 0;

  private constructor(child: ChildProcess, upstream: string) {
    this.#child = child;
    this.upstream = upstream;
    child.on('message', ({ id, answer, problem }: PartyAnswer) => {
      const asker = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (problem === null) asker?.resolve(answer as never);
      else asker?.reject(new Error(problem));
    });
    child.once('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the party ended with ${code}`));
    });
  }

  /** @param niceness - before the daemon by default, because the load must not wait for what it loads */
  static async start(niceness = -10): Promise<Party> {
    const child = fork(fileURLToPath(new URL('./partyProcess.js', import.meta.url)), [String(niceness)]);
    process.once('exit', () => child.kill('SIGKILL'));
    const [upstream] = (await once(child, 'message')) as [string];
    return new Party(child, upstream);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  async ask<T extends PartyOrder>(order: T): Promise<PartyAnswers[T['type']]> {
    const id = ++this.#asked;
    const answered = new Promise<PartyAnswers[T['type']]>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    this.#child.send({ id, order });
    return await answered;
  }

  /** Frames sent from the begin of the window to its end count, whenever they arrive. */
  async measure(during: () => Promise<void>): Promise<LatencyWindow> {
    await this.ask({ type: 'beginWindow' });
    await during();
    const { up, down, lateness } = await this.ask({ type: 'endWindow' });
    return { relay: histogram(up).merge(histogram(down)), lateness: histogram(lateness) };
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

function histogram({ counts, max }: HistogramData): LogHistogram {
  return new LogHistogram(counts, max);
}
