import * as fc from 'fast-check';
import t from 'tap';
import { Overload } from '../../src/relay/Overload.js';
import type { OverloadReadings } from '../../src/relay/Overload.js';
import { memoryLimit } from '../../src/relay/memoryLimit.js';

const limits = { loopDelayMs: 200, memoryBytes: 1000 };
const calm: OverloadReadings = { loop_delay: 5, ring: 0.01, memory: 500 };

/** Shows the same readings so often, and says which levels came of it. */
function show(overload: Overload, change: Partial<OverloadReadings>, times = 1): number[] {
  return Array.from({ length: times }, () => overload.look({ ...calm, ...change }, limits));
}

void t.test('one standstill of the loop is an accident, two within five seconds are overload', (t) => {
  const overload = new Overload();
  t.strictSame(show(overload, { loop_delay: 3000 }), [0]);
  t.strictSame(show(overload, {}, 5), [0, 0, 0, 0, 0]);
  t.strictSame(show(overload, { loop_delay: 250 }), [0], 'the first one is out of sight');
  t.strictSame(show(overload, {}, 3), [0, 0, 0]);
  t.strictSame(show(overload, { loop_delay: 250 }), [1]);
  t.strictSame(overload.cause, { signal: 'loop_delay', value: 250, limit: 200 });
  t.strictSame(show(overload, {}), [0], 'the second worst of the last five seconds is fine again');
  t.equal(overload.cause, null);
  t.end();
});

void t.test('calls are refused at twice the delay at which recordings are given up', (t) => {
  const overload = new Overload();
  t.strictSame(show(overload, { loop_delay: 390 }, 3), [0, 1, 1]);
  t.strictSame(show(overload, { loop_delay: 410 }, 3), [1, 2, 2]);
  t.strictSame(overload.cause, { signal: 'loop_delay', value: 410, limit: 400 });
  t.strictSame(show(overload, { loop_delay: 330 }, 5), [2, 2, 2, 2, 2], 'not below four fifths of the limit');
  t.strictSame(show(overload, { loop_delay: 300 }, 5), [2, 2, 2, 1, 1]);
  t.strictSame(show(overload, { loop_delay: 170 }, 5), [1, 1, 1, 1, 1]);
  t.strictSame(show(overload, { loop_delay: 150 }, 5), [1, 1, 1, 0, 0]);
  t.end();
});

void t.test('a ring that is half full costs recordings, and no call even if it is full', (t) => {
  const overload = new Overload();
  t.strictSame(show(overload, { ring: 0.5 }), [0]);
  t.strictSame(show(overload, { ring: 0.51 }), [1], 'at once: it fills in seconds');
  t.strictSame(show(overload, { ring: 1 }), [1]);
  t.strictSame(overload.cause, { signal: 'ring', value: 1, limit: 0.5 });
  t.strictSame(show(overload, { ring: 0.45 }), [1]);
  t.strictSame(show(overload, { ring: 0.39 }), [0]);
  t.end();
});

void t.test('memory costs recordings at nine tenths of its limit and calls beyond it', (t) => {
  const overload = new Overload();
  t.strictSame(show(overload, { memory: 900 }), [0]);
  t.strictSame(show(overload, { memory: 901 }), [1]);
  t.strictSame(show(overload, { memory: 1001 }), [2]);
  t.strictSame(overload.cause, { signal: 'memory', value: 1001, limit: 1000 });
  t.strictSame(show(overload, { memory: 960 }), [2]);
  t.strictSame(show(overload, { memory: 940 }), [1]);
  t.strictSame(show(overload, { memory: 850 }), [0]);
  t.end();
});

void t.test('whatever it is shown: no level without a cause beyond relief, and calm readings end it', (t) => {
  const reading = fc.record({
    loop_delay: fc.double({ min: 0, max: 1000, noNaN: true }),
    ring: fc.double({ min: 0, max: 1, noNaN: true }),
    memory: fc.double({ min: 0, max: 2000, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(reading, { maxLength: 60 }), (readings) => {
      const overload = new Overload();
      for (const shown of readings) {
        const level = overload.look(shown, limits);
        const { cause } = overload;
        if ((level === 0) !== (cause === null))
          throw new Error(`level ${level} and ${String(cause?.signal)}`);
        if (cause !== null && cause.value < 0.8 * cause.limit) throw new Error('held on for nothing');
        if (level < 2 && shown.memory > limits.memoryBytes) throw new Error('memory was not heeded');
        if (level < 1 && shown.ring > 0.5) throw new Error('the ring was not heeded');
      }
      if (show(overload, {}, 5).at(-1) !== 0) throw new Error('it does not end');
    }),
  );
  t.pass('it holds');
  t.end();
});

void t.test('what Node says of a control group is believed only where it can be true', (t) => {
  t.equal(memoryLimit(0, 1000), 800);
  t.equal(memoryLimit(2 ** 64, 1000), 800);
  t.equal(memoryLimit(500, 1000), 400);
  t.ok(memoryLimit() > 0);
  t.end();
});
