import { Writable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import { Alerts } from '../../src/control/monitoring/Alerts.js';

await t.test('an alert is told when it begins and when it is over, and never in between', (t) => {
  const lines: Record<string, unknown>[] = [];
  const raised: string[] = [];
  const log = pino(
    { base: null, timestamp: false },
    new Writable({
      write(line: Buffer, _encoding, done) {
        lines.push(JSON.parse(line.toString()) as Record<string, unknown>);
        done();
      },
    }),
  );
  const alerts = new Alerts(log, ({ code }) => void raised.push(code));
  const denied = { code: 'store_denied', message: 'no', details: { accountId: 'AC1' } } as const;
  alerts.resolve('account AC1', 'nothing was wrong');
  alerts.raise('account AC1', denied);
  alerts.raise('account AC1', denied);
  alerts.raise('spool', { code: 'spool_full', message: 'full' });
  alerts.resolve('account AC1', 'again');
  alerts.resolve('account AC1', 'again');
  alerts.raise('account AC1', denied);
  t.strictSame(raised, ['store_denied', 'spool_full', 'store_denied']);
  const about = { level: 50, accountId: 'AC1', alert: true, code: 'store_denied' };
  t.strictSame(lines, [
    { ...about, msg: 'no' },
    { level: 50, alert: true, code: 'spool_full', msg: 'full' },
    { ...about, resolved: true, msg: 'again' },
    { ...about, msg: 'no' },
  ]);
  t.end();
});
