import type { Logger } from 'pino';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/Config.js';
import { endProducer } from '../tap/Ring.js';
import type { FromRooms, RoomsData, ToRooms } from '../tap/RoomsMessage.js';
import { SupervisedThread } from './SupervisedThread.js';

/** Heap of the thread, MiB: it holds no more than what is on its way. */
const heapMiB = 256;
/** How long it may take to end its processes, ms. */
const stopMs = 2000;

export interface SupervisedRoomsOptions {
  /** The ring that it fills, and what numbers the records of all rings. */
  readonly ring: SharedArrayBuffer;
  readonly sequence: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly config: () => Config;
  readonly onMessage: (message: FromRooms) => void;
  readonly onReady: () => void;
  readonly onLost: () => void;
  readonly onStuck: () => void;
  readonly onTrouble: (isInTrouble: boolean) => void;
  readonly log: Logger;
}

/**
 * The thread that joins LiveKit rooms, as main sees it. It is started when the first account has a LiveKit server, or a room is to be
 * joined; daemons without have none. What a successor has to join again, main knows by its calls.
 */
export class SupervisedRooms {
  readonly #options: SupervisedRoomsOptions;
  readonly #thread: SupervisedThread;
  /** Int32 cell 0, which the thread raises: how often something was lost of which it tells; and how often it has. */
  readonly #behind = new Int32Array(new SharedArrayBuffer(4));
  #told = 0;
  #isStarted = false;
  #isReady = false;
  #stopped: (() => void) | null = null;

  constructor(options: SupervisedRoomsOptions) {
    this.#options = options;
    this.#thread = new SupervisedThread({
      name: 'rooms',
      entry: new URL('../rooms/roomsThread.js', import.meta.url),
      data: (heartbeat) => ({ data: this.#data(heartbeat), transfer: [] }),
      heapMiB,
      onMessage: (message) => this.#receive(message as FromRooms),
      onLost: () => this.#lost(),
      onStuck: () => options.onStuck(),
      onTrouble: (isInTrouble) => options.onTrouble(isInTrouble),
      log: options.log,
    });
  }

  /** Whether it has lost records of which it hasn't told yet: time must not pass over them. */
  get isBehind(): boolean {
    return this.#behind[0] !== this.#told;
  }

  /** Starts it if anybody needs it, and tells it what has changed. */
  configured(): void {
    const { accounts, limits } = this.#options.config();
    if (!this.#isStarted && accounts.some(({ livekit }) => livekit !== null)) this.#start();
    const { roomsPerProcess, roomProcesses } = limits;
    if (this.#isReady) this.#thread.post({ type: 'limits', roomsPerProcess, roomProcesses });
  }

  /** What is said while there is no thread that listens, its successor is told anew by who has said it: nothing waits here. */
  post(message: ToRooms): void {
    if (!this.#isStarted) this.#start();
    if (this.#isReady) this.#thread.post(message);
  }

  /** @returns false when it can't be ended */
  async stop(): Promise<boolean> {
    if (!this.#isStarted) return true;
    const stopped = new Promise<void>((resolve) => (this.#stopped = resolve));
    const given = new AbortController();
    if (this.#isReady && this.#thread.post({ type: 'stop' }))
      await Promise.race([
        stopped,
        sleep(stopMs, undefined, { signal: given.signal }).catch(() => undefined),
      ]);
    given.abort();
    const hasEnded = await this.#thread.stop();
    if (hasEnded) endProducer(this.#options.ring);
    return hasEnded;
  }

  #start(): void {
    this.#isStarted = true;
    this.#thread.start();
  }

  #data(heartbeat: SharedArrayBuffer): RoomsData {
    const { ring, sequence, counters, config } = this.#options;
    const { roomsPerProcess, roomProcesses } = config().limits;
    // Its predecessor may have ended in the middle of a record.
    endProducer(ring);
    return {
      ring,
      sequence,
      counters,
      heartbeat,
      behind: this.#behind.buffer,
      // Both clocks are the system's monotonic one, of which this thread's has a beginning of its own.
      clockOffsetMs: Number(process.hrtime.bigint()) / 1e6 - performance.now(),
      limits: { roomsPerProcess, roomProcesses },
      logLevel: config().log.level,
    };
  }

  #receive(message: FromRooms): void {
    if (message.type === 'ready') {
      this.#isReady = true;
      this.#options.onReady();
    } else if (message.type === 'missed') this.#told = (this.#told + 1) | 0;
    else if (message.type === 'stopped') this.#stopped?.();
    this.#options.onMessage(message);
  }

  /** What it hadn't told of is part of what is missing from its lanes anyway. */
  #lost(): void {
    this.#isReady = false;
    this.#told = this.#behind[0] ?? 0;
    this.#stopped?.();
    this.#options.onLost();
  }
}
