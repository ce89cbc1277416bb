import { setTimeout as sleep } from 'node:timers/promises';

/** Time as the upload path sees it: pauses, deadlines and rests all come from here, so that a test can make an hour short. */
export interface Clock {
  /** ms; only differences mean something. */
  now(): number;
  /** @throws AbortError */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Aborts after so long. */
  deadline(ms: number): AbortSignal;
}

/** The time of day, ms since the Unix epoch, of a clock that runs so many times faster from now on. */
export function wallClockOf(speed = 1): () => number {
  const startMs = Date.now();
  return () => Math.round(startMs + (Date.now() - startMs) * speed);
}

/** @param speed - how many times faster than the wall clock it runs */
export function clockOf(speed = 1): Clock {
  return {
    now: () => performance.now() * speed,
    sleep: (ms, signal) => sleep(ms / speed, undefined, { signal, ref: false }),
    deadline: (ms) => AbortSignal.timeout(Math.ceil(ms / speed)),
  };
}
