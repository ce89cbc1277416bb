import { join } from 'node:path';
import t from 'tap';
import { Signal } from '../fixtures/Signal.js';
import { joined, judge, expectedGaps } from './Oracle.js';
import { eventually } from './eventually.js';
import { Stage } from './Stage.js';
import { scenarios } from './threadScenarios.js';

const stage = await Stage.open({
  dir: join(t.testdir(), 'daemon'),
  chunkSeconds: 2,
  scenarios: new URL('./threadScenarios.js', import.meta.url),
  env: { REELAY_FAULTS: '1' },
});
t.teardown(() => stage.close());
const { daemon } = stage;

/** Breaks one thread after the other while the calls are up; each time waits until its successor works. */
async function breakThreads(): Promise<string[]> {
  const broken: string[] = [];
  await eventually(
    'the calls are up',
    async () => (await daemon.metric('reelay_streams')) === scenarios.length,
  );
  for (const fault of ['throw', 'exit', 'hang', 'heap'] as const) {
    for (const thread of ['recorder', 'control'] as const) {
      const before = daemon.logs.length;
      await daemon.fault(thread, fault);
      await eventually(`${thread} is started again after ${fault}`, () =>
        daemon.logs
          .slice(before)
          .some((line) => line['worker'] === thread && line.msg.includes('started again')),
      );
      await eventually('all threads are ready', async () => {
        const answer = await daemon.get('/readyz').catch(() => null);
        const { ready, threads } = ((await answer?.json()) ?? {}) as ReadyAnswer;
        return ready === true && threads?.control === 'ready' && threads.recorder === 'ready';
      });
      broken.push(`${thread} ${fault}`);
    }
  }
  return broken;
}

interface ReadyAnswer {
  readonly ready?: boolean;
  readonly threads?: { readonly recorder: string; readonly control: string };
}

const over = new Signal();
const playing = stage.perform(scenarios, over.fired);
const broken = await breakThreads().finally(() => over.fire());
const performances = await playing;

await t.test('every way for a thread to end was tried while the calls were up', (t) => {
  t.equal(broken.length, 8);
  t.end();
});

for (const { scenario, evidence, heardByBot, stored } of performances) {
  await t.test(`${scenario.name}: nothing is missing`, (t) => {
    const judgement = judge(evidence, stored);
    t.same(judgement.problems, []);
    t.same(stored.manifest.gaps, []);
    t.same(stored.manifest.completeness, [1, 1]);
    t.match(stored.manifest, { state: 'complete', reason: null });
    if (evidence.result.provider === 'twilio') t.same(expectedGaps(evidence.result, stored), []);
    t.end();
  });
  await t.test(`${scenario.name}: neither end noticed anything`, (t) => {
    const [stream] = evidence.result.streams;
    const sent = Buffer.concat(stream?.frames.map(({ payload }) => payload) ?? []);
    const received = Buffer.concat(heardByBot.streams[0]?.payloads ?? []);
    t.equal(heardByBot.streams.length, 1);
    t.ok(sent.equals(received), 'the bot received every frame in its order');
    const heard = joined(stream?.heard.map(({ pcm }) => pcm) ?? []);
    t.same(heard, evidence.botSaid.subarray(0, heard.length), 'the caller heard the bot without a hole');
    t.ok(evidence.botSaid.length - heard.length <= evidence.result.sampleRate, 'up to the end of the call');
    t.equal(stream?.closedBy, 'caller');
    t.end();
  });
}

await t.test('the daemon counted the restarts and dropped nothing', async (t) => {
  t.equal(await daemon.metric('reelay_tap_dropped_frames_total'), 0);
  t.equal(await daemon.metric('reelay_recorder_restarts_total'), 4);
  t.equal(await daemon.metric('reelay_control_restarts_total'), 4);
  t.same(
    daemon.logged(60).map(({ msg }) => msg),
    [],
  );
});
