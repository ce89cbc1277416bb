import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { EventJournal } from '../../src/control/events/EventJournal.js';
import { eventIdOf, type ToldEvent } from '../../src/control/events/RecordingEvents.js';
import { UnpostedEvents } from '../../src/control/events/UnpostedEvents.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { fabricateRecording } from '../fixtures/recording.js';

/* Events on the disk and in memory, until somebody takes them. */

interface Stage {
  readonly events: UnpostedEvents;
  /** Ids, in the order in which they were posted. */
  readonly posted: string[];
  readonly dropped: string[];
  isAway: boolean;
  /** An account that can't be looked up. */
  unknown: string;
}

function stage(dir: string, more: { mostBytes?: number; mostInMemory?: number } = {}): Stage {
  const { mostBytes, mostInMemory } = more;
  const log = pino({ level: 'silent' });
  const journal = new EventJournal({ dir, log, ...(mostBytes === undefined ? {} : { mostBytes }) });
  const made: Stage = {
    posted: [],
    dropped: [],
    isAway: false,
    unknown: '',
    events: new UnpostedEvents({
      journal,
      ...(mostInMemory === undefined ? {} : { mostInMemory }),
      dropped: (event) => void made.dropped.push(eventIdOf(event)),
      post: (events) => {
        if (made.isAway) return Promise.reject(new ReelayError('catalogue_unavailable'));
        const left = events.filter(({ manifest }) => manifest.accountId === made.unknown);
        made.posted.push(...events.filter((event) => !left.includes(event)).map(eventIdOf));
        return Promise.resolve(left);
      },
    }),
  };
  return made;
}

async function manifestOf(t: Test, accountId = 'AC1'): Promise<Manifest> {
  return (await fabricateRecording(t.testdir({}), { accountId, recordingId: accountId })).manifest;
}

function eventsOf(manifest: Manifest, from: number, to: number): ToldEvent[] {
  return Array.from({ length: to - from }, (_, index) => ({
    type: 'recording.chunk.stored',
    manifest,
    chunk: from + index,
    toldMs: 1000 + from + index,
  }));
}

/** The bytes of every journal that lies there. */
async function lying(dir: string): Promise<number> {
  const names = await readdir(dir).catch(() => []);
  const sizes = await Promise.all(names.map(async (name) => (await readFile(join(dir, name))).length));
  return sizes.reduce((sum, size) => sum + size, 0);
}

await t.test('what there is no room for in memory comes back from the disk, in its order', async (t) => {
  const manifest = await manifestOf(t);
  const dir = join(t.testdirName, 'journal');
  const made = stage(dir, { mostInMemory: 4 });
  const all = eventsOf(manifest, 0, 100);
  made.isAway = true;
  await Promise.all(all.slice(0, 70).map((event) => made.events.tell(event)));
  await t.rejects(made.events.post(), { code: 'catalogue_unavailable' });
  made.isAway = false;
  const posting = made.events.post();
  const told = all.slice(70).map((event) => made.events.tell(event));
  await posting;
  await Promise.all(told);
  await made.events.post();
  const first = [...new Set(made.posted)];
  t.same(first, all.map(eventIdOf));
  t.same(made.dropped, []);
  t.equal(await lying(dir), 0);
  await made.events.close();
  t.same(await readdir(dir), []);
});

await t.test(
  'a successor posts what its predecessor could not, but for what a crash has cut off',
  async (t) => {
    const manifest = await manifestOf(t);
    const dir = join(t.testdirName, 'journal');
    const first = stage(dir);
    const all = eventsOf(manifest, 0, 50);
    await Promise.all(all.map((event) => first.events.tell(event)));
    const [name = ''] = await readdir(dir);
    await writeFile(join(dir, name), '{"type":"recording.completed","manif', { flag: 'a' });
    await writeFile(join(dir, 'events-00000000-0000-0000-0000-000000000000.jsonl'), 'nothing\n{}\n[1]\n');
    const others = 'events-00000000-0000-0000-0000-000000000001.jsonl';
    await mkdir(join(dir, others));
    const second = stage(dir);
    await second.events.takeUp();
    second.isAway = true;
    await t.rejects(second.events.post(), { code: 'catalogue_unavailable' });
    t.equal((await readdir(dir)).includes(name), true, 'it stays until all of it is posted');
    second.isAway = false;
    await second.events.post();
    t.same(second.posted, all.map(eventIdOf));
    t.same(await readdir(dir), [others], 'what can’t be read stays');
  },
);

await t.test('what can’t be posted yet lets others pass, and is on the disk meanwhile', async (t) => {
  const dir = join(t.testdir({}), 'journal');
  const [mine, others] = [await manifestOf(t, 'AC1'), await manifestOf(t, 'AC2')];
  const made = stage(dir);
  made.unknown = 'AC2';
  const told = [...eventsOf(others, 0, 40), ...eventsOf(mine, 0, 40)];
  await Promise.all(told.map((event) => made.events.tell(event)));
  await made.events.post();
  t.same(made.posted, eventsOf(mine, 0, 40).map(eventIdOf));
  const successor = stage(dir);
  await successor.events.takeUp();
  await successor.events.post();
  const left = successor.posted.filter((id) => id.startsWith('msg_AC2_'));
  t.same(left, eventsOf(others, 0, 40).map(eventIdOf));
  made.unknown = '';
  await made.events.post();
  t.same(made.posted.slice(40), eventsOf(others, 0, 40).map(eventIdOf));
});

await t.test('where neither memory nor disk has room, it is said what was dropped', async (t) => {
  const manifest = await manifestOf(t);
  const place = join(t.testdirName, 'file');
  await writeFile(place, 'no folder');
  const refused = stage(place, { mostInMemory: 2 });
  const short = stage(join(t.testdirName, 'short'), { mostInMemory: 2, mostBytes: 1 });
  for (const made of [refused, short]) {
    const all = eventsOf(manifest, 0, 5);
    for (const event of all) await made.events.tell(event);
    t.same(made.dropped, all.slice(2).map(eventIdOf));
    await made.events.post();
    t.same(made.posted, all.slice(0, 2).map(eventIdOf), 'what is in memory is posted all the same');
  }
});
