/*
 * A thread that lives only to be the first that uses libuv's pool: the pool's threads inherit its niceness (sched(7)). No ES module,
 * not even the one that knows about priorities: loading one uses the pool.
 */
const { readlinkSync, stat } = process.getBuiltinModule('node:fs');
const { setPriority } = process.getBuiltinModule('node:os');
const { workerData } = process.getBuiltinModule('node:worker_threads');

try {
  setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), workerData as number);
} catch {
  // Not on Linux: then they have main's.
}
stat('/', () => undefined);
