import pRetry, { AbortError } from 'p-retry';
import { blameOf } from './blameOf.js';
import { StoreFault } from './StoreFault.js';

export interface Backoff {
  /** Longest first pause, ms. */
  readonly first: number;
  /** Longest pause of all, ms. */
  readonly most: number;
}

export const defaultBackoff: Backoff = { first: 250, most: 60_000 };

export interface RetryHooks {
  /** Ends the pauses, and no attempt begins after it. */
  readonly signal: AbortSignal;
  /** Sleeps; the failure has been judged to pass by itself. @throws when the signal aborts */
  readonly pause: (error: Error, delayMs: number) => Promise<void>;
}

/**
 * Tries for as long as it takes: a store may be away for hours, and the audio is safe meanwhile.
 *
 * @throws the first failure that doesn't pass by itself, or the signal's reason
 */
export async function persist<T>(
  action: () => Promise<T>,
  backoff: Backoff,
  { signal, pause }: RetryHooks,
): Promise<T> {
  return await pRetry(
    async () => {
      try {
        return await action();
      } catch (error) {
        if (blameOf(error) !== 'transient') throw new AbortError(error as Error);
        // p-retry takes a TypeError for a mistake in the program; from a store it is one more failure.
        throw error instanceof TypeError ? new Error(error.message, { cause: error }) : error;
      }
    },
    {
      retries: Infinity,
      minTimeout: 0,
      factor: 1,
      signal,
      // The pause is made here, because p-retry's own randomization never draws less than the whole of it.
      onFailedAttempt: async ({ error, attemptNumber }) => {
        signal.throwIfAborted();
        await pause(error, pauseMs(backoff, attemptNumber, error));
      },
    },
  );
}

/**
 * Full jitter: anything between nothing and a longest that doubles, so that many failures don't return together. What the store
 * asks for is waited for, within the longest of all.
 */
export function pauseMs({ first, most }: Backoff, attempts: number, error: Error): number {
  const drawn = Math.random() * Math.min(most, first * 2 ** Math.min(attempts - 1, 30));
  const asked = error instanceof StoreFault ? (error.retryAfterMs ?? 0) : 0;
  return Math.min(most, Math.max(drawn, asked));
}
