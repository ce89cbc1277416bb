#!/usr/bin/env node
/*
 * The command line's first lines: what has to be settled about the process's threads before the first ES module is loaded, which
 * takes libuv's pool into use. Hence CommonJS.
 */
const { readdirSync } = process.getBuiltinModule('node:fs');
const { getPriority, setPriority } = process.getBuiltinModule('node:os');
const { setFlagsFromString } = process.getBuiltinModule('node:v8');
const { Worker } = process.getBuiltinModule('node:worker_threads');

/**
 * Steps behind main of V8's threads, which collect and compile for everybody; and of libuv's, where the recorder's syncs wait: they
 * come where it does.
 */
const steps = { helpers: 10, pool: 2 };

// File operations of the recorder and of stores share libuv's pool with the live path's name look-ups; the default of four
// threads would let a slow disk delay a call's start.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

lowerHelpers();
// Otherwise main would wait, in each of its collections, for helpers that now come behind everybody else.
setFlagsFromString('--no-parallel-scavenge');
new Worker(`${__dirname}/poolThreads.cjs`, { workerData: behindMain(steps.pool) }).once(
  'exit',
  () => void run(),
);

/** Main is not alone even now: V8 has started its helpers. On Linux niceness is a thread's own. */
function lowerHelpers(): void {
  try {
    for (const task of readdirSync('/proc/self/task').map(Number)) {
      if (task !== process.pid) setPriority(task, behindMain(steps.helpers));
    }
  } catch {
    // Elsewhere all keep the process's.
  }
}

function behindMain(by: number): number {
  return Math.min(19, getPriority() + by);
}

async function run(): Promise<void> {
  const { program } = await import('./program.js');
  await program().parseAsync();
}
