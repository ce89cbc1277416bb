import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Two processors of this machine: one for the live path, one for everything else. */
export interface Cores {
  readonly live: number;
  readonly rest: number;
}

/** @throws Error on a machine with a single processor, where the load would be measured with what it loads */
export function chooseCores(): Cores {
  const [live, rest] = allowedCores();
  if (live === undefined || rest === undefined) throw new Error('this bench needs two processors');
  return { live, rest };
}

/** Processors that this process may run on (proc(5): `0-3,6`). */
function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return list.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_none, index) => from + index);
  });
}

/** Moves all threads of a process. */
export function pinProcess(pid: number, ...cores: readonly number[]): void {
  execFileSync('taskset', ['-a', '-p', '-c', cores.join(','), String(pid)], { stdio: 'ignore' });
}

export function pinThread(tid: number, core: number): void {
  execFileSync('taskset', ['-p', '-c', String(core), String(tid)], { stdio: 'ignore' });
}

/** Processes that a process has started, and those that they have. */
export function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ child: Number(name), parent: parentOf(name) }));
  const below = (of: number): number[] =>
    parents.filter(({ parent }) => parent === of).flatMap(({ child }) => [child, ...below(child)]);
  return below(pid);
}

function parentOf(pid: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return -1;
  }
}
