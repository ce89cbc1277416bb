import type { Readable } from 'node:stream';
import type { Clock } from './Clock.js';
import { StoreFault } from './StoreFault.js';

/** How long a store may take for an answer that carries nothing, ms. */
const answerMs = 30_000;
/** Bytes per ms below which a store counts as dead though bytes trickle. */
const slowest = 16;

/** A store that took longer than it was given. */
export class LateFault extends StoreFault {
  constructor(ms: number) {
    super('store_unavailable', { value: `not done within ${Math.round(ms / 1000)} s` });
  }
}

/** How long one attempt may take that moves so many bytes, ms. */
export function patienceFor(bytes: number): number {
  return answerMs + bytes / slowest;
}

/**
 * Waits for an attempt, and ends it when the time is up, whatever it is waiting for.
 *
 * @param ms - by the clock
 * @param action - its signal aborts when the time is up
 * @throws LateFault
 */
export async function withPatience<T>(
  clock: Clock,
  ms: number,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const done = new AbortController();
  const late = clock.sleep(ms, done.signal).then(() => {
    const fault = new LateFault(ms);
    over.abort(fault);
    throw fault;
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([action(over.signal), late]);
  } finally {
    done.abort();
  }
}

/**
 * The bytes of an answer, as long as they come. Only the time counts in which the store is waited for, not that of the reader.
 *
 * @param bytes - how many are to come
 * @param faultOf - says what went wrong
 */
export async function* patientPieces(
  clock: Clock,
  body: Readable,
  bytes: number,
  faultOf: (error: unknown) => Error,
): AsyncGenerator<Buffer> {
  const pieces = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let left = patienceFor(bytes);
  try {
    for (;;) {
      const before = clock.now();
      const next = await withPatience(clock, left, () => pieces.next());
      left = Math.max(1, left - (clock.now() - before));
      if (next.done === true) return;
      yield next.value;
    }
  } catch (error) {
    throw faultOf(error);
  } finally {
    body.destroy();
  }
}
