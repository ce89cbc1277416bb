import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { clockOf } from '../../src/storage/Clock.js';
import { Uploader } from '../../src/storage/Uploader.js';
import { FaultyStore, type Mishap } from './fixtures/FaultyStore.js';
import { MemoryStore } from './fixtures/MemoryStore.js';
import { SpooledCall } from './fixtures/SpooledCall.js';
import { UploadWatcher } from './fixtures/UploadWatcher.js';

// The uploader's pauses keep no process up by themselves.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

const mishap = fc.constantFrom<Mishap>('none', 'none', 'none', 'busy', 'late', 'hang');

/** What happens to the requests one after the other, a stretch of refusals, and when the uploader is started anew. */
const schedule = fc.record({
  layout: fc.constantFrom('chunks', 'single', 'both', 'jambonz'),
  mishaps: fc.array(mishap, { minLength: 10, maxLength: 60 }),
  deniedFrom: fc.nat(30),
  deniedFor: fc.nat(4),
  sealedAtFirst: fc.integer({ min: 0, max: 4 }),
  stopAfter: fc.nat(25),
});

await t.test('whatever a store does for a while, in the end it holds every recording once', async (t) => {
  const dir = t.testdir({});
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      schedule,
      async ({ layout, mishaps, deniedFrom, deniedFor, sealedAtFirst, stopAfter }) => {
        const clock = clockOf(60_000);
        const call = await SpooledCall.of(join(dir, `${run++}`), layout, { chunks: 4, lastSamples: 300 });
        const kept = new MemoryStore();
        const watcher = new UploadWatcher();
        const store: FaultyStore = new FaultyStore(kept, clock, () => {
          setImmediate(() => watcher.changed());
          const turn = store.requests;
          if (turn > deniedFrom && turn <= deniedFrom + deniedFor) return 'denied';
          return mishaps[turn] ?? 'none';
        });
        store.ended = () => watcher.changed();
        const start = () =>
          new Uploader({
            spoolDir: call.spoolDir,
            storeOf: () => Promise.resolve(store),
            observer: watcher.observer,
            clock,
            leastPartBytes: 4096,
          });
        const first = start();
        if (sealedAtFirst > 0) await call.seal(sealedAtFirst);
        await first.wakeAll();
        await first.settled();
        await call.end(sealedAtFirst);
        await first.wakeAll();
        const { requests } = store;
        await watcher.until(() => watcher.finished.length > 0 || store.requests >= requests + stopAfter);
        await first.stop();
        // Attempts that nobody waits for end before the successor asks: a key is asked for by one at a time.
        await watcher.until(() => store.underWay === 0);
        const second = start();
        await second.wakeAll();
        await watcher.until(() => watcher.steps.includes('folder_removed'));
        await second.idle();
        await second.stop();
        t.strictSame(watcher.troubles, []);
        t.equal(kept.uploads.size, 0);
        await call.isStored(t, kept);
      },
    ),
    { numRuns: 40 },
  );
});
