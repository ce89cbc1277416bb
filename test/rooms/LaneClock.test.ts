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
  clock.told({ waitedSeconds: 0, emitted: 4800 }, 1000);
  t.strictSame(play(clock, [60, 40, 90, 0]), []);
  t.notOk(clock.isWaiting);
  t.strictSame(play(clock, [25], 4), due(0, 5), 'the least late of them tells when all were due');
  t.strictSame(play(clock, [30, 0, 80], 5), due(5, 3), 'and those behind them go at once');
  t.end();
});

/** A jitter buffer that is looked at once a second, and tells of each for how long it has held what came, ms. */
class Buffer {
  #waitedSeconds = 0;
  #emitted = 0;
  #nowMs = 1000;

  told(clock: LaneClock, delayMs: number, emitted = 48_000): number[] {
    this.#nowMs += 1000;
    this.#emitted += emitted;
    this.#waitedSeconds += (delayMs / 1000) * emitted;
    const report = { waitedSeconds: this.#waitedSeconds, emitted: this.#emitted };
    return clock.told(report, this.#nowMs).map(({ timeMs }) => Math.round(timeMs));
  }
}

void t.test('what the jitter buffer holds is taken off, and little by little when it changes', (t) => {
  const clock = new LaneClock(rate);
  const buffer = new Buffer();
  t.strictSame(play(clock, [0, 0, 0, 0, 0]), []);
  t.ok(clock.isWaiting, 'for the buffer alone');
  t.strictSame(buffer.told(clock, 40, 24_000), due(0, 5, 40));
  t.strictSame(play(clock, [0, 0], 5).map(Math.round), due(5, 2, 40));
  for (let look = 0; look < 2; look++) buffer.told(clock, 140);
  t.equal(Math.round(clock.delayMs ?? 0), 140, 'of each look by itself');
  t.strictSame(play(clock, [0, 0], 7).map(Math.round), [...due(7, 1, 45), ...due(8, 1, 50)]);
  play(clock, new Array<number>(20).fill(0), 9);
  t.strictSame(play(clock, [0, 0], 29).map(Math.round), due(29, 2, 140));
  t.end();
});

void t.test('a look that tells nonsense is not believed, and one that differs not at once', (t) => {
  const clock = new LaneClock(rate);
  const buffer = new Buffer();
  for (let look = 0; look < 5; look++) buffer.told(clock, 30);
  buffer.told(clock, 90);
  buffer.told(clock, 90);
  t.equal(Math.round(clock.delayMs ?? 0), 30, 'two of five');
  buffer.told(clock, 90);
  t.equal(Math.round(clock.delayMs ?? 0), 90, 'three of five');
  for (let look = 0; look < 5; look++) buffer.told(clock, 300, 9600);
  t.equal(Math.round(clock.delayMs ?? 0), 90, 'of a track that comes piece by piece: it was muted');
  for (let look = 0; look < 5; look++) buffer.told(clock, 2000);
  t.equal(Math.round(clock.delayMs ?? 0), 90, 'more than any buffer holds');
  for (let look = 0; look < 5; look++) buffer.told(clock, 0, 0);
  t.equal(Math.round(clock.delayMs ?? 0), 90, 'one that has given out nothing tells nothing');
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
  clock.told({ waitedSeconds: 0, emitted: 4800 }, 1000);
  play(clock, new Array<number>(10).fill(0));
  const times = play(clock, new Array<number>(12).fill(300), 10);
  t.strictSame(times.slice(0, 9), due(10, 9));
  t.strictSame(times.slice(9), due(19, 3, -300));
  t.end();
});
