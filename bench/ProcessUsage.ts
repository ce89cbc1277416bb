import { readdirSync, readFileSync } from 'node:fs';

/** CPU time and memory of a process, as Linux counts them (proc(5)). */
export interface Usage {
  /** CPU seconds of the whole process. */
  readonly user: number;
  readonly system: number;
  /** CPU seconds, user and system together, by thread; the main thread has the process's own id. */
  readonly threads: ReadonlyMap<number, number>;
  /** Resident memory and the most of it so far, bytes. */
  readonly rss: number;
  readonly peakRss: number;
}

/** Unit of CPU times in proc(5): USER_HZ is 100 on every platform that Node runs on. */
const ticksPerSecond = 100;

export function usageOf(pid: number): Usage {
  const folder = `/proc/${pid}`;
  const [user, system] = cpuOf(`${folder}/stat`);
  const threads = new Map<number, number>();
  for (const thread of readdirSync(`${folder}/task`)) {
    const [own, kernel] = cpuOf(`${folder}/task/${thread}/stat`);
    threads.set(Number(thread), own + kernel);
  }
  const status = readFileSync(`${folder}/status`, 'utf8');
  const bytes = (key: string): number => Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
  return { user, system, threads, rss: bytes('VmRSS'), peakRss: bytes('VmHWM') };
}

/** Fields 14 and 15, counted behind the name, which may hold spaces. */
function cpuOf(path: string): [number, number] {
  const text = readFileSync(path, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return [Number(fields[11]) / ticksPerSecond, Number(fields[12]) / ticksPerSecond];
}
