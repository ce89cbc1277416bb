import { Worker } from 'node:worker_threads';
import t from 'tap';
import { busyShare, coreTime } from '../../bench/peers/coreTime.js';
import { chooseCores, descendants } from '../../bench/peers/cores.js';
import { eventually } from '../acceptance/eventually.js';
import { cpuShare, type ThreadTime, threadTimes } from '../../bench/peers/threadTimes.js';

void t.test('the CPU of one thread is told from that of the others', async (t) => {
  const before = threadTimes([process.pid]);
  const worker = new Worker('for (;;);', { eval: true });
  t.teardown(() => worker.terminate());
  const isMain = ({ tid }: ThreadTime): boolean => tid === process.pid;
  const share = await eventually('another thread has used 50 ms', () => {
    const seen = cpuShare(before, threadTimes([process.pid]), isMain, 1000);
    return seen.all - seen.live > 0.05 ? seen : undefined;
  });
  t.ok(share.live > 0, 'so has this one, some');
});

void t.test('time that was used before the first look is not counted', (t) => {
  const thread = { pid: 1, tid: 1, name: 'main' };
  const before = [{ ...thread, ns: 5e9 }];
  const after = [
    { ...thread, ns: 5.5e9 },
    { ...thread, tid: 2, name: 'later', ns: 0.25e9 },
  ];
  t.same(
    cpuShare(before, after, ({ tid }) => tid === 1, 1000),
    { live: 0.5, all: 0.75 },
  );
  t.end();
});

void t.test('a processor is busy for a share of the time', (t) => {
  t.equal(busyShare({ busy: 100, all: 1000 }, { busy: 150, all: 1100 }), 0.5);
  const { busy, all } = coreTime(chooseCores().live);
  t.ok(busy > 0 && busy <= all);
  t.end();
});

void t.test('a process that has started none has no descendants, and is one of its parent', (t) => {
  t.same(descendants(process.pid), []);
  t.ok(descendants(process.ppid).includes(process.pid));
  t.end();
});
