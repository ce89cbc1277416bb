import { pino } from 'pino';
import t from 'tap';
import { Alerts } from '../../src/control/monitoring/Alerts.js';
import { OverloadAlert } from '../../src/control/monitoring/OverloadAlert.js';
import { Counters } from '../../src/tap/Counters.js';

void t.test('overload is told once when it begins and once when it has been over for half a minute', (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  let raised = 0;
  const counters = new Counters();
  const alert = new OverloadAlert(counters, new Alerts(log, () => raised++));
  const look = (level: number, times: number): void => {
    counters.set('overloadLevel', level);
    for (let i = 0; i < times; i++) alert.look();
  };
  look(0, 40);
  t.strictSame(lines, []);
  counters.set('overloadSignal', 2);
  counters.set('overloadValue', 950);
  counters.set('overloadLimit', 900);
  look(1, 3);
  look(2, 3);
  look(0, 29);
  look(1, 1);
  look(0, 29);
  t.equal(lines.length, 1);
  t.match(lines[0], {
    code: 'overloaded',
    alert: true,
    overloadLevel: 1,
    signal: 'memory',
    value: 950,
    limit: 900,
  });
  t.equal(raised, 1);
  look(0, 1);
  t.equal(lines.length, 2);
  t.match(lines[1], { code: 'overloaded', alert: true, resolved: true });
  look(0, 40);
  t.equal(lines.length, 2);
  t.end();
});
