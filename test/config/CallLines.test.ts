import t from 'tap';
import { CallLines } from '../../src/config/CallLines.js';
import { Signal } from '../fixtures/Signal.js';

await t.test('lines that come at once go together, by themselves', async (t) => {
  const sent = new Signal();
  const batches: (readonly string[])[] = [];
  const send = (lines: readonly string[]): boolean => {
    batches.push(lines);
    sent.fire();
    return true;
  };
  const lines = new CallLines(send, () => t.fail('nothing is lost'));
  for (const line of ['1\n', '2\n', '3\n']) lines.take(line);
  t.strictSame(batches, [], 'who logs has sent nothing');
  // The timer alone keeps nobody alive.
  const alive = setInterval(() => undefined, 1000);
  await sent.fired;
  clearInterval(alive);
  lines.take('4\n');
  lines.flush();
  lines.flush();
  t.strictSame(batches, [['1\n', '2\n', '3\n'], ['4\n']]);
});

await t.test('what is too much, or finds nobody, is counted', (t) => {
  let isThere = true;
  let dropped = 0;
  let sent = 0;
  const send = (lines: readonly string[]): boolean => {
    if (isThere) sent += lines.length;
    return isThere;
  };
  const lines = new CallLines(send, (more) => (dropped += more));
  const line = `${'x'.repeat(1023)}\n`;
  for (let count = 0; count < 1000; count++) lines.take(line);
  lines.flush();
  t.equal(sent, 256);
  t.equal(dropped, 744);
  isThere = false;
  for (let count = 0; count < 3; count++) lines.take(line);
  lines.flush();
  t.equal(dropped, 747);
  isThere = true;
  lines.take(line);
  lines.flush();
  t.equal(sent, 257, 'and whoever comes next gets what comes then');
  t.end();
});
