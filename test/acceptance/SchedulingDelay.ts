import { Worker } from 'node:worker_threads';
import { tickMs, windowMs } from './schedulingDelayThread.js';

/**
 * How late this machine lets a thread run that asked to be woken: a thread of its own does nothing but sleep for 10 ms again
 * and again and note by how much it overslept. The daemon's threads stand in the same queue for the same processors. With a file it also
 * writes 4 KiB there each time: a disk that is busy with syncs, of whomever, lets a plain write wait.
 */
export class SchedulingDelay {
  readonly #worst = new Float64Array(new SharedArrayBuffer(16));
  readonly #worker: Worker;

  /** @param file - on the disk that is meant; written over and over */
  constructor(file?: string) {
    const workerData = { worst: this.#worst.buffer, file };
    this.#worker = new Worker(new URL('./schedulingDelayThread.js', import.meta.url), { workerData });
    this.#worker.unref();
  }

  /** The longest delay since it was last taken, ms; at least what the sleep's own resolution hides. */
  take(): number {
    const worst = this.#worst[0] ?? 0;
    this.#worst[0] = 0;
    return worst;
  }

  /**
   * The most that it was late altogether within {@link windowMs} since this was last taken, ms. A thread that has something to do is
   * held up again and again on a machine that is short of processors, and each time counts.
   */
  takeTogether(): number {
    const worst = this.#worst[1] ?? 0;
    this.#worst[1] = 0;
    return worst;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  static readonly tickMs = tickMs;
  static readonly windowMs = windowMs;
}
