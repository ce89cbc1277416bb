import { join } from 'node:path';
import t from 'tap';
import { judge } from './Oracle.js';
import { boundErrors, sayErrors } from './sayErrors.js';
import type { Scenario } from './Scenario.js';
import { Stage } from './Stage.js';
import { scenarios } from './jambonzScenarios.js';

const stage = await Stage.open({
  dir: join(t.testdir(), 'daemon'),
  chunkSeconds: 2,
  scenarios: new URL('./jambonzScenarios.js', import.meta.url),
  returnRates: [8000],
});
t.teardown(() => stage.close());

/** By what the provider hides of its playout, ms. */
const errorsMs = new Map<number, number[]>();
const callerErrorsMs: number[] = [];
for (const { scenario, evidence, stored } of await stage.perform(scenarios)) {
  await t.test(scenario.name, (t) => {
    const judgement = judge(evidence, stored);
    t.same(judgement.problems, []);
    t.equal(stored.manifest.state, 'complete');
    t.same(
      stored.manifest.gaps.map(({ channel, cause }) => [channel, cause]),
      expectedCauses(scenario),
    );
    sayErrors(t, judgement);
    const { hiddenMs } = evidence;
    errorsMs.set(hiddenMs, [...(errorsMs.get(hiddenMs) ?? []), ...judgement.botErrorsMs]);
    callerErrorsMs.push(...judgement.callerErrorsMs);
    t.end();
  });
}

for (const [hiddenMs, errors] of errorsMs) {
  await t.test(`the bot lies where the simulators heard it, ${hiddenMs} ms of which are hidden`, (t) => {
    boundErrors(t, errors, stage.lateMs, hiddenMs);
    t.end();
  });
}

await t.test('the caller lies where the simulators took it up', (t) => {
  boundErrors(t, callerErrorsMs, stage.lateMs);
  t.end();
});

await t.test('the daemon had nothing to complain of', (t) => {
  t.same(stage.daemon.logged(40), []);
  t.end();
});

/** What a script leaves out, by channel and cause. Without timestamps only its length is known, and only to a few ms. */
function expectedCauses({ drops, restarts }: Scenario): unknown[] {
  if (drops !== undefined) return [[0, 'client_overrun']];
  if (restarts === undefined) return [];
  return [
    [0, 'between_streams'],
    [1, 'between_streams'],
  ];
}
