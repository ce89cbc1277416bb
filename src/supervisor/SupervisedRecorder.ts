import type { MessagePort } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { FromRecorder, RecorderData, ToRecorder } from '../recorder/RecorderMessage.js';
import { SupervisedThread } from './SupervisedThread.js';

/** Heap of the thread, MiB. Audio lies outside the heap, so this is bookkeeping and messages. */
const heapMiB = 512;
/** How long the start waits for the recorder, ms; after that calls come first. */
const patienceMs = 5000;
/** Recorders that may be lost while they seal what the last one left, before the daemon ends without. */
const lossesAtEnd = 3;

export interface SupervisedRecorderOptions {
  readonly data: Omit<RecorderData, 'heartbeat' | 'controlPort' | 'mends'>;
  /** A port to the control thread that is there now, whose other end that has. */
  readonly controlPort: () => MessagePort;
  readonly onReady: () => void;
  readonly onLost: () => void;
  /** It can't be ended, so it has no successor for now. */
  readonly onStuck: () => void;
  readonly onTrouble: (isInTrouble: boolean) => void;
  /** Its disk refuses, or takes again what it is given. */
  readonly onBlocked: (isBlocked: boolean) => void;
  readonly log: Logger;
}

/** The recorder thread as main sees it: what it was asked to do, one of its successors does. */
export class SupervisedRecorder {
  readonly #options: SupervisedRecorderOptions;
  readonly #thread: SupervisedThread;
  #ready: (() => void) | null = null;
  #recovered: (() => void)[] = [];
  #sealed: ((isSealed: boolean) => void) | null = null;
  #losses = 0;
  #isMended = false;

  constructor(options: SupervisedRecorderOptions) {
    this.#options = options;
    this.#thread = new SupervisedThread({
      name: 'recorder',
      entry: new URL('../recorder/recorderThread.js', import.meta.url),
      data: (heartbeat) => {
        const controlPort = options.controlPort();
        const data: RecorderData = { ...options.data, heartbeat, controlPort, mends: !this.#isMended };
        return { data, transfer: [controlPort] };
      },
      heapMiB,
      onMessage: (message) => this.#receive(message as FromRecorder),
      onLost: () => this.#lost(),
      onStuck: () => this.#stuck(),
      onTrouble: (isInTrouble) => options.onTrouble(isInTrouble),
      log: options.log,
    });
  }

  /** Calls that came in before anybody reads the ring would lose more than a flush interval to a crash, so it is waited for. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve) => (this.#ready = resolve));
    this.#thread.start();
    const given = new AbortController();
    await Promise.race([
      ready,
      sleep(patienceMs, undefined, { signal: given.signal }).catch(() => undefined),
    ]);
    given.abort();
  }

  post(message: ToRecorder, transfer: MessagePort[] = []): void {
    this.#thread.post(message, transfer);
  }

  /** Has what was adopted rendered and sealed, by a successor if need be. */
  recover(): Promise<void> {
    const recovered = new Promise<void>((resolve) => this.#recovered.push(resolve));
    this.post({ type: 'recover' });
    return recovered;
  }

  /** @returns whether everything is sealed. One that fails at it again and again leaves its journal to the next start */
  seal(): Promise<boolean> {
    if (this.#thread.isStuck) return Promise.resolve(false);
    const sealed = new Promise<boolean>((resolve) => (this.#sealed = resolve));
    this.post({ type: 'stop' });
    return sealed;
  }

  /** @returns false when it can't be ended */
  async stop(): Promise<boolean> {
    return await this.#thread.stop();
  }

  #receive(message: FromRecorder): void {
    switch (message.type) {
      case 'ready':
        this.#ready?.();
        this.#options.onReady();
        // What its predecessor was told and didn't come to do.
        this.#recovered.forEach(() => this.post({ type: 'recover' }));
        if (this.#sealed !== null) this.post({ type: 'stop' });
        return;
      case 'recovered':
        this.#recovered.shift()?.();
        return;
      case 'mended':
        this.#isMended = true;
        return;
      case 'blocked':
        return this.#options.onBlocked(message.isBlocked);
      case 'stopped':
        this.#sealed?.(message.sealed);
    }
  }

  /** What it was told to seal stays in its journal for the next start. */
  #stuck(): void {
    this.#options.onStuck();
    this.#sealed?.(false);
  }

  #lost(): void {
    this.#options.onLost();
    if (this.#sealed !== null && ++this.#losses >= lossesAtEnd) this.#sealed(false);
  }
}
