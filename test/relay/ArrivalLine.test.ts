import t from 'tap';
import { ArrivalLine } from '../../src/relay/ArrivalLine.js';

function busyFor(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

await t.test('what arrives alone is done at once', async (t) => {
  const line = new ArrivalLine();
  let done = 0;
  line.take(() => done++);
  t.equal(done, 1);
  await new Promise(setImmediate);
  line.take(() => done++);
  t.equal(done, 2);
  t.equal(line.length, 0);
});

await t.test('what arrives together is done in order, a little in each turn of the loop', async (t) => {
  const line = new ArrivalLine();
  const done: number[] = [];
  const inTurn: number[] = [];
  for (let index = 0; index < 50; index++) {
    line.take(() => {
      busyFor(0.6);
      done.push(index);
    });
  }
  t.equal(done.length, 1, 'the first one has used up this turn');
  t.equal(line.length, 49);
  while (line.length > 0) {
    const before = done.length;
    await new Promise(setImmediate);
    inTurn.push(done.length - before);
  }
  t.same(
    done,
    Array.from({ length: 50 }, (_none, index) => index),
  );
  t.ok(
    inTurn.every((count) => count <= 1),
    inTurn.join(),
  );
});

await t.test('work that brings more work waits its turn behind the others', async (t) => {
  const line = new ArrivalLine();
  const done: string[] = [];
  const work = (name: string, then?: () => void) => (): void => {
    busyFor(0.6);
    done.push(name);
    then?.();
  };
  line.take(work('first'));
  line.take(work('second', () => line.take(work('brought by the second'))));
  line.take(work('third'));
  while (line.length > 0) await new Promise(setImmediate);
  t.same(done, ['first', 'second', 'third', 'brought by the second']);
});
