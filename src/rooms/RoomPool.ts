import type { Logger } from 'pino';
import { ReelayError } from '../config/ReelayError.js';
import type { Counters } from '../tap/Counters.js';
import { RoomProcess, type RoomProcessOptions, type Start } from './RoomProcess.js';

export interface PoolLimits {
  readonly roomsPerProcess: number;
  readonly roomProcesses: number;
}

/** After so many rooms a process gets no more and ends with the last of them: its native library keeps something of each. */
const mostJoined = 50;
/** Wait before another process is started in the place of one that ended before it could be used, ms; doubled each time. */
const firstBackoffMs = 100;
const longestBackoffMs = 10_000;
/** How long it is believed that the library can't be loaded, ms: somebody may install it. */
const unusableMs = 60_000;

/**
 * The processes that sit in rooms: as many as their rooms need, and one to spare that is loaded already, so that a room that begins is
 * joined at once. What a room costs grows with the rooms of its process, because each sees every event of all of them.
 */
export class RoomPool {
  readonly #entry: URL;
  readonly #log: Logger;
  readonly #startWith: Start | undefined;
  readonly #counters: Counters;
  readonly #processes = new Set<RoomProcess>();
  readonly #waiting = new Set<() => void>();
  #limits: PoolLimits;
  #backoffMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #unusable: { readonly message: string; readonly untilMs: number } | null = null;
  #isEnding = false;

  constructor(options: {
    readonly entry: URL;
    readonly limits: PoolLimits;
    readonly counters: Counters;
    readonly log: Logger;
    /** Default: `spawn`. */
    readonly start?: Start;
  }) {
    this.#entry = options.entry;
    this.#limits = options.limits;
    this.#counters = options.counters;
    this.#log = options.log;
    this.#startWith = options.start;
  }

  set limits(limits: PoolLimits) {
    this.#limits = limits;
    this.warm();
  }

  /** Sees to it that there is a process with room for one more, if there may be another. */
  warm(isAlone = false): void {
    if (this.#isEnding || this.#unusableNow !== null || this.#timer !== undefined) return;
    if (this.#open(isAlone).length === 0 && this.#processes.size < this.#limits.roomProcesses) this.#start();
    this.#thin();
  }

  /**
   * A process that can join a room now, and has a place reserved for it; resolves when there is one.
   *
   * @param isAlone - it is to have none but this room, if there may be as many processes
   * @returns null when none is to be had: there are as many as there may be, and all are full
   * @throws ReelayError `sdk_missing`
   */
  async place(signal: AbortSignal, isAlone = false): Promise<RoomProcess | null> {
    for (;;) {
      const unusable = this.#unusableNow;
      if (unusable !== null) {
        const remedy =
          'Run npm install @livekit/rtc-node@1.1.0 beside reelay, on glibc: there is none for musl.';
        throw new ReelayError('sdk_missing', { value: unusable, remedy });
      }
      const ready = this.#open(isAlone).filter(({ isReady }) => isReady);
      const [emptiest] = ready.sort((a, b) => a.size - b.size);
      emptiest?.reserve(isAlone);
      if (emptiest !== undefined) return emptiest;
      this.warm(isAlone);
      // One that is being started, or will be in a moment, has a place.
      const isToCome = this.#open(isAlone).length > 0 || this.#timer !== undefined;
      if (isToCome) await this.#change(signal);
      else if (isAlone) return await this.place(signal);
      else return null;
    }
  }

  /** A room of a process is over, or given to it: another may be needed now, or one too many. */
  changed(): void {
    this.warm();
  }

  /** Ends every process. What is in rooms leaves them. */
  end(): void {
    this.#isEnding = true;
    clearTimeout(this.#timer);
    for (const each of this.#processes) each.end();
  }

  get #unusableNow(): string | null {
    if (this.#unusable !== null && performance.now() > this.#unusable.untilMs) this.#unusable = null;
    return this.#unusable?.message ?? null;
  }

  /** Those with a place, or, for a room that is to be alone, with nothing else. */
  #open(isAlone: boolean): readonly RoomProcess[] {
    return [...this.#processes].filter((each) => this.#hasRoom(each) && !(isAlone && each.size > 0));
  }

  #hasRoom(sitter: RoomProcess): boolean {
    const { joined, size, isEnding, isTaken } = sitter;
    return joined < mostJoined && size < this.#limits.roomsPerProcess && !isEnding && !isTaken;
  }

  #start(): void {
    try {
      this.#processes.add(this.#started());
      this.#count();
    } catch (error) {
      // The system has no memory for another one: that is tried again, as when it is lost.
      this.#counters.add('roomProcessesLost');
      this.#log.error({ code: 'room_worker_lost', err: error }, 'a process can’t be started');
      this.#lost(false);
    }
  }

  #started(): RoomProcess {
    let worksSinceMs = Infinity;
    const options: RoomProcessOptions = {
      entry: this.#entry,
      log: this.#log,
      ...(this.#startWith && { start: this.#startWith }),
      onReady: () => {
        worksSinceMs = performance.now();
        this.#log.debug({ pid: sitter.pid }, 'a process that joins rooms is ready');
        this.#tell();
      },
      onUnusable: (message) => {
        this.#log.error({ code: 'sdk_missing', reason: message }, 'rooms cannot be joined');
        this.#unusable = { message, untilMs: performance.now() + unusableMs };
      },
      onEnded: (_wasReady, wasAsked) => {
        this.#processes.delete(sitter);
        this.#count();
        if (wasAsked) return this.#tell();
        if (this.#unusable === null) this.#counters.add('roomProcessesLost');
        const livedMs = performance.now() - worksSinceMs;
        this.#lost(livedMs > longestBackoffMs);
        this.#log.error({ code: 'room_worker_lost', pid: sitter.pid }, 'a process is lost');
      },
    };
    const sitter = new RoomProcess(options);
    return sitter;
  }

  /** At once where it was the first, later each time when there is something wrong with all of them. */
  #lost(hasLivedLong: boolean): void {
    if (hasLivedLong) this.#backoffMs = 0;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.warm();
      this.#tell();
    }, this.#backoffMs);
    this.#backoffMs = Math.min(Math.max(2 * this.#backoffMs, firstBackoffMs), longestBackoffMs);
    this.#tell();
  }

  /** Those without rooms end, but for one that has something to spare. */
  #thin(): void {
    const idle = [...this.#processes].filter(({ size, isReady }) => size === 0 && isReady);
    const others = [...this.#processes].filter((each) => !idle.includes(each) && this.#hasRoom(each));
    const spare = others.length > 0 ? undefined : idle.find((each) => this.#hasRoom(each));
    for (const each of idle) if (each !== spare) each.end();
  }

  #count(): void {
    this.#counters.set('roomProcesses', this.#processes.size);
  }

  #tell(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const each of waiting) each();
  }

  async #change(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const given = (): void => {
        this.#waiting.delete(done);
        reject(signal.reason as Error);
      };
      const done = (): void => {
        signal.removeEventListener('abort', given);
        resolve();
      };
      signal.addEventListener('abort', given, { once: true });
      this.#waiting.add(done);
    });
  }
}
