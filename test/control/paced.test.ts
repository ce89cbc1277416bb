import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { paced } from '../../src/control/api/paced.js';

async function* pieces(count: number, madeMs = 0, ended?: () => void): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < count; at++) {
      if (madeMs > 0) await sleep(madeMs);
      yield await Promise.resolve(new Uint8Array(100));
    }
  } finally {
    ended?.();
  }
}

await t.test('who takes nothing is too slow', async (t) => {
  let isEnded = false;
  let reading: AsyncGenerator<Uint8Array> | null = null;
  await new Promise<void>((tooSlow) => {
    reading = paced(
      pieces(3, 0, () => (isEnded = true)),
      tooSlow,
      { bytesPerSecond: 1e6, patienceMs: 20 },
    );
    void reading.next();
  });
  await (reading as AsyncGenerator<Uint8Array> | null)?.return(undefined);
  t.ok(isEnded, 'what it read from is let go of');
});

await t.test('and so is who takes a little now and then', async (t) => {
  const ended = new AbortController();
  const tooSlow = (): void => ended.abort();
  const reading = paced(pieces(Infinity), tooSlow, { bytesPerSecond: 1e6, patienceMs: 30 });
  let taken = 0;
  for (; !ended.signal.aborted; taken++) {
    await reading.next();
    await sleep(10);
  }
  t.ok(taken > 0);
  await reading.return();
});

await t.test('who takes what comes is waited for, however long it takes to be made', async (t) => {
  let isTooSlow = false;
  const tooSlow = (): void => void (isTooSlow = true);
  let bytes = 0;
  for await (const piece of paced(pieces(5, 30), tooSlow, { bytesPerSecond: 1e6, patienceMs: 10 }))
    bytes += piece.length;
  t.equal(bytes, 500);
  t.notOk(isTooSlow);
});
