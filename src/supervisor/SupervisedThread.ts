import { setTimeout as sleep } from 'node:timers/promises';
import { Worker, type Transferable } from 'node:worker_threads';
import type { Logger } from 'pino';
import { runDelayMs } from '../config/systemThread.js';
import { LossLog } from './LossLog.js';
import { ThreadHealth } from './ThreadHealth.js';

/** A thread that misses its heartbeat for this long is ended and replaced, ms. What it waited for a processor doesn't count. */
export const heartbeatTimeoutMs = 2000;
/** As long as it may have waited for one: somebody else would be no better off, but a thread that hangs has to be found out. */
const mostStarvedMs = 8000;
/** A new thread has this long to load and to beat for the first time, ms: on a busy machine it comes behind everybody else. */
const firstBeatMs = 30_000;
const checkMs = 250;
const heartbeatBytes = 8;
/** Wait before a restart: none for the first, then doubled each time, and none again after a thread worked long enough. */
const firstBackoffMs = 50;
const longestBackoffMs = 5000;
const livedLongMs = 10_000;
/** How long a thread takes at most to end, ms. One that takes longer is inside a system call that doesn't return. */
const endMs = 2000;
/**
 * A thread's limits, MiB, beside its heap's. Young generation: what V8 gives a 64-bit process by itself, but not depending on how
 * much memory the machine has. Stack: Node's own default, which a recursion reaches before the system's limit. What lies outside the
 * heap (`ArrayBuffer`s: audio, files that are read) counts for none of them, and is bounded where it is used.
 */
const youngMiB = 48;
const stackMiB = 4;

/** Why a thread was lost. */
export type LossCause = 'error' | 'heap' | 'exit' | 'heartbeat' | 'start';

export interface ThreadOptions {
  readonly name: string;
  readonly entry: URL;
  /**
   * Makes what the thread is started with; called anew for every successor. The heartbeat is two cells of 32 bits: the thread counts its
   * beats in the first, and leaves in the second which of the system's threads it is.
   */
  readonly data: (heartbeat: SharedArrayBuffer) => { data: object; transfer: Transferable[] };
  /** Limit of the thread's heap, MiB. */
  readonly heapMiB: number;
  readonly onMessage: (message: unknown) => void;
  /** The thread has ended unexpectedly, or is given up; a successor will be started when it has ended. Once for each thread. */
  readonly onLost: (cause: LossCause) => void;
  /** One that was given up can't be ended: the system doesn't give it back. Its successor waits, however long that takes. */
  readonly onStuck?: () => void;
  /** It is in trouble, or no longer: see {@link ThreadHealth}. */
  readonly onTrouble?: (isInTrouble: boolean) => void;
  readonly log: Logger;
}

/**
 * A worker thread that is kept running: one that throws, exits, runs out of heap or stops beating is replaced, after its
 * `exit` and never before, so that there are never two of them.
 */
export class SupervisedThread {
  readonly #options: ThreadOptions;
  readonly #health = new ThreadHealth();
  readonly #lossLog: LossLog;
  #worker: Worker | null = null;
  #heartbeat = new Int32Array(new SharedArrayBuffer(heartbeatBytes));
  #seen = 0;
  #missedChecks = 0;
  /** How long it had waited for a processor when the first heartbeat was missed. */
  #waitedBeforeMs = 0;
  /** When the first heartbeat was seen; null before. */
  #worksSinceMs: number | null = null;
  #cause: LossCause = 'exit';
  /** It is given up and has not ended yet. */
  #isGivenUp = false;
  #isStuck = false;
  #backoffMs = 0;
  #stopping = false;
  #timer: NodeJS.Timeout | null = null;
  #checker: NodeJS.Timeout | null = null;

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.#lossLog = new LossLog(options.name, options.log);
  }

  start(): void {
    this.#checker ??= setInterval(() => this.#check(), checkMs);
    const heartbeat = new SharedArrayBuffer(heartbeatBytes);
    this.#heartbeat = new Int32Array(heartbeat);
    this.#seen = 0;
    this.#missedChecks = 0;
    this.#worksSinceMs = null;
    this.#cause = 'exit';
    this.#isGivenUp = false;
    try {
      this.#worker = this.#create(heartbeat);
    } catch (error) {
      // The system has no thread to give, or the data can't be passed on: that is tried again like anything else.
      this.#failed(error, 'start');
      this.#ended(null);
    }
  }

  /** @returns false when there is no thread just now that listens; its successor won't hear of it either */
  post(message: object, transfer: Transferable[] = []): boolean {
    // What is posted to a thread that doesn't answer would lie in memory until it does.
    if (this.#worker === null || this.#isGivenUp) return false;
    this.#worker.postMessage(message, transfer);
    return true;
  }

  /** Whether it was given up and can't be ended. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /**
   * Ends the thread for good. What it still had to do must have been waited for before.
   *
   * @returns false when it doesn't end. Then `process.exit` won't return either, because it waits for every thread
   */
  async stop(): Promise<boolean> {
    this.#stopping = true;
    if (this.#checker !== null) clearInterval(this.#checker);
    if (this.#timer !== null) clearTimeout(this.#timer);
    const worker = this.#worker;
    if (worker === null) return true;
    const ended = worker.terminate().then(() => true);
    return await Promise.race([ended, sleep(endMs, false, { ref: false })]);
  }

  #create(heartbeat: SharedArrayBuffer): Worker {
    const { entry, name, heapMiB } = this.#options;
    const { data, transfer } = this.#options.data(heartbeat);
    const worker = new Worker(entry, {
      name,
      workerData: data,
      transferList: transfer,
      resourceLimits: {
        maxOldGenerationSizeMb: heapMiB,
        maxYoungGenerationSizeMb: youngMiB,
        stackSizeMb: stackMiB,
      },
    });
    worker.on('message', (message: unknown) => this.#options.onMessage(message));
    worker.on('messageerror', (error) => this.#lossLog.failed(error));
    worker.on('error', (error) => this.#failed(error, isOutOfHeap(error) ? 'heap' : 'error'));
    worker.on('exit', (exitCode) => this.#ended(exitCode));
    return worker;
  }

  #failed(error: unknown, cause: LossCause): void {
    this.#cause = cause;
    this.#lossLog.failed(error);
  }

  /** Counts turns of this loop in which the thread didn't beat: a machine that sleeps, or this loop itself, is no fault of it. */
  #check(): void {
    const beats = this.#heartbeat[0] ?? 0;
    if (beats !== this.#seen) this.#beat(beats);
    else this.#missed(beats);
    if (!this.#health.look(performance.now())) return;
    this.#lossLog.trouble(this.#health.isInTrouble);
    this.#options.onTrouble?.(this.#health.isInTrouble);
  }

  #beat(beats: number): void {
    this.#seen = beats;
    this.#missedChecks = 0;
    if (this.#isGivenUp || this.#worker === null) return;
    const nowMs = performance.now();
    this.#worksSinceMs ??= nowMs;
    this.#health.works(nowMs);
  }

  #missed(beats: number): void {
    const worker = this.#worker;
    if (worker === null || this.#isGivenUp) return;
    this.#missedChecks += 1;
    const patience = beats === 0 ? firstBeatMs : heartbeatTimeoutMs;
    if (this.#missedChecks * checkMs - this.#starvedMs() < patience) return;
    this.#cause = 'heartbeat';
    this.#lossLog.silent(patience);
    this.#giveUp();
    void worker.terminate();
    setTimeout(() => this.#stillThere(worker), endMs).unref();
  }

  /** For how much of its silence others had the processors. */
  #starvedMs(): number {
    const waitedMs = runDelayMs(this.#heartbeat[1] ?? 0);
    if (this.#missedChecks === 1) this.#waitedBeforeMs = waitedMs;
    return Math.min(waitedMs - this.#waitedBeforeMs, mostStarvedMs);
  }

  #stillThere(worker: Worker): void {
    if (this.#worker !== worker || this.#stopping) return;
    this.#isStuck = true;
    this.#lossLog.stuck();
    this.#options.onStuck?.();
  }

  #giveUp(): void {
    this.#isGivenUp = true;
    this.#health.lost(performance.now());
    this.#options.onLost(this.#cause);
  }

  #ended(exitCode: number | null): void {
    this.#worker = null;
    this.#isStuck = false;
    if (this.#stopping) return;
    const worksSinceMs = this.#worksSinceMs ?? Infinity;
    if (performance.now() - worksSinceMs > livedLongMs) this.#backoffMs = 0;
    this.#lossLog.again({ exitCode, backoffMs: this.#backoffMs, cause: this.#cause });
    if (!this.#isGivenUp) this.#giveUp();
    this.#timer = setTimeout(() => this.start(), this.#backoffMs);
    this.#backoffMs = Math.min(Math.max(this.#backoffMs * 2, firstBackoffMs), longestBackoffMs);
  }
}

function isOutOfHeap(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
}
