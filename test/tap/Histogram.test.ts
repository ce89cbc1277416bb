import * as fc from 'fast-check';
import t from 'tap';
import { Counters } from '../../src/tap/Counters.js';
import { Histogram, histogramCells } from '../../src/tap/Histogram.js';

const empty = (): Histogram => new Histogram(new Float64Array(histogramCells));
const bounds = { fromUs: 16, toUs: 2 ** 20, perDoubling: 4 };

void t.test('a quantile is at most a sixteenth higher than the value that it stands for', (t) => {
  const times = fc.array(fc.double({ min: 0, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(times, fc.constantFrom(0.5, 0.99, 0.999, 1), (values, share) => {
      const histogram = empty();
      for (const value of values) histogram.observe(value);
      const sorted = [...values].sort((a, b) => a - b);
      const exact = sorted[Math.ceil(share * values.length) - 1] ?? NaN;
      const told = histogram.quantileSince(null, share);
      // A whole µs is what it keeps.
      if (told < exact || told > exact * (1 + 1 / 16) + 0.001) throw new Error(`${told} for ${exact}`);
    }),
  );
  t.pass('it holds');
  t.end();
});

void t.test('what others are shown is what was observed', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5_000_000 })), (microseconds) => {
      const histogram = empty();
      for (const us of microseconds) histogram.observe(us / 1000);
      const { below, count, sum } = histogram.read(bounds);
      if (count !== microseconds.length || histogram.count !== count) throw new Error('count');
      const exactSum = microseconds.reduce((all, us) => all + us, 0) / 1e6;
      if (Math.abs(sum - exactSum) > 1e-6) throw new Error(`${sum} for ${exactSum}`);
      for (const { seconds, count: told } of below) {
        const exact = microseconds.filter(
          (us) => Math.floor((us / 1000) * 1000) < Math.round(seconds * 1e6),
        ).length;
        if (told !== exact) throw new Error(`${told} below ${seconds}, not ${exact}`);
      }
    }),
  );
  const seconds = empty()
    .read(bounds)
    .below.map((bound) => bound.seconds);
  t.strictSame(seconds.slice(0, 6), [0.000016, 0.00002, 0.000024, 0.000028, 0.000032, 0.00004]);
  t.equal(seconds.length, 65);
  t.equal(seconds.at(-1), 1.048576);
  t.end();
});

void t.test('a quantile since a snapshot knows nothing of what was before', (t) => {
  const histogram = empty();
  for (let i = 0; i < 100; i++) histogram.observe(500);
  const before = histogram.snapshot();
  t.equal(histogram.quantileSince(before, 0.99), 0, 'nothing was observed since');
  for (let i = 0; i < 99; i++) histogram.observe(1);
  histogram.observe(40);
  t.ok(histogram.quantileSince(before, 0.99) < 1.1);
  t.ok(histogram.quantileSince(before, 1) >= 40);
  t.ok(histogram.quantileSince(null, 0.6) >= 500);
  t.end();
});

void t.test('each histogram and counter has cells of its own, and another thread reads the same', (t) => {
  const counters = new Counters();
  const reader = new Counters(counters.buffer);
  counters.add('calls', 3);
  counters.addRefusal('draining');
  counters.addRefusal('something new');
  counters.set('overloadLimit', 7);
  counters.latency.to_bot.observe(1);
  counters.loopDelay.control.observe(2);
  counters.gcPause.control.weakcb.observe(3);
  counters.gcPause.control.weakcb.observe(3);
  t.equal(reader.get('calls'), 3);
  t.equal(reader.get('refusedUpgrades'), 2);
  t.equal(reader.refusals('draining'), 1);
  t.equal(reader.refusals('other'), 1);
  t.equal(reader.refusals('overloaded'), 0);
  t.equal(reader.get('overloadLimit'), 7);
  t.equal(reader.latency.to_bot.count, 1);
  t.equal(reader.latency.to_provider.count, 0);
  t.equal(reader.loopDelay.media.count, 0);
  t.equal(reader.loopDelay.control.count, 1);
  t.equal(reader.gcPause.control.weakcb.count, 2);
  t.equal(reader.gcPause.media.minor.count, 0);
  t.end();
});
