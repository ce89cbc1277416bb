import { readFileSync } from 'node:fs';

/** Time of one processor so far, in ticks. */
export interface CoreTime {
  readonly busy: number;
  readonly all: number;
}

/** From `/proc/stat` (proc(5)); waiting for a disk is no work. */
export function coreTime(core: number): CoreTime {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, ...rest] = line.split(' ').map(Number);
  // Guests are counted as user and nice already.
  const [irq = 0, softirq = 0, steal = 0] = rest;
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, all: busy + idle + wait };
}

/** Share of the processor that was at work between two looks. */
export function busyShare(before: CoreTime, after: CoreTime): number {
  return (after.busy - before.busy) / (after.all - before.all);
}
