import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { Knocking, RollingDaemons } from './RollingDaemons.js';

/** Samples that a process which is killed may take along: `flushMs`, and what the scheduler adds. */
const flushSamples = 8000 * 0.5;
/** Lines of a daemon's log that tell what it did last. */
const linesShown = 40;

async function alone(daemon: DaemonProcess): Promise<void> {
  await eventually('it is alone', () =>
    daemon.logs.some(({ msg }) => msg === 'the spool is this daemon’s own'),
  ).catch((error: unknown) => {
    const lines = daemon.logs.slice(-linesShown).map((line) => JSON.stringify(line));
    throw new Error(`it logged:\n${lines.join('\n')}`, { cause: error });
  });
}

void t.test('calls go on where they are and new ones go to the new daemon, on the same ports', async (t) => {
  const rolling = await RollingDaemons.open(t);
  const first = await rolling.start();
  const early = await rolling.dial();
  const ended = await rolling.dial();
  ended.call.hangUp();
  await ended.over;
  const knocking = new Knocking(rolling.mediaPort, 2);
  const second = await rolling.start('--take-over');
  knocking.stop();
  t.comment(`${knocking.refused} of ${knocking.accepted} refused, for ${knocking.longestMs.toFixed(1)} ms`);
  t.ok(knocking.longestMs < 1000, 'nobody waited for long');
  t.equal(second.mediaPort, first.mediaPort);
  t.equal(second.controlPort, first.controlPort);
  const late = await rolling.dial();
  const wanted = [early, ended, late].map(({ call }) => call.options.callSid).sort();
  await eventually('the list shows the recordings of both daemons', async () => {
    const shown = (await second.recordings()).map(({ callId }) => callId).sort();
    return shown.join() === wanted.join();
  });
  for (const thread of ['control', 'recorder'] as const) {
    await second.fault(thread, 'exit');
    await eventually(`${thread} works again`, async () => {
      const answer = await second.get('/readyz').catch(() => null);
      const { threads } = ((await answer?.json()) ?? {}) as { threads?: Record<string, string> };
      return second.logs.some((line) => line['worker'] === thread) && threads?.[thread] === 'ready';
    });
  }
  t.ok(first.alive, 'the old daemon waits for its call');
  const before = early.call.sent;
  await eventually('the early call is heard on', () => early.call.sent > before);
  early.call.hangUp();
  await early.over;
  t.same(await first.gone(), { code: 0, signal: null }, 'everything of the old daemon is stored');
  await alone(second);
  late.call.hangUp();
  await late.over;
  for (const [name, up] of Object.entries({ early, ended, late })) {
    t.ok(up.call.ended, `${name}: the call ended as it was meant to`);
    t.same(rolling.relayed(up), [], `${name}: every frame was relayed in its order`);
    const stored = await rolling.stored(up, second);
    t.same(rolling.problems(up, stored), [], `${name}: every sample is stored`);
    t.match(stored.manifest, { state: 'complete', reason: null });
  }
  t.same(await second.kill('SIGTERM'), { code: 0, signal: null });
  t.same(
    readdirSync(join(second.spoolDir, '.reelay')).filter((name) => /^[0-9a-f-]{36}$/.test(name)),
    [],
  );
});

void t.test(
  'an old daemon that is killed while its calls end leaves them to the new one, at once',
  async (t) => {
    const rolling = await RollingDaemons.open(t);
    const first = await rolling.start();
    const early = await rolling.dial();
    const second = await rolling.start('--take-over');
    const late = await rolling.dial();
    await eventually('both have said something', () => late.call.sent >= 8000 && early.call.sent >= 8000);
    const taken = early.call.acknowledgedAt(performance.now());
    await first.kill();
    await early.over;
    await alone(second);
    const cut = await rolling.stored(early, second);
    t.match(cut.manifest, { state: 'interrupted', reason: 'process_ended' });
    t.same(rolling.problems(early, cut, taken - flushSamples), [], 'it lost no more than a flush');
    late.call.hangUp();
    await late.over;
    t.same(rolling.relayed(late), []);
    t.same(rolling.problems(late, await rolling.stored(late, second)), []);
    t.same(await second.kill('SIGTERM'), { code: 0, signal: null });
  },
);

void t.test(
  'a new daemon that is killed leaves the old one alone, and a third takes up what both leave',
  async (t) => {
    const rolling = await RollingDaemons.open(t);
    const first = await rolling.start();
    const early = await rolling.dial();
    const second = await rolling.start('--take-over');
    const lost = await rolling.dial();
    await eventually('it has said something', () => lost.call.acknowledgedAt(performance.now()) >= 8000);
    const taken = lost.call.acknowledgedAt(performance.now());
    await second.kill();
    await lost.over;
    // Nobody has to be asked to end: the one that is left does so.
    const third = await rolling.start();
    const late = await rolling.dial();
    const cut = await rolling.stored(lost, third);
    t.match(cut.manifest, { state: 'interrupted' });
    t.same(rolling.problems(lost, cut, taken - flushSamples), []);
    t.ok(first.alive && !early.call.ended, 'the first call is up all the while');
    const fourth = await rolling.start('--take-over');
    t.ok(first.alive && third.alive, 'two daemons end their calls');
    await first.kill();
    await early.over;
    const interrupted = await rolling.stored(early, fourth);
    t.match(interrupted.manifest, { state: 'interrupted', reason: 'process_ended' });
    late.call.hangUp();
    await late.over;
    t.same(await third.gone(), { code: 0, signal: null });
    await alone(fourth);
    t.same(rolling.relayed(late), []);
    t.same(rolling.problems(late, await rolling.stored(late, fourth)), []);
    t.equal((await fourth.recordings()).length, 3);
    t.same(await fourth.kill('SIGTERM'), { code: 0, signal: null });
  },
);
