import { basename } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { EventWatch } from '../../src/control/events/EventWatch.js';
import type { RecordingEvent } from '../../src/control/events/RecordingEvents.js';
import { recordingFolder } from '../../src/spool/layout.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { fabricateRecording } from '../fixtures/recording.js';

interface Stage {
  readonly watch: EventWatch;
  readonly told: RecordingEvent[];
  readonly kinds: () => string[];
  nowMs: number;
  /** Chunks that the spool says are stored. */
  noted: number[];
}

function stage(manifests: readonly Manifest[]): Stage {
  const told: RecordingEvent[] = [];
  const made: Stage = {
    told,
    kinds: () => told.map(({ type, chunk }) => [type.slice(10), chunk].join(' ').trim()),
    nowMs: 0,
    noted: [],
    watch: new EventWatch({
      tell: (event) => void told.push(event),
      isWanted: (accountId) => accountId === 'AC1',
      read: (folder) => {
        const manifest = manifests.find((each) => each.recordingId === basename(folder));
        return Promise.resolve(manifest === undefined ? null : { manifest, stored: made.noted });
      },
      stalledMs: () => 300_000,
      clock: { now: () => made.nowMs, sleep: () => new Promise<never>(() => undefined) },
      log: pino({ level: 'silent' }),
    }),
  };
  return made;
}

function folderOf(manifest: Manifest): string {
  return recordingFolder({ ...manifest, startMs: Date.parse(manifest.startTime) });
}

function chunk(folder: string, index: number) {
  return { folder, kind: 'chunk', name: `${index}-audio.wav`, bytes: 10, sealedMs: 0 } as const;
}

await t.test('a recording’s life is told in its order, what nobody saw included', async (t) => {
  const { manifest } = await fabricateRecording(t.testdir({}), { accountId: 'AC1', chunks: 3 });
  const { watch, kinds } = stage([manifest]);
  const folder = folderOf(manifest);
  watch.started(folder, { ...manifest, state: 'recording' });
  watch.stored(chunk(folder, 0));
  watch.stored({ ...chunk(folder, 0), kind: 'sidecar', name: '0-metadata.json' });
  await new Promise(setImmediate);
  watch.ended(manifest);
  watch.finished(manifest);
  t.same(kinds(), [
    'started',
    'chunk.stored 0',
    // Told twice it is one event.
    'chunk.stored 0',
    'chunk.stored 1',
    'chunk.stored 2',
    'completed',
  ]);
});

await t.test('chunks are told of in their order, whichever is stored first', async (t) => {
  const { manifest } = await fabricateRecording(t.testdir({}), { accountId: 'AC1', chunks: 6 });
  const made = stage([manifest]);
  const { watch, kinds } = made;
  const folder = folderOf(manifest);
  const after = async (...indexes: number[]): Promise<string[]> => {
    for (const index of indexes) watch.stored(chunk(folder, index));
    await new Promise(setImmediate);
    return kinds();
  };
  t.same(await after(1), []);
  t.same(await after(0, 3), ['chunk.stored 0', 'chunk.stored 1']);
  const successor = stage([manifest]);
  // What its predecessor has seen to is told again: nobody knows whether it came to tell of it.
  successor.noted = [0, 1, 3];
  successor.watch.stored(chunk(folder, 2));
  await new Promise(setImmediate);
  t.same(
    successor.kinds(),
    [0, 1, 2, 3].map((index) => `chunk.stored ${index}`),
  );
  watch.finished(manifest);
  t.same(kinds().slice(-3), ['chunk.stored 4', 'chunk.stored 5', 'completed'], 'at the end all are told');
});

await t.test(
  'one object is one event; a failed recording is told as such; others’ recordings aren’t',
  async (t) => {
    const dir = t.testdir({});
    const single = (await fabricateRecording(dir, { accountId: 'AC1', layout: 'single' })).manifest;
    const { watch, kinds } = stage([single]);
    watch.finished(single);
    watch.finished({ ...single, state: 'interrupted' });
    watch.failed({ ...single, state: 'failed' });
    const foreign = { ...single, accountId: 'AC2' };
    watch.started('AC2/20261120/CA/r', { ...foreign, state: 'recording' });
    watch.stored(chunk('AC2/20261120/CA/r', 0));
    watch.finished(foreign);
    watch.failed(foreign);
    await new Promise(setImmediate);
    t.same(kinds(), ['completed', 'interrupted', 'failed']);
  },
);

await t.test(
  'a recording of which nothing is stored for too long is told of, once until something is',
  async (t) => {
    const { manifest } = await fabricateRecording(t.testdir({}), { accountId: 'AC1', chunks: 3 });
    const made = stage([manifest]);
    const { watch, kinds } = made;
    const folder = folderOf(manifest);
    watch.started(folder, { ...manifest, state: 'recording', chunkSeconds: 60 });
    const looked = async (ms: number): Promise<string[]> => {
      made.nowMs = ms;
      watch.look();
      await new Promise(setImmediate);
      return kinds().slice(1);
    };
    t.same(await looked(359_999), []);
    t.same(await looked(360_000), ['stalled 0']);
    t.same(await looked(3_600_000), ['stalled 0']);
    watch.stored({ ...chunk(folder, 0), kind: 'part', name: 'audio.wav' });
    watch.stored(chunk(folder, 0));
    t.same(await looked(3_700_000), ['stalled 0', 'chunk.stored 0']);
    t.same(await looked(3_960_000), ['stalled 0', 'chunk.stored 0', 'stalled 1']);
    watch.ended(manifest);
    t.same((await looked(9_999_999)).length, 3);
  },
);
