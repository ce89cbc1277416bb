import { pino } from 'pino';
import t from 'tap';
import { Alerts } from '../../src/control/monitoring/Alerts.js';
import { ThreadAlerts } from '../../src/control/monitoring/ThreadAlerts.js';

const ready = { media: 'ready', recorder: 'ready', control: 'ready' } as const;

void t.test('troubles of threads are alerts, each told once and once when it is over', (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    {},
    { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const raised: string[] = [];
  const alerts = new ThreadAlerts(new Alerts(log, ({ code }) => void raised.push(code)));
  alerts.take({ ...ready, recorder: 'restarting' }, []);
  t.strictSame(lines, [], 'one restart is none');
  for (let time = 0; time < 3; time++) alerts.take({ ...ready, recorder: 'stuck' }, ['recorder']);
  alerts.take({ ...ready, recorder: 'ready' }, ['recorder', 'control']);
  t.strictSame(raised, ['thread_lost', 'thread_lost']);
  alerts.take(ready, ['control']);
  alerts.take(ready, []);
  t.match(lines, [
    { alert: true, code: 'thread_lost', worker: 'recorder', state: 'stuck' },
    { alert: true, code: 'thread_lost', worker: 'control' },
    { alert: true, resolved: true, worker: 'recorder' },
    { alert: true, resolved: true, worker: 'control' },
  ]);
  t.end();
});

void t.test('a recorder whose disk refuses is an alert until it records again', (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    {},
    { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const alerts = new ThreadAlerts(new Alerts(log, () => undefined));
  for (const recorder of ['blocked', 'blocked', 'restarting', 'blocked', 'ready', 'ready'] as const)
    alerts.take({ ...ready, recorder }, []);
  t.match(lines, [{ code: 'spool_unwritable' }, { code: 'spool_unwritable', resolved: true }]);
  t.equal(lines.length, 2);
  t.end();
});
