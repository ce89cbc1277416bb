import { readFileSync, readlinkSync } from 'node:fs';

/** The system's number of the calling thread, which isn't Node's; 0 where the system doesn't tell (anything but Linux). */
export function systemThread(): number {
  try {
    return Number(/^\d+\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/**
 * How long a thread of this process has waited for a processor since it began, ms, while it could have run: the second figure of
 * /proc/<pid>/schedstat (Linux, Documentation/scheduler/sched-stats.rst). It costs some ten microseconds to ask.
 *
 * @param thread - as {@link systemThread} gives it
 * @returns 0 where that isn't known
 */
export function runDelayMs(thread: number): number {
  if (thread === 0) return 0;
  try {
    const [, waitedNs = '0'] = readFileSync(`/proc/self/task/${thread}/schedstat`, 'latin1').split(' ');
    return Number(waitedNs) / 1e6;
  } catch {
    // It has ended, or the kernel was built without.
    return 0;
  }
}
