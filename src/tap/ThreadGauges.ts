import { getHeapStatistics } from 'node:v8';
import type { Counters, ThreadName } from './Counters.js';
import { LoopGauge } from './LoopGauge.js';
import { PauseGauge } from './PauseGauge.js';

/** As often as a call's frames come; where no frame waits, each wakening for nothing costs more than what it tells. */
const loopEveryMs = { media: 20, recorder: 100, control: 100 } as const;
const heapEveryMs = 1000;

/** What a thread measures of itself: how late its event loop is, its garbage collection's pauses, its heap. */
export class ThreadGauges {
  readonly #loop: LoopGauge;
  readonly #pauses: PauseGauge;
  readonly #lookAtHeap: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param thread - the one that this runs in; nobody else may write its cells */
  constructor(counters: Counters, thread: ThreadName) {
    this.#loop = new LoopGauge(counters.loopDelay[thread], loopEveryMs[thread]);
    this.#pauses = new PauseGauge(counters.gcPause[thread]);
    this.#lookAtHeap = () => counters.set(`${thread}HeapBytes`, getHeapStatistics().used_heap_size);
  }

  /** Keeps no thread alive. */
  start(): this {
    this.#loop.start();
    this.#pauses.start();
    this.#lookAtHeap();
    this.#timer = setInterval(this.#lookAtHeap, heapEveryMs).unref();
    return this;
  }

  stop(): void {
    this.#loop.stop();
    this.#pauses.stop();
    clearInterval(this.#timer);
  }
}
