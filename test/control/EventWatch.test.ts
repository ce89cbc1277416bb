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
  /** The spool can't be read. */
  isUnreadable: boolean;
}

function stage(manifests: readonly Manifest[]): Stage {
  const told: RecordingEvent[] = [];
  const made: Stage = {
    told,
    kinds: () => told.map(({ type, chunk }) => [type.slice(10), chunk].join(' ').trim()),
    nowMs: 0,
    noted: [],
    isUnreadable: false,
    watch: new EventWatch({
      tell: (event) => {
        told.push(event);
        return Promise.resolve();
      },
      isWanted: (accountId) => accountId === 'AC1',
      read: (folder) => {
        if (made.isUnreadable) return Promise.reject(new Error('too many open files'));
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
  watch.ended(folder, manifest);
  await watch.finished(manifest);
  t.same(kinds(), ['started', 'chunk.stored 0', 'chunk.stored 1', 'chunk.stored 2', 'completed']);
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
  await watch.finished(manifest);
  t.same(kinds().slice(-3), ['chunk.stored 4', 'chunk.stored 5', 'completed'], 'at the end all are told');
});

await t.test(
  'one object is one event; a failed recording is told as such; others’ recordings aren’t',
  async (t) => {
    const dir = t.testdir({});
    const single = (await fabricateRecording(dir, { accountId: 'AC1', layout: 'single' })).manifest;
    const { watch, kinds } = stage([single]);
    await watch.finished(single);
    await watch.finished({ ...single, state: 'interrupted' });
    watch.failed({ ...single, state: 'failed' });
    const foreign = { ...single, accountId: 'AC2' };
    watch.started('AC2/20261120/CA/r', { ...foreign, state: 'recording' });
    watch.stored(chunk('AC2/20261120/CA/r', 0));
    await watch.finished(foreign);
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
    watch.ended(folder, manifest);
    t.same((await looked(9_999_999)).length, 3, 'and not again because its call is over');
  },
);

/** Looks at this moment. @returns what was told so far, but for the beginning */
async function looked(made: Stage, ms: number): Promise<string[]> {
  made.nowMs = ms;
  made.watch.look();
  await new Promise(setImmediate);
  return made.kinds().filter((kind) => kind !== 'started');
}

const hourMs = 3_600_000;

await t.test('what can’t be stored yet hasn’t stalled', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(dir, { accountId: 'AC1' });
  const folder = folderOf(manifest);
  const live = { ...manifest, state: 'recording', chunkSeconds: 60 } as const;
  const portal = stage([manifest]);
  portal.watch.started(folder, { ...live, layout: 'jambonz' });
  t.same(await looked(portal, 10 * hourMs), [], 'nothing of it is stored while its call is up');
  portal.watch.ended(folder, { ...manifest, state: 'uploading', layout: 'jambonz' });
  t.same(await looked(portal, 10 * hourMs + 299_999), []);
  t.same(await looked(portal, 10 * hourMs + 300_000), ['stalled 0']);
  const single = stage([manifest]);
  single.watch.started(folder, { ...live, layout: 'single' });
  // Ten MiB at 32,000 bytes a second, and a chunk.
  t.same(await looked(single, 300_000 + 60_000 + 327_679), []);
  t.same(await looked(single, 300_000 + 60_000 + 327_680), ['stalled 0']);
});

await t.test('what isn’t stored when its call is over is told of, too, once', async (t) => {
  const { manifest } = await fabricateRecording(t.testdir({}), { accountId: 'AC1', chunks: 3 });
  const folder = folderOf(manifest);
  const made = stage([manifest]);
  made.watch.started(folder, { ...manifest, state: 'recording', chunkSeconds: 60 });
  made.nowMs = 10_000;
  made.watch.ended(folder, { ...manifest, state: 'uploading' });
  t.same(await looked(made, 309_999), []);
  made.isUnreadable = true;
  t.same(await looked(made, 310_000), []);
  made.isUnreadable = false;
  t.same(await looked(made, 320_000), ['stalled 0'], 'as soon as it can be said what of it');
  made.watch.stored(chunk(folder, 0));
  t.same(await looked(made, 9 * hourMs), ['stalled 0', 'chunk.stored 0']);
  await made.watch.finished(manifest);
  t.same(await looked(made, 99 * hourMs), [
    'stalled 0',
    'chunk.stored 0',
    'chunk.stored 1',
    'chunk.stored 2',
    'completed',
  ]);
});

await t.test('of what is stored in time, or fails, nobody is told that it stalled', async (t) => {
  const { manifest } = await fabricateRecording(t.testdir({}), { accountId: 'AC1', chunks: 1 });
  const folder = folderOf(manifest);
  const made = stage([manifest]);
  made.watch.started(folder, { ...manifest, state: 'recording' });
  made.watch.ended(folder, { ...manifest, state: 'failed' });
  t.same(await looked(made, hourMs), []);
  made.watch.ended(folder, { ...manifest, state: 'uploading' });
  await made.watch.finished(manifest);
  t.same(await looked(made, 9 * hourMs), ['chunk.stored 0', 'completed']);
  const gone = stage([]);
  gone.watch.ended(folder, { ...manifest, state: 'uploading' });
  t.same(await looked(gone, hourMs), [], 'it has left the spool');
});

await t.test('what a predecessor may not have come to tell is told by who finds it', async (t) => {
  const dir = t.testdir({});
  const made = async (state: 'uploading' | 'failed', startMs: number): Promise<Manifest> =>
    (await fabricateRecording(dir, { accountId: 'AC1', state, startMs })).manifest;
  const [nowMs, thenMs] = [Date.now() - 60_000, Date.now() - 2 * hourMs];
  const over = [await made('uploading', nowMs), await made('uploading', thenMs)];
  const failed = [await made('failed', nowMs), await made('failed', thenMs)];
  const { watch, told, kinds } = stage([]);
  for (const manifest of [...over, ...failed]) watch.found(folderOf(manifest), manifest);
  t.same(kinds(), ['started', 'failed']);
  t.same(
    told.map(({ manifest }) => manifest.recordingId),
    [over[0]?.recordingId, failed[0]?.recordingId],
    'only of what was over lately',
  );
  const found = stage(over);
  for (const manifest of over) found.watch.found(folderOf(manifest), manifest);
  t.same(
    await looked(found, 300_000),
    ['stalled 0', 'stalled 0'],
    'that nothing of it comes is told in any case',
  );
});
