import t from 'tap';
import { AudioAllowance } from '../../src/relay/AudioAllowance.js';

const rate = 96_000;

await t.test('twice as fast as it is spoken for ever, and twenty seconds at once', (t) => {
  const steady = new AudioAllowance(rate, 0);
  for (let ms = 1; ms < 3_600_000; ms += 100)
    if (!steady.take(2 * rate * 0.1, ms)) t.fail(`refused after ${ms} ms`);
  t.ok(steady.take(18 * rate, 3_600_000), 'and nothing of the reserve is gone');
  const atOnce = new AudioAllowance(rate, 0);
  t.ok(atOnce.take(20 * rate, 0));
  t.notOk(atOnce.take(1, 0));
  t.end();
});

await t.test('three times as fast isn’t for long', (t) => {
  const fast = new AudioAllowance(rate, 0);
  let seconds = 0;
  while (seconds < 100 && fast.take(3 * rate, seconds * 1000)) seconds++;
  t.ok(seconds > 10 && seconds < 30, `${seconds} s`);
  t.end();
});
