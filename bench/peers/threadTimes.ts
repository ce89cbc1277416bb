import { readdirSync, readFileSync } from 'node:fs';

/** CPU time that one thread has used so far. */
export interface ThreadTime {
  readonly pid: number;
  readonly tid: number;
  /** As the system knows it, at most 15 characters. */
  readonly name: string;
  readonly ns: number;
}

/** Share of a core, or several, of the live path and of all that a subject consists of. */
export interface CpuShare {
  readonly live: number;
  readonly all: number;
}

/**
 * All threads of some processes, from `/proc/<pid>/task/<tid>/schedstat`: the time that `stat` beside it tells in hundredths of a second, to
 * the nanosecond (proc(5)).
 */
export function threadTimes(pids: readonly number[]): ThreadTime[] {
  return pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).flatMap((task) => {
      try {
        const folder = `/proc/${pid}/task/${task}`;
        const name = readFileSync(`${folder}/comm`, 'utf8').trim();
        const ns = Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]);
        return [{ pid, tid: Number(task), name, ns }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    }),
  );
}

/** What was used between two looks; threads that are gone at the second one aren't counted. */
export function cpuShare(
  before: readonly ThreadTime[],
  after: readonly ThreadTime[],
  isLive: (thread: ThreadTime) => boolean,
  ms: number,
): CpuShare {
  const used = new Map(before.map(({ tid, ns }) => [tid, ns]));
  let [live, all] = [0, 0];
  for (const thread of after) {
    const share = (thread.ns - (used.get(thread.tid) ?? 0)) / 1e6 / ms;
    all += share;
    if (isLive(thread)) live += share;
  }
  return { live, all };
}
