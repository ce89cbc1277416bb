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
  clock.told({ waitedSeconds: 0, emitted: 4800, madeUp: 0, played: 4800, stretched: 0 }, 1000);
  t.strictSame(play(clock, [60, 40, 90, 0]), []);
  t.notOk(clock.isWaiting);
  t.strictSame(play(clock, [25], 4), due(0, 5), 'the least late of them tells when all were due');
  t.strictSame(play(clock, [30, 0, 80], 5), due(5, 3), 'and those behind them go at once');
  t.end();
});

const lookMs = 250;
const look = (48_000 * lookMs) / 1000;

/** A jitter buffer that is looked at four times a second, and tells of each for how long it has held what came, ms. */
class Buffer {
  readonly #leftMs: number;
  #waitedSeconds = 0;
  #emitted = 0;
  #played = 0;
  #stretched = 0;
  #nowMs = 1000;

  /** @param leftMs - what it has given out and isn't played yet when it is looked at */
  constructor(leftMs = 0) {
    this.#leftMs = leftMs;
  }

  /** @param stretchedMs - by which it made what it gave out longer than what came */
  told(clock: LaneClock, delayMs: number, emitted = look, stretchedMs = 0): number[] {
    this.#nowMs += lookMs;
    this.#emitted += emitted;
    this.#waitedSeconds += (delayMs / 1000) * emitted;
    this.#stretched += stretchedMs * 48;
    this.#played += look;
    const report = {
      waitedSeconds: this.#waitedSeconds,
      emitted: this.#emitted,
      madeUp: this.#played + this.#leftMs * 48 - this.#emitted - this.#stretched,
      played: this.#played,
      stretched: this.#stretched,
    };
    return clock.told(report, this.#nowMs).map(({ timeMs }) => Math.round(timeMs));
  }
}

const held = (clock: LaneClock): number => Math.round(clock.delayMs ?? NaN);

void t.test('what the jitter buffer holds is taken off, and little by little when it changes', (t) => {
  const clock = new LaneClock(rate);
  const buffer = new Buffer();
  t.strictSame(play(clock, [0, 0, 0, 0, 0]), []);
  t.ok(clock.isWaiting, 'for the buffer alone');
  t.strictSame(buffer.told(clock, 40), due(0, 5, 40));
  t.strictSame(play(clock, [0, 0], 5).map(Math.round), due(5, 2, 40));
  for (let n = 0; n < 2; n++) buffer.told(clock, 140);
  t.equal(held(clock), 140, 'of each look by itself');
  t.strictSame(play(clock, [0, 0], 7).map(Math.round), [...due(7, 1, 60), ...due(8, 1, 80)]);
  play(clock, new Array<number>(3).fill(0), 9);
  t.strictSame(play(clock, [0, 0], 12).map(Math.round), due(12, 2, 140));
  t.end();
});

void t.test('frames that are held up on their way change nothing', (t) => {
  const clock = new LaneClock(rate);
  const buffer = new Buffer();
  for (let n = 0; n < 4; n++) buffer.told(clock, 60);
  for (let n = 0; n < 9; n++) buffer.told(clock, 5 + 3 * n);
  t.equal(held(clock), 60, 'they have waited elsewhere');
  for (let n = 0; n < 12; n++) buffer.told(clock, 30);
  t.equal(held(clock), 30, 'unless they all are, for seconds');
  t.end();
});

void t.test('what a buffer stretches and leaves out is counted', (t) => {
  const clock = new LaneClock(rate);
  const buffer = new Buffer();
  for (let n = 0; n < 6; n++) buffer.told(clock, 60);
  buffer.told(clock, 50, look, -20);
  t.equal(held(clock), 40, 'at once');
  buffer.told(clock, 40);
  buffer.told(clock, 47, look, 15);
  t.equal(held(clock), 55);
  t.end();
});

void t.test('what a buffer has given out, and is still to be played, waits too', (t) => {
  for (const [leftMs, more] of [
    [3, 3],
    [13, 3],
    [29, 9],
  ] as const) {
    const clock = new LaneClock(rate);
    const buffer = new Buffer(leftMs);
    for (let n = 0; n < 3; n++) buffer.told(clock, 40);
    t.equal(held(clock), 40 + more, 'in beats it has counted that already');
  }
  t.end();
});

void t.test('a look that tells nonsense is not believed', (t) => {
  const clock = new LaneClock(rate);
  const buffer = new Buffer();
  for (let n = 0; n < 5; n++) buffer.told(clock, 30);
  buffer.told(clock, 90);
  t.equal(held(clock), 30, 'one');
  buffer.told(clock, 90);
  t.equal(held(clock), 90, 'two');
  for (let n = 0; n < 5; n++) buffer.told(clock, 300, look / 2);
  t.equal(held(clock), 90, 'of a track that comes piece by piece: it was muted');
  for (let n = 0; n < 2; n++) buffer.told(clock, 2000);
  t.equal(held(clock), 90, 'more than any buffer holds');
  t.end();
});

void t.test('what a buffer held before nobody sent says nothing of what it holds after that', (t) => {
  const clock = new LaneClock(rate);
  const buffer = new Buffer();
  for (let n = 0; n < 5; n++) buffer.told(clock, 90);
  for (let n = 0; n < 2; n++) buffer.told(clock, 0, 0);
  t.equal(held(clock), 90, 'one that has given out nothing tells nothing');
  for (let n = 0; n < 2; n++) buffer.told(clock, 20);
  t.equal(held(clock), 20);
  const another = new Buffer();
  for (let n = 0; n < 4; n++) another.told(clock, 70);
  t.equal(held(clock), 70, 'nor does another buffer, which begins to count anew');
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
  clock.told({ waitedSeconds: 0, emitted: 4800, madeUp: 0, played: 4800, stretched: 0 }, 1000);
  play(clock, new Array<number>(10).fill(0));
  const times = play(clock, new Array<number>(12).fill(300), 10);
  t.strictSame(times.slice(0, 9), due(10, 9));
  t.strictSame(times.slice(9), due(19, 3, -300));
  t.end();
});
