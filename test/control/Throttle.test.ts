import t from 'tap';
import { Throttle } from '../../src/control/api/Throttle.js';

const piece = new Uint8Array(10_000);

async function* pieces(count: number, ended?: () => void): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < count; at++) yield await Promise.resolve(piece);
  } finally {
    ended?.();
  }
}

/** @returns ms that it took, and what came through */
async function timed(throttle: Throttle, count: number): Promise<{ ms: number; came: number }> {
  const fromMs = performance.now();
  let came = 0;
  for await (const { length } of throttle.through(pieces(count))) came += length / piece.length;
  return { ms: performance.now() - fromMs, came };
}

void t.test('all together get no more than the rate, and each of them a share', async (t) => {
  const throttle = new Throttle(() => 1_000_000);
  const found = await Promise.all([timed(throttle, 10), timed(throttle, 10), timed(throttle, 10)]);
  // 300 kB at 1 MB/s, a tenth of a second of which is free.
  for (const { ms, came } of found) {
    t.equal(came, 10);
    t.ok(ms > 140, `took ${ms.toFixed(0)} ms`);
  }
});

void t.test('a changed rate holds for the next piece', async (t) => {
  let rate = 1000;
  const throttle = new Throttle(() => rate);
  const reading = throttle.through(pieces(3));
  rate = 1e12;
  t.equal((await reading.next()).value?.length, piece.length);
  t.ok((await timed(throttle, 1000)).came === 1000);
  await reading.return();
});

void t.test('whoever goes away lets go of what was read', async (t) => {
  let isEnded = false;
  const throttle = new Throttle(() => 1e9);
  const reading = throttle.through(pieces(5, () => (isEnded = true)));
  await reading.next();
  await reading.return();
  t.ok(isEnded);
});
