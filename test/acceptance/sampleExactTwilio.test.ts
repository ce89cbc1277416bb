import { join } from 'node:path';
import t from 'tap';
import { expectedGaps, judge } from './Oracle.js';
import { boundErrors, sayErrors } from './sayErrors.js';
import { Stage } from './Stage.js';
import { scenarios } from './twilioScenarios.js';

const stage = await Stage.open({
  dir: join(t.testdir(), 'daemon'),
  chunkSeconds: 2,
  scenarios: new URL('./twilioScenarios.js', import.meta.url),
});
t.teardown(() => stage.close());

const errorsMs: number[] = [];
for (const { scenario, evidence, stored } of await stage.perform(scenarios)) {
  await t.test(scenario.name, (t) => {
    const judgement = judge(evidence, stored);
    t.same(judgement.problems, []);
    t.same(
      stored.manifest.gaps,
      expectedGaps(evidence.result, stored),
      'every gap has its place and its cause',
    );
    t.equal(stored.manifest.state, 'complete');
    sayErrors(t, judgement);
    errorsMs.push(...judgement.botErrorsMs);
    t.end();
  });
}

await t.test('the bot lies where the simulators heard it', (t) => {
  boundErrors(t, errorsMs, stage.lateMs);
  t.end();
});

await t.test('the daemon had nothing to complain of', (t) => {
  t.same(stage.daemon.logged(40), []);
  t.end();
});
