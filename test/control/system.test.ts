import t from 'tap';
import type { SystemDocument } from '../../src/control/monitoring/SystemDocument.js';
import { LatencyWindow } from '../../src/control/monitoring/LatencyWindow.js';
import { StuckUploads } from '../../src/control/uploads/StuckUploads.js';
import { Counters } from '../../src/tap/Counters.js';
import { ApiBench } from '../fixtures/ApiBench.js';

await t.test('an administrator is told how the daemon is, and nobody else that there is one', async (t) => {
  const accounts = [{ id: 'AC1', apiKeys: ['one'] }];
  const bench = await ApiBench.start(t, t.testdir({}), { adminKeys: ['admin'], accounts });
  bench.counters.set('calls', 3);
  bench.spool = { bytes: 1000, left: 64_000, rate: 32_000, unstored: 2 };
  bench.threads = { media: 'ready', recorder: 'restarting', control: 'ready' };
  bench.alerts.raise('account AC1', { code: 'store_denied', message: 'not stored' });
  bench.stuck.recording('AC1/20261120/CA1/r1', {
    code: 'store_unavailable',
    error: new Error('away'),
    delayMs: 5000,
  });
  t.equal((await bench.ask('GET', '/v1/system')).status, 401);
  t.equal((await bench.ask('GET', '/v1/system', 'one')).status, 404);
  const answer = await bench.ask('GET', '/v1/system', 'admin');
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('cache-control'), 'no-store');
  const system = (await answer.json()) as SystemDocument;
  t.match(system, {
    threads: { recorder: 'restarting' },
    calls: { live: 3, overloadLevel: 0 },
    alerts: [{ about: 'account AC1', code: 'store_denied' }],
    spool: { bytes: 1000, freeBytes: 64_000, secondsLeft: 2, unstoredRecordings: 2 },
    catalogue: { isUp: true },
    uploads: {
      stuckCount: 1,
      stuck: [{ accountId: 'AC1', recordingId: 'r1', callId: 'CA1', code: 'store_unavailable', tries: 1 }],
    },
  });
  bench.alerts.resolve('account AC1', 'stored');
  const later = (await (await bench.ask('GET', '/v1/system', 'admin')).json()) as SystemDocument;
  t.same(later.alerts, []);
});

await t.test('latency is that of the last seconds', (t) => {
  const counters = new Counters();
  const window = new LatencyWindow(counters, 0);
  for (let frame = 0; frame < 100; frame++) counters.latency.to_bot.observe(100);
  const [first] = window.read(1000).relay;
  t.match(first, { direction: 'to_bot' });
  t.ok((first?.p50Ms ?? 0) >= 100);
  t.equal(window.read(11_000).relay[0]?.p50Ms, 0, 'a window without frames has none');
  for (let frame = 0; frame < 100; frame++) counters.latency.to_bot.observe(1);
  const { relay, since } = window.read(22_000);
  t.ok((relay[0]?.p99Ms ?? 99) < 2, 'what was before it doesn’t count any more');
  t.equal(since, new Date(11_000).toISOString());
  t.end();
});

await t.test('a trouble lasts from its first failure until something works', (t) => {
  const stuck = new StuckUploads();
  const error = new Error('why');
  stuck.recording('AC1/d/CA1/r1', { code: 'store_unavailable', error, delayMs: 1000 }, 0);
  stuck.recording('AC1/d/CA2/r2', { code: 'store_unavailable', error, delayMs: 1000 }, 10);
  stuck.recording('AC1/d/CA1/r1', { code: 'store_unavailable', error, delayMs: 4000 }, 5000);
  stuck.account('AC2', { code: 'store_denied', error, delayMs: null }, 6000);
  t.same(
    stuck
      .list(10)
      .map(({ accountId, recordingId, tries, since, nextTry }) => [
        accountId,
        recordingId,
        tries,
        since,
        nextTry,
      ]),
    [
      ['AC2', null, 1, new Date(6000).toISOString(), null],
      ['AC1', 'r1', 2, new Date(0).toISOString(), new Date(9000).toISOString()],
      ['AC1', 'r2', 1, new Date(10).toISOString(), new Date(1010).toISOString()],
    ],
  );
  t.equal(stuck.list(2).length, 2);
  stuck.works('AC1/d/CA1/r1');
  stuck.accountWorks('AC2');
  t.same(
    stuck.list(10).map(({ recordingId }) => recordingId),
    ['r2'],
  );
  for (let at = 0; at < 3000; at++)
    stuck.recording(`AC1/d/CA/${at}`, { code: 'store_unavailable', error, delayMs: 1 });
  t.ok(stuck.count <= 2000, 'no more are kept than there is room for');
  t.end();
});
