import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import fc from 'fast-check';
import t from 'tap';
import { entryOf } from '../../src/catalogue/Catalogue.js';
import type { CatalogueEntry, CatalogueQuery } from '../../src/catalogue/Catalogue.js';
import { MemoryCatalogue } from '../../src/catalogue/MemoryCatalogue.js';
import type { Manifest } from '../../src/spool/Manifest.js';

const base = Date.UTC(2026, 10, 20);

function entry(recordingId: string, minute: number, more: Partial<CatalogueEntry> = {}): CatalogueEntry {
  return {
    recordingId,
    accountId: 'AC1',
    provider: 'twilio',
    callId: `CA${recordingId}`,
    state: 'complete',
    reason: null,
    from: null,
    to: null,
    direction: null,
    startTime: new Date(base + minute * 60_000).toISOString(),
    endTime: null,
    sampleRate: 8000,
    channels: 2,
    samples: 0,
    durationSeconds: 0,
    completeness: [1, 1],
    folder: `AC1/20261120/CA${recordingId}/${recordingId}`,
    ...more,
  };
}

async function filled(...entries: CatalogueEntry[]): Promise<MemoryCatalogue> {
  const catalogue = new MemoryCatalogue();
  for (const each of entries) await catalogue.upsert(each);
  return catalogue;
}

async function ids(catalogue: MemoryCatalogue, query: Partial<CatalogueQuery> = {}): Promise<string[]> {
  const page = await catalogue.list({ limit: 100, ...query });
  return page.entries.map(({ recordingId }) => recordingId);
}

await t.test('lists are newest first and filtered by everything that can be asked for', async (t) => {
  const catalogue = await filled(
    entry('a', 1),
    entry('c', 3, { accountId: 'AC2', state: 'recording' }),
    entry('b', 2, { callId: 'CAx' }),
  );
  t.strictSame(await ids(catalogue), ['c', 'b', 'a']);
  t.strictSame(await ids(catalogue, { account: 'AC2' }), ['c']);
  t.strictSame(await ids(catalogue, { callId: 'CAx' }), ['b']);
  t.strictSame(await ids(catalogue, { state: 'recording' }), ['c']);
  t.strictSame(await ids(catalogue, { fromMs: base + 120_000 }), ['c', 'b'], 'from is included');
  t.strictSame(await ids(catalogue, { toMs: base + 120_000 }), ['a'], 'to is not');
  t.strictSame(await ids(catalogue, { visible: (account) => account === 'AC1' }), ['b', 'a']);
});

await t.test('an entry is replaced by its successor, wherever its start moves it', async (t) => {
  const catalogue = await filled(entry('a', 1), entry('b', 2), entry('a', 1, { state: 'interrupted' }));
  t.equal((await catalogue.get('a'))?.state, 'interrupted');
  t.strictSame(await ids(catalogue), ['b', 'a']);
  await catalogue.upsert(entry('a', 3));
  t.strictSame(await ids(catalogue), ['a', 'b']);
  t.equal(await catalogue.get('z'), undefined);
});

await t.test(
  'turning pages shows each recording once, whatever the page size and however many start together',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(5), { maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        async (minutes, limit) => {
          const entries = minutes.map((minute, index) => entry(`r${index}`, minute));
          const catalogue = await filled(...entries);
          const seen: string[] = [];
          let cursor: string | undefined;
          for (;;) {
            const page = await catalogue.list({ limit, cursor });
            seen.push(...page.entries.map(({ recordingId }) => recordingId));
            if (page.next === null) break;
            cursor = page.next;
            await catalogue.upsert(entry(`new${seen.length}`, 9));
          }
          const expected = await ids(await filled(...entries));
          if (seen.join() !== expected.join())
            throw new Error(`${seen.join()} instead of ${expected.join()}`);
        },
      ),
    );
  },
);

await t.test('a cursor that was not given out is refused', async (t) => {
  const catalogue = await filled(entry('a', 1));
  for (const cursor of ['', 'x', Buffer.from('{}').toString('base64url')])
    await t.rejects(catalogue.list({ limit: 1, cursor }), { code: 'request_invalid' });
});

/** Each entry used to have a hidden class of its own, 600 bytes beside the 500 of the entry. */
void t.test('entries of all recordings share one shape in memory', (t) => {
  setFlagsFromString('--allow-natives-syntax');
  const haveOneShape = runInThisContext('(a, b) => %HaveSameMap(a, b)') as (a: object, b: object) => boolean;
  const entries = Array.from({ length: 300 }, (_, index) => {
    const more = {
      from: index % 2 === 0 ? null : '+4930123',
      samples: index * 100,
      durationSeconds: index / 3,
    };
    const manifest = {
      ...entry(String(index), index, more),
      channels: [{ role: 'caller' }, { role: 'bot' }],
    };
    return entryOf(JSON.parse(JSON.stringify(manifest)) as Manifest, `AC1/${index}`);
  });
  const changes = entries.filter((each, index) => !haveOneShape(each, entries[index - 1] ?? each)).length;
  // The first ones tell which numbers are whole.
  t.ok(changes < 10, `${changes} changes of shape in ${entries.length} entries`);
  t.end();
});
