import { setTimeout as sleep } from 'node:timers/promises';
import { pauseMs } from '../storage/Retry.js';
import { StoreFault } from '../storage/StoreFault.js';

/** Somebody waits at the keyboard: a store that is away for longer is told after some seconds. */
const attempts = 5;
/** ms. */
const backoff = { first: 500, most: 8000 };

/**
 * Reads anew when a store fails in a way that passes by itself.
 *
 * @throws the last failure, or the first of another kind
 */
export async function patiently<T>(read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      const passes = error instanceof StoreFault && error.blame === 'transient';
      if (!passes || attempt === attempts) throw error;
      await sleep(pauseMs(backoff, attempt, error));
    }
  }
}
