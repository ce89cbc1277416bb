import { Worker, type Transferable } from 'node:worker_threads';
import type { Logger } from 'pino';

/** A thread that misses its heartbeat for this long is ended and replaced, ms. */
export const heartbeatTimeoutMs = 2000;
/** A new thread has this long to load and to beat for the first time, ms. */
const firstBeatMs = 10_000;
const checkMs = 250;
/** Wait before a restart: doubled each time, back to the start after a thread lived long enough. */
const firstBackoffMs = 50;
const longestBackoffMs = 5000;
const livedLongMs = 10_000;

export interface ThreadOptions {
  readonly name: string;
  readonly entry: URL;
  /** Makes what the thread is started with; called anew for every successor. */
  readonly data: (heartbeat: SharedArrayBuffer) => { data: object; transfer: Transferable[] };
  /** Limit of the thread's heap, MiB. */
  readonly heapMiB: number;
  readonly onMessage: (message: unknown) => void;
  /** The thread has ended unexpectedly and a successor will be started. */
  readonly onLost: () => void;
  readonly log: Logger;
}

/**
 * A worker thread that is kept running: one that throws, exits, runs out of heap or stops beating is replaced, after its
 * `exit` and never before, so that there are never two of them.
 */
export class SupervisedThread {
  readonly #options: ThreadOptions;
  #worker: Worker | null = null;
  #heartbeat = new Int32Array(new SharedArrayBuffer(4));
  #seen = 0;
  #missedChecks = 0;
  #startedMs = 0;
  #backoffMs = firstBackoffMs;
  #stopping = false;
  #timer: NodeJS.Timeout | null = null;
  #checker: NodeJS.Timeout | null = null;

  constructor(options: ThreadOptions) {
    this.#options = options;
  }

  start(): void {
    this.#checker ??= setInterval(() => this.#check(), checkMs);
    const heartbeat = new SharedArrayBuffer(4);
    this.#heartbeat = new Int32Array(heartbeat);
    this.#seen = 0;
    this.#missedChecks = 0;
    this.#startedMs = performance.now();
    const { entry, name, heapMiB, log } = this.#options;
    const { data, transfer } = this.#options.data(heartbeat);
    const worker = new Worker(entry, {
      name,
      workerData: data,
      transferList: transfer,
      resourceLimits: { maxOldGenerationSizeMb: heapMiB },
    });
    this.#worker = worker;
    worker.on('message', (message: unknown) => this.#options.onMessage(message));
    worker.on('error', (error) =>
      log.error({ err: error, worker: name, code: 'thread_lost' }, 'a thread failed'),
    );
    worker.on('exit', (exitCode) => this.#ended(exitCode));
  }

  /** @returns false when there is no thread just now; its successor won't hear of it either */
  post(message: object, transfer: Transferable[] = []): boolean {
    this.#worker?.postMessage(message, transfer);
    return this.#worker !== null;
  }

  /** Ends the thread for good. What it still had to do must have been waited for before. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#checker !== null) clearInterval(this.#checker);
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#worker?.terminate();
  }

  /** Counts turns of this loop in which the thread didn't beat: a machine that sleeps, or this loop itself, is no fault of it. */
  #check(): void {
    const beats = this.#heartbeat[0] ?? 0;
    if (beats !== this.#seen) {
      this.#seen = beats;
      this.#missedChecks = 0;
      return;
    }
    const patience = beats === 0 ? firstBeatMs : heartbeatTimeoutMs;
    if (++this.#missedChecks * checkMs < patience || this.#worker === null) return;
    this.#missedChecks = 0;
    const { name, log } = this.#options;
    log.error({ worker: name, code: 'thread_lost', patience }, 'a thread stopped answering and is ended');
    void this.#worker.terminate();
  }

  #ended(exitCode: number): void {
    this.#worker = null;
    if (this.#stopping) return;
    if (performance.now() - this.#startedMs > livedLongMs) this.#backoffMs = firstBackoffMs;
    const { name, log } = this.#options;
    log.warn(
      { worker: name, exitCode, backoffMs: this.#backoffMs, code: 'thread_lost' },
      'a thread is started again',
    );
    this.#options.onLost();
    this.#timer = setTimeout(() => this.start(), this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, longestBackoffMs);
  }
}
