import { getPriority, setPriority } from 'node:os';
import { loadAddon } from './nativeAddon.js';
import { systemThread } from './systemThread.js';

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
    const thread = systemThread();
    if (thread === 0) return false;
    setPriority(thread, Math.min(19, getPriority(process.pid) + steps));
    // Inherited from main, too, and for main alone.
    setSlice(0);
    return true;
  } catch {
    return false;
  }
}

/** The shortest that the kernel takes, ns. */
const shortestSlice = 100_000;

/**
 * Has the calling thread come sooner when it has something to do: who asks for a short slice of time is let in before those that run
 * for long, also in the middle of theirs (sched_setattr(2); the kernel does so from Linux 6.12 on, and takes no privilege for it). It
 * gets no more time altogether. Does nothing without the native addon.
 *
 * @returns whether it took effect
 */
export function shortenSlice(): boolean {
  return setSlice(shortestSlice);
}

/** @param ns - 0: what the kernel gives to everybody */
function setSlice(ns: number): boolean {
  // Who sets this may have a machine that the addon is no good on.
  if (process.env['REELAY_KERNELS'] === 'typescript') return false;
  try {
    const { setThreadSlice } = loadAddon() as { setThreadSlice?: (ns: number) => boolean };
    return setThreadSlice?.(ns) ?? false;
  } catch {
    return false;
  }
}
