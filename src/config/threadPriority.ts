import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/**
 * Takes the calling thread back behind main: on Linux niceness is a thread's own (sched(7)), and raising it needs no privilege.
 * Threads that this one starts afterwards inherit it. Elsewhere, and where the system refuses, nothing happens. What no JavaScript
 * runs in, V8's helpers and libuv's pool, the command line's first lines have taken back.
 *
 * @param steps - of niceness, whose range ends at 19; each leaves a fifth less of a CPU that others want too
 * @returns whether it took effect
 */
export function lowerPriority(steps: number): boolean {
  try {
    // Node's own name for a thread isn't the system's, and a plain `setPriority(0, …)` would be about whichever thread libc means.
    const [, task] = /^\d+\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self')) ?? [];
    if (task === undefined) return false;
    setPriority(Number(task), Math.min(19, getPriority(process.pid) + steps));
    return true;
  } catch {
    return false;
  }
}
