import t from 'tap';
import { latencyOf, LatencyMeter } from '../../src/simulators/LatencyMeter.js';

const frame = (value: number): Buffer => Buffer.alloc(160, value);

await t.test('echoes are matched first in, first out', (t) => {
  const meter = new LatencyMeter();
  meter.sent(frame(1), 0);
  meter.sent(frame(1), 20);
  meter.received(frame(1), 5);
  meter.received(frame(1), 30);
  t.same(meter.samples, [5, 10]);
  t.end();
});

await t.test('a frame that was never echoed is passed over', (t) => {
  const meter = new LatencyMeter();
  meter.sent(frame(1), 0);
  meter.sent(frame(2), 20);
  meter.received(frame(2), 23);
  meter.received(frame(1), 24);
  t.same(meter.samples, [3]);
  t.end();
});

await t.test('nothing is measurable when nothing was echoed', (t) => {
  const meter = new LatencyMeter();
  for (let index = 0; index < 1000; index += 1) {
    meter.sent(frame(1), index);
    meter.received(frame(2), index);
  }
  t.equal(meter.summary().samples, 0);
  t.ok(Number.isNaN(meter.summary().p50));
  t.end();
});

await t.test('percentiles are values that were measured', (t) => {
  const samples = Array.from({ length: 100 }, (_none, index) => 100 - index);
  t.same(latencyOf(samples), { samples: 100, p50: 50, p90: 90, p99: 99, max: 100 });
  t.same(latencyOf([4]), { samples: 1, p50: 4, p90: 4, p99: 4, max: 4 });
  t.end();
});
