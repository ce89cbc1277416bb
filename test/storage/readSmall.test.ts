import { Readable } from 'node:stream';
import t from 'tap';
import { readSmall } from '../../src/storage/readSmall.js';
import { MemoryStore } from './fixtures/MemoryStore.js';

await t.test('an object is read whole, up to a bound, and no further', async (t) => {
  const store = new MemoryStore();
  store.objects.set('small', Buffer.from('abcd'));
  store.objects.set('empty', Buffer.alloc(0));
  t.equal((await readSmall(store, 'small', 4))?.toString(), 'abcd');
  t.equal(await readSmall(store, 'small', 3), null);
  t.equal((await readSmall(store, 'empty', 3))?.length, 0);
  t.equal(await readSmall(store, 'nothing', 3), null);
  let read = 0;
  const endless = Readable.from(
    (function* () {
      for (;;) {
        read++;
        yield Buffer.alloc(10);
      }
    })(),
    { highWaterMark: 1 },
  );
  store.read = () => Promise.resolve(endless);
  t.equal(await readSmall(store, 'huge', 95), null);
  t.ok(read < 20, `${read} pieces`);
  t.ok(endless.destroyed);
  store.read = () => Promise.reject(new Error('away'));
  await t.rejects(readSmall(store, 'small', 4), /away/);
});
