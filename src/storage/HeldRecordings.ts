import type { ErrorCode, ReelayError } from '../config/ReelayError.js';
import type { Clock } from './Clock.js';

/** What hinders one recording only: neither its account's other recordings nor new calls have to wait for it to be mended. */
const holding = ['store_changed', 'no_store'] as const satisfies readonly ErrorCode[];

export interface HeldRecordingsOptions {
  readonly clock: Clock;
  /** Pause between two tries of one recording, ms of the clock. */
  readonly retryMs: number;
  /** Lets a recording's folder be worked on again. */
  readonly wake: (folder: string) => void;
  /** Told once per recording and reason, however often it is tried in vain. */
  readonly held: (folder: string, error: ReelayError) => void;
  readonly released: (folder: string) => void;
}

interface HeldRecording {
  readonly code: ErrorCode;
  /** Ends the pause; aborted while the recording is being tried. */
  readonly over: AbortController;
}

/**
 * Recordings for which their account has no store any more, or another one than that which has a part of them. Each waits by
 * itself until the configuration is read anew, and is tried now and then, since an account can also be looked up.
 */
export class HeldRecordings {
  readonly #options: HeldRecordingsOptions;
  readonly #stop: AbortSignal;
  readonly #held = new Map<string, HeldRecording>();

  /** @param stop - ends everything */
  constructor(options: HeldRecordingsOptions, stop: AbortSignal) {
    this.#options = options;
    this.#stop = stop;
    stop.addEventListener('abort', () => this.#endPauses());
  }

  /** Whether an error hinders its recording alone. */
  static isHolding(error: Error & { readonly code?: unknown }): error is ReelayError {
    return holding.some((code) => code === error.code);
  }

  /** Whether it is not its turn to be tried. */
  waits(folder: string): boolean {
    return this.#held.get(folder)?.over.signal.aborted === false;
  }

  hold(folder: string, error: ReelayError): void {
    const isNew = this.#held.get(folder)?.code !== error.code;
    const recording = { code: error.code, over: new AbortController() };
    this.#held.set(folder, recording);
    if (isNew) this.#options.held(folder, error);
    if (this.#stop.aborted) recording.over.abort();
    else void this.#retryLater(folder, recording);
  }

  /** There is a store for it, or nothing is left of it. */
  release(folder: string): void {
    this.#held.get(folder)?.over.abort();
    if (this.#held.delete(folder)) this.#options.released(folder);
  }

  /** Lets every recording try again at once. */
  retryAll(): void {
    this.#endPauses();
  }

  #endPauses(): void {
    for (const { over } of this.#held.values()) over.abort();
  }

  async #retryLater(folder: string, { over }: HeldRecording): Promise<void> {
    const { clock, retryMs, wake } = this.#options;
    await clock.sleep(retryMs, over.signal).catch(() => undefined);
    over.abort();
    if (!this.#stop.aborted && this.#held.get(folder)?.over === over) wake(folder);
  }
}
