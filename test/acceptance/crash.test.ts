import { join } from 'node:path';
import t from 'tap';
import { CrashRun } from './CrashRun.js';

const seed = Date.now() % 1_000_000;
const run = await CrashRun.open(join(t.testdir(), 'daemon'), seed);
t.teardown(() => run.close());
t.comment(`seed ${seed}`);

for (let round = 1; round <= 3; round += 1) {
  await t.test(
    'a daemon that is killed loses no more than one flush, and starts as if nothing had been',
    async (t) => {
      const { missedMs, boundMs, problems } = await run.round();
      t.same(problems, []);
      t.equal(missedMs.length, 4);
      t.comment(
        `missing ${missedMs.map((ms) => ms.toFixed(0)).join(', ')} ms of at most ${boundMs.toFixed(1)}`,
      );
    },
  );
}
