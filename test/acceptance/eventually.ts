import { setTimeout as sleep } from 'node:timers/promises';

/** Time between two looks at a condition that nobody announces, ms. */
const lookMs = 25;
/** Looks before a condition is given up: 40 s. */
const looks = 1600;

/**
 * Looks at a condition of another process again and again until it holds.
 *
 * @param look - gives undefined or false for as long as the condition doesn't hold
 * @throws Error with `what` when it doesn't hold after a bounded number of looks
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { attempts = looks, everyMs = lookMs } = {},
): Promise<T> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    await sleep(everyMs);
  }
  throw new Error(`It did not happen: ${what}`);
}
