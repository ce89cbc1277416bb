import t from 'tap';
import { LaneClock } from '../../src/rooms/LaneClock.js';

const rate = 8000;
const frame = 800;
const frameMs = 100;

/** Frames whose first one was due at 1000 ms, each so late as the list says, in ms. */
function play(clock: LaneClock, lateMs: readonly number[], from = 0): number[] {
  return lateMs.flatMap((late, index) => {
    const nowMs = 1000 + (from + index) * frameMs + late;
    return clock.push(new Int16Array(frame).fill(from + index), nowMs).map(({ timeMs }) => timeMs);
  });
}

function due(first: number, count: number, delayMs = 0): number[] {
  return Array.from({ length: count }, (_none, index) => 1000 + (first + index) * frameMs - delayMs);
}

void t.test('the first frames wait until it is known how late they are', (t) => {
  const clock = new LaneClock(rate);
  clock.told({ waitedSeconds: 0, emitted: 4800 });
  t.strictSame(play(clock, [60, 40, 90, 0]), []);
  t.notOk(clock.isWaiting);
  t.strictSame(play(clock, [25], 4), due(0, 5), 'the least late of them tells when all were due');
  t.strictSame(play(clock, [30, 0, 80], 5), due(5, 3), 'and those behind them go at once');
  t.end();
});

void t.test('what the jitter buffer holds is taken off, now and when it changes', (t) => {
  const clock = new LaneClock(rate);
  t.strictSame(play(clock, [0, 0, 0, 0, 0]), []);
  t.ok(clock.isWaiting, 'for the buffer alone');
  // 40 ms each of 24,000 samples.
  const held = clock.told({ waitedSeconds: 0.04 * 24_000, emitted: 24_000 });
  t.strictSame(
    held.map(({ timeMs, samples }) => [timeMs, samples[0]]),
    due(0, 5, 40).map((timeMs, index) => [timeMs, index]),
  );
  t.strictSame(play(clock, [0, 0], 5), due(5, 2, 40));
  // 140 ms each of the next ones: by the sum since the beginning it would be less.
  t.strictSame(clock.told({ waitedSeconds: 0.04 * 24_000 + 0.14 * 9600, emitted: 33_600 }), []);
  t.strictSame(play(clock, [0, 0], 7), [...due(7, 1, 45), ...due(8, 1, 50)], 'little by little');
  play(clock, new Array<number>(48).fill(0), 9);
  t.strictSame(play(clock, [0, 0], 57), due(57, 2, 140));
  t.strictSame(clock.told({ waitedSeconds: 0.04 * 24_000 + 0.14 * 9600, emitted: 33_600 }), []);
  t.strictSame(play(clock, [0], 59), due(59, 1, 140), 'one that has given out nothing tells nothing');
  t.strictSame(clock.told({ waitedSeconds: 90_000, emitted: 33_700 }), []);
  t.strictSame(play(clock, [0], 60), due(60, 1, 140), 'nonsense isn’t believed');
  t.end();
});

void t.test('one whose buffer tells nothing isn’t waited for for ever', (t) => {
  const clock = new LaneClock(rate);
  t.strictSame(play(clock, new Array<number>(9).fill(10)), []);
  t.strictSame(play(clock, [10], 9), due(0, 10, -10));
  t.end();
});

void t.test('a track that ends early keeps what it has said', (t) => {
  const clock = new LaneClock(rate);
  play(clock, [20, 5]);
  t.strictSame(
    clock.flush().map(({ timeMs }) => timeMs),
    due(0, 2, -5),
  );
  t.strictSame(clock.flush(), []);
  t.strictSame(play(clock, [0], 2), due(2, 1));
  t.end();
});

void t.test('frames that were lost move those behind them, after a second', (t) => {
  const clock = new LaneClock(rate);
  clock.told({ waitedSeconds: 0, emitted: 4800 });
  play(clock, new Array<number>(10).fill(0));
  const times = play(clock, new Array<number>(12).fill(300), 10);
  t.strictSame(times.slice(0, 9), due(10, 9));
  t.strictSame(times.slice(9), due(19, 3, -300));
  t.end();
});
