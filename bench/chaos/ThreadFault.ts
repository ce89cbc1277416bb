import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../../test/acceptance/eventually.js';
import type { Fault } from './Fault.js';
import type { Scene } from './Scene.js';

type Thread = 'recorder' | 'control';
type Way = 'throw' | 'hang' | 'exit' | 'heap';

/** Between a successor's being ready and the next fault, ms. */
const restMs = 250;

/** A worker thread ends, or hangs, again and again. */
export class ThreadFault implements Fault {
  readonly name: string;
  readonly setting = 'plain';
  readonly #thread: Thread;
  readonly #way: Way;
  #applied = 0;
  #restartsBefore = 0;
  #over = false;
  #running: Promise<void> = Promise.resolve();

  constructor(thread: Thread, way: Way) {
    this.name = `${thread}-${way}`;
    this.#thread = thread;
    this.#way = way;
  }

  async prepare({ daemon }: Scene): Promise<void> {
    this.#restartsBefore = await daemon.metric(this.#metric);
  }

  begin(scene: Scene): Promise<void> {
    this.#over = false;
    this.#running = this.#again(scene);
    // A failure is told by whoever waits for the end.
    this.#running.catch(() => undefined);
    return Promise.resolve();
  }

  async end(scene: Scene): Promise<void> {
    this.#over = true;
    await this.#running;
    await scene.allReady();
  }

  async evidence({ daemon }: Scene): Promise<string> {
    const restarts = (await daemon.metric(this.#metric)) - this.#restartsBefore;
    if (restarts < this.#applied || this.#applied === 0) {
      throw new Error(`${this.#applied} faults were followed by ${restarts} restarts`);
    }
    return `${restarts} restarts`;
  }

  async #again(scene: Scene): Promise<void> {
    while (!this.#over) {
      const before = await this.#restarts(scene);
      await scene.daemon.fault(this.#thread, this.#way);
      this.#applied += 1;
      await eventually(
        `${this.#thread} is started again`,
        async () => (await this.#restarts(scene)) > before,
        { everyMs: 100, attempts: 400 },
      );
      await scene.allReady();
      await sleep(restMs);
    }
  }

  /** While control is away nobody can say: then nothing has changed yet. */
  async #restarts({ daemon }: Scene): Promise<number> {
    return await daemon.metric(this.#metric).catch(() => -1);
  }

  get #metric(): string {
    return `reelay_${this.#thread}_restarts_total`;
  }
}
