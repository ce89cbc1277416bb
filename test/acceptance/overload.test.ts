import t from 'tap';
import WebSocket from 'ws';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';

await t.test(
  'a daemon that is short of memory says so on both ports, in metrics and in an alert',
  async (t) => {
    // No daemon of three threads fits into this.
    const limits = { memoryBytes: '64MiB' };
    const daemon = await DaemonProcess.start({
      dir: t.testdir({}),
      accounts: [{ id: '*' }],
      config: { limits },
    });
    t.teardown(() => daemon.kill('SIGKILL'));
    const body = await eventually('the control port says so', async () => {
      const answer = await daemon.get('/readyz');
      return answer.status === 503 && answer.json();
    });
    t.match(body, { ready: false, status: 'overloaded', threads: { media: 'overloaded', control: 'ready' } });
    const media = await fetch(`http://127.0.0.1:${daemon.mediaPort}/readyz`);
    t.equal(media.status, 503);
    t.match(await media.json(), { ready: false, status: 'overloaded' });
    const status = await new Promise((resolve) => {
      const socket = new WebSocket(daemon.media('/twilio'));
      socket.on('error', () => undefined);
      socket.on('unexpected-response', (request, response) => {
        resolve([response.statusCode, response.headers['retry-after']]);
        request.destroy();
      });
    });
    t.same(status, [503, '5']);
    await eventually('the alert is raised', async () => {
      return (await daemon.metric('reelay_alerts_total{alert="overloaded"}')) === 1;
    });
    t.equal(await daemon.metric('reelay_overload_level'), 2);
    t.equal(await daemon.metric('reelay_refused_upgrades_total{reason="overloaded"}'), 1);
    for (const thread of ['media', 'recorder', 'control']) {
      await eventually(`the event loop of ${thread} is measured`, async () => {
        return (await daemon.metric(`reelay_event_loop_delay_seconds_count{thread="${thread}"}`)) > 0;
      });
      t.ok((await daemon.metric(`reelay_process_heap_bytes{thread="${thread}"}`)) > 1_000_000);
    }
    const [alert] = daemon.logs.filter((line) => line['alert'] === true);
    t.match(alert, { code: 'overloaded', signal: 'memory', overloadLevel: 2 });
    const told = daemon.logs.filter((line) => line['code'] === 'overloaded' && line['thread'] === 'media');
    t.equal(told.filter((line) => 'overloadLevel' in line).length, 1, 'the change of level is told once');
    t.same(await daemon.kill('SIGTERM'), { code: 0, signal: null });
  },
);
