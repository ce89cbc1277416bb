import t from 'tap';
import { Metronome, type Rider } from '../../src/simulators/Metronome.js';

/** Wants to run at each of some times from now, and notes when it was. */
class Passenger implements Rider {
  readonly ran: number[] = [];
  readonly done: Promise<void>;
  readonly #times: number[];
  #resolve: () => void = () => undefined;

  constructor(...inMs: number[]) {
    const nowMs = performance.now();
    this.#times = inMs.map((ms) => nowMs + ms);
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  get dueMs(): number {
    return this.#times[0] ?? Infinity;
  }

  run(nowMs: number): void {
    this.ran.push(nowMs - this.dueMs);
    this.#times.shift();
    if (this.#times.length === 0) this.#resolve();
  }

  hurry(): void {
    this.#times.unshift(performance.now());
  }
}

await t.test('each rider runs once per due time, never early', async (t) => {
  const metronome = new Metronome();
  const riders = [new Passenger(5, 10, 40), new Passenger(7), new Passenger(0, 40.3)];
  for (const rider of riders) metronome.add(rider);
  await Promise.all(riders.map(({ done }) => done));
  t.same(
    riders.map(({ ran }) => ran.length),
    [3, 1, 2],
  );
  t.ok(riders.flatMap(({ ran }) => ran).every((late) => late >= 0));
});

await t.test('a rider that is removed runs no more, the others go on', async (t) => {
  const metronome = new Metronome();
  const [gone, stays] = [new Passenger(5), new Passenger(20)];
  metronome.add(gone);
  metronome.add(stays);
  metronome.remove(gone);
  await stays.done;
  t.same(gone.ran, []);
});

await t.test('a due time that moved to an earlier one is kept after wake', async (t) => {
  const metronome = new Metronome();
  const rider = new Passenger(60_000);
  metronome.add(rider);
  rider.hurry();
  metronome.wake(rider.dueMs);
  while (rider.ran.length === 0) await new Promise(setImmediate);
  t.equal(rider.ran.length, 1);
  metronome.remove(rider);
});
