import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/**
 * Takes the calling thread back behind the others of the process: on Linux niceness is a thread's own (sched(7)), and raising it
 * needs no privilege. Threads that this one starts afterwards inherit it; libuv's pool is started by main, before any worker, so
 * what is read and written there keeps main's. Elsewhere, and where the system refuses, nothing happens.
 *
 * @param niceness - 0 to 19; each step leaves a fifth less of a CPU that others want too
 * @returns whether it took effect
 */
export function lowerPriority(niceness: number): boolean {
  try {
    // Node's own name for a thread isn't the system's, and a plain `setPriority(0, …)` would be about whichever thread libc means.
    const [, task] = /^\d+\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self')) ?? [];
    if (task === undefined) return false;
    setPriority(Number(task), niceness);
    return true;
  } catch {
    return false;
  }
}
