import { join } from 'node:path';
import t from 'tap';
import { crashPhases } from './CrashLane.js';
import { CrashRun } from './CrashRun.js';

const seed = Date.now() % 1_000_000;
const run = await CrashRun.open(join(t.testdir(), 'daemons'), seed, 3);
t.teardown(() => run.close());

void t.test(
  'a daemon that is killed, whatever it is doing, loses no more than one flush, and starts as if nothing had been',
  async (t) => {
    t.comment(`seed ${seed}`);
    const seen = new Set<string>();
    await run.kill(crashPhases.length + 2, ({ phase, missedMs, boundMs, problems }) => {
      seen.add(phase);
      t.same(problems, [], phase);
      t.equal(missedMs.length, 3);
      const missing = missedMs.map((ms) => ms.toFixed(0)).join(', ');
      t.comment(`${phase}: missing ${missing} ms of at most ${boundMs.toFixed(1)}`);
    });
    t.equal(seen.size, crashPhases.length, 'every phase was met');
  },
);
