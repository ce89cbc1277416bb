import { readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { implementation } from '../../src/audio/kernels.js';
import { mayRunInRealtime } from '../../src/config/realtime.js';
import { DaemonProcess } from '../acceptance/DaemonProcess.js';

/** SCHED_OTHER and SCHED_RR of sched(7). */
const policies = { other: 0, roundRobin: 2 };
const canMove = process.platform === 'linux' && implementation === 'native';

await t.test('the thread that moves frames comes first, where that is wanted and allowed', async (t) => {
  const isDue = canMove && mayRunInRealtime();
  const daemon = await started(t, { realtime: true });
  const ready = daemon.logs.find(({ msg }) => msg === 'reelay is ready');
  t.equal(ready?.['realtime'], isDue);
  t.equal(
    daemon.logs.some(({ code, level }) => code === 'realtime_refused' && level === 40),
    !isDue,
  );
  if (!canMove) return;
  const policy = isDue ? policies.roundRobin : policies.other;
  t.equal(policyOf(daemon.pid, 'reelay-frames'), policy);
  const first = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/stat`, 'utf8');
  t.equal(policyIn(first), policies.other, 'main stays where it was');
});

await t.test('nobody comes first unasked', async (t) => {
  const daemon = await started(t, {});
  t.notOk(daemon.logs.some(({ code }) => code === 'realtime_refused'));
  if (canMove) t.equal(policyOf(daemon.pid, 'reelay-frames'), policies.other);
});

await t.test('without that thread it is said that nothing runs in real time', async (t) => {
  const daemon = await started(t, { realtime: true, fastPath: false });
  const refused = daemon.logs.find(({ code }) => code === 'realtime_refused');
  t.match(refused, { reason: /no native thread/, remedy: /media\.fastPath/ });
});

async function started(t: Test, media: Readonly<Record<string, unknown>>): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({
    dir: t.testdir({}),
    accounts: [{ id: '*' }],
    config: { media },
  });
  t.teardown(() => daemon.kill());
  return daemon;
}

/** Of a process's first thread with this name. */
function policyOf(pid: number, name: string): number {
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    if (text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')) === name) return policyIn(text);
  }
  throw new Error(`no thread ${name}`);
}

/** The 41st field of proc(5)'s `stat`, counted from behind the name. */
function policyIn(text: string): number {
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[38]);
}
