import t from 'tap';
import { Counters } from '../../src/tap/Counters.js';
import { ThreadGauges } from '../../src/tap/ThreadGauges.js';
import { standStill } from '../fixtures/standStill.js';
import { until } from '../relay/fixtures/until.js';

void t.test('a standstill is counted as often as frames would have met it', async (t) => {
  const counters = new Counters();
  const gauges = new ThreadGauges(counters, 'media').start();
  t.teardown(() => gauges.stop());
  const { media } = counters.loopDelay;
  await until(() => media.count > 2, 'the first looks');
  const before = media.snapshot();
  const calmLooks = media.count;
  standStill(400);
  await until(() => media.quantileSince(before, 1) >= 300, 'the standstill');
  t.ok(media.count - calmLooks >= 15, 'fifty frames a second would have waited');
  const half = media.quantileSince(before, 0.5);
  t.ok(half >= 60, `half of them for ${half} ms and more`);
  t.equal(counters.loopDelay.recorder.count, 0, 'another thread’s cells are untouched');
});

void t.test('collections and the heap are measured', async (t) => {
  const counters = new Counters();
  const gauges = new ThreadGauges(counters, 'control').start();
  t.teardown(() => gauges.stop());
  t.ok(counters.get('controlHeapBytes') > 1_000_000);
  const { minor, major } = counters.gcPause.control;
  let hoard: unknown[] = [];
  await until(() => {
    hoard = Array.from({ length: 200_000 }, (_, index) => ({ index }));
    return minor.count + major.count > 0;
  }, 'a collection');
  t.ok(hoard.length > 0);
  const longest = Math.max(minor.quantileSince(null, 1), major.quantileSince(null, 1));
  t.ok(longest > 0, `${longest} ms`);
});

void t.test('gauges that were stopped count nothing more', async (t) => {
  const counters = new Counters();
  const gauges = new ThreadGauges(counters, 'media').start();
  await until(() => counters.loopDelay.media.count > 0, 'a look');
  gauges.stop();
  const { count } = counters.loopDelay.media;
  const other = new ThreadGauges(counters, 'recorder').start();
  t.teardown(() => other.stop());
  await until(() => counters.loopDelay.recorder.count > 5, 'the looks of another one');
  t.equal(counters.loopDelay.media.count, count);
});
