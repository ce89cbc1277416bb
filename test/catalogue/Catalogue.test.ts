import assert from 'node:assert/strict';
import fc from 'fast-check';
import pg from 'pg';
import t from 'tap';
import type {
  Catalogue,
  CatalogueEntry,
  CatalogueQuery,
  CatalogueTombstone,
} from '../../src/catalogue/Catalogue.js';
import { catalogueAt } from '../../src/catalogue/catalogueAt.js';
import { MemoryCatalogue } from '../../src/catalogue/MemoryCatalogue.js';
import { eventually } from '../acceptance/eventually.js';
import { kinds, opened } from './fixtures/catalogues.js';
import { base, entry } from './fixtures/entry.js';

async function write(catalogue: Catalogue, ...entries: CatalogueEntry[]): Promise<void> {
  await catalogue.write(entries.map((each) => ({ entry: each })));
}

async function ids(catalogue: Catalogue, query: Partial<CatalogueQuery> = {}): Promise<string[]> {
  const page = await catalogue.list({ limit: 100, ...query });
  return page.entries.map(({ recordingId }) => recordingId);
}

function tombstone(recordingId: string, accountId: string): CatalogueTombstone {
  const { callId, startTime } = entry(recordingId, 1);
  const deletion = { deletedTime: startTime, cause: 'request', by: 'a key' } as const;
  return { recordingId, accountId, callId, startTime, ...deletion };
}

/** All pages of a query, turned one by one. */
async function turned(catalogue: Catalogue, query: CatalogueQuery): Promise<CatalogueEntry[]> {
  const seen: CatalogueEntry[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await catalogue.list({ ...query, cursor });
    seen.push(...page.entries);
    if (page.next === null) return seen;
    cursor = page.next;
  }
}

for (const kind of kinds) {
  await t.test(
    `${kind.name}: lists are newest first and filtered by everything that can be asked for`,
    async (t) => {
      const catalogue = await opened(t, kind);
      await write(
        catalogue,
        entry('a', 1),
        entry('c', 3, { accountId: 'AC2', state: 'recording' }),
        entry('b', 2, { callId: 'CAx' }),
      );
      t.strictSame(await ids(catalogue), ['c', 'b', 'a']);
      t.strictSame(await ids(catalogue, { account: 'AC2' }), ['c']);
      t.strictSame(await ids(catalogue, { callId: 'CAx' }), ['b']);
      t.strictSame(await ids(catalogue, { callId: 'CAx', account: 'AC2' }), []);
      t.strictSame(await ids(catalogue, { state: 'recording' }), ['c']);
      t.strictSame(await ids(catalogue, { fromMs: base + 120_000 }), ['c', 'b'], 'from is included');
      t.strictSame(await ids(catalogue, { toMs: base + 120_000 }), ['a'], 'to is not');
      t.strictSame(await ids(catalogue, { visible: { only: 'AC1' } }), ['b', 'a']);
      t.strictSame(await ids(catalogue, { visible: { except: ['AC1', 'AC3'] } }), ['c']);
      t.strictSame(await ids(catalogue, { visible: { except: [] } }), ['c', 'b', 'a']);
      t.strictSame(await ids(catalogue, { visible: { only: 'AC1' }, account: 'AC2' }), []);
      t.strictSame(await ids(catalogue, { account: 'AC1\0' }), []);
    },
  );

  await t.test(
    `${kind.name}: an entry comes back as it was written, and is replaced by its successor`,
    async (t) => {
      const catalogue = await opened(t, kind);
      const first = entry('a', 1, {
        from: "+49 'x' \u0000 \ud800",
        samples: 2 ** 40,
        completeness: [0.5, 1 / 3],
      });
      await write(catalogue, first, entry('b', 2));
      t.strictSame(await catalogue.get('a'), JSON.parse(JSON.stringify(first)));
      await write(catalogue, entry('a', 1, { state: 'interrupted', reason: 'crash' }));
      t.match(await catalogue.get('a'), { state: 'interrupted', reason: 'crash', from: null });
      t.strictSame(await ids(catalogue, { state: 'complete' }), ['b']);
      t.strictSame(await ids(catalogue), ['b', 'a']);
      await write(catalogue, entry('a', 3));
      t.strictSame(await ids(catalogue), ['a', 'b'], 'wherever its start moves it');
      await write(catalogue, entry('c', 4, { state: 'recording' }), entry('c', 4));
      t.equal((await catalogue.get('c'))?.state, 'complete', 'of one that is given twice the later counts');
      t.equal(await catalogue.get('z'), undefined);
      t.equal(await catalogue.get('a\0'), undefined);
    },
  );

  await t.test(`${kind.name}: what is removed is in no list and can be written again`, async (t) => {
    const catalogue = await opened(t, kind);
    await write(catalogue, entry('a', 1, { from: '+4930111' }), entry('b', 2));
    await catalogue.remove('a');
    await catalogue.remove('a');
    t.equal(await catalogue.get('a'), undefined);
    t.strictSame(await ids(catalogue, { search: '4930' }), []);
    await write(catalogue, entry('a', 3));
    t.strictSame(await ids(catalogue), ['a', 'b']);
  });

  await t.test(
    `${kind.name}: a search finds ids and numbers by their beginning, and numbers by their end`,
    async (t) => {
      const catalogue = await opened(t, kind);
      await write(
        catalogue,
        entry('0199-aa', 1, { callId: 'CA%7f_', from: '+49 (30) 1234', to: 'sip:Alice@example.com' }),
        entry('0199-bb', 2, { callId: 'CAx', from: '+15550100', to: '+4930999' }),
        entry('0200-cc', 3, { accountId: 'AC2', callId: 'CAy', to: '4321' }),
      );
      const found = (search: string, more: Partial<CatalogueQuery> = {}) =>
        ids(catalogue, { search, ...more });
      t.strictSame(await found('0199-'), ['0199-bb', '0199-aa']);
      t.strictSame(await found('caX'), ['0199-bb'], 'case does not count');
      t.strictSame(await found('ca%7F_'), ['0199-aa']);
      t.strictSame(await found('ca%'), ['0199-aa'], 'no character is more than itself');
      t.strictSame(await found('a_'), []);
      t.strictSame(await found('+49 30'), ['0199-bb', '0199-aa']);
      t.strictSame(
        await found('1234'),
        ['0199-aa'],
        'the end of a number, and not the beginning of one backwards',
      );
      t.strictSame(await found('100'), ['0199-bb']);
      t.strictSame(await found('550'), [], 'not the middle');
      t.strictSame(await found('sip:alice'), ['0199-aa']);
      t.strictSame(
        await found('\n'),
        ['0200-cc', '0199-bb', '0199-aa'],
        'what says nothing finds everything',
      );
      t.strictSame(await found('ca', { account: 'AC2' }), ['0200-cc']);
      t.strictSame(await found('ca', { visible: { only: 'AC1' }, toMs: base + 90_000 }), ['0199-aa']);
      await write(catalogue, entry('0199-aa', 1, { callId: 'CAnew' }));
      t.strictSame(await found('1234'), [], 'what it had before does not count');
      t.strictSame(await found('canew'), ['0199-aa']);
    },
  );

  await t.test(`${kind.name}: what many have and what few have is found, page by page`, async (t) => {
    const catalogue = await opened(t, kind);
    const many = Array.from({ length: 4500 }, (_, index) =>
      entry(`r${String(index).padStart(5, '0')}`, index % 50, {
        accountId: `AC${index % 3}`,
        callId: index % 900 === 7 ? 'CArare' : 'CAcommon',
        to: '+4930555',
      }),
    );
    await write(catalogue, ...many);
    for (const [search, count] of [
      ['cacommon', 4495],
      ['carare', 5],
      ['555', 4500],
      ['r0012', 10],
    ] as const) {
      const all = await turned(catalogue, { search, limit: 1000 });
      t.equal(all.length, count, search);
      t.equal(new Set(all.map(({ recordingId }) => recordingId)).size, count, search);
      const own = await turned(catalogue, { search, limit: 97, visible: { only: 'AC1' } });
      t.equal(own.length, all.filter(({ accountId }) => accountId === 'AC1').length, search);
    }
  });

  await t.test(`${kind.name}: chunks are those of their recording, in order`, async (t) => {
    const catalogue = await opened(t, kind);
    const chunk = (index: number, bytes = 1) => ({
      index,
      startSample: index * 10,
      samples: 10,
      bytes,
      sha256: String(index),
    });
    await catalogue.write([{ entry: entry('a', 1), chunks: [chunk(10), chunk(9)] }]);
    await catalogue.write([
      { entry: entry('a', 1), chunks: [chunk(0), chunk(9, 2 ** 33)] },
      { entry: entry('b', 2), chunks: [chunk(0)] },
    ]);
    const kept = await catalogue.chunks('a');
    if (kind.name === 'memory') {
      t.equal(kept, null, 'only the manifest knows them');
      return;
    }
    t.strictSame(kept, [chunk(0), chunk(9, 2 ** 33), chunk(10)]);
    await catalogue.remove('a');
    t.strictSame(await catalogue.chunks('a'), []);
    t.strictSame(await catalogue.chunks('b'), [chunk(0)]);
  });

  await t.test(`${kind.name}: which places were read is remembered`, async (t) => {
    const catalogue = await opened(t, kind);
    t.notOk(await catalogue.wasRead('s3://b AC1/'));
    await catalogue.markRead('s3://b AC1/');
    await catalogue.markRead('s3://b AC1/');
    t.ok(await catalogue.wasRead('s3://b AC1/'));
    t.notOk(await catalogue.wasRead('s3://b '));
  });

  await t.test(`${kind.name}: a cursor that was not given out is refused`, async (t) => {
    const catalogue = await opened(t, kind);
    await write(catalogue, entry('a', 1));
    const made = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const cursor of [
      '',
      'x',
      made({}),
      made([1.5, 'a']),
      made([1e300, 'a']),
      made(['1', 'a']),
      made([1, 'a\0']),
    ])
      for (const search of [undefined, 'a'])
        await t.rejects(catalogue.list({ limit: 1, cursor, search }), { code: 'request_invalid' }, cursor);
  });

  await t.test(
    `${kind.name}: turning pages shows each recording once, whatever begins meanwhile`,
    async (t) => {
      const catalogue = await opened(t, kind);
      const minutes = [0, 3, 3, 3, 1, 2, 2, 5, 5, 0, 3];
      await write(catalogue, ...minutes.map((minute, index) => entry(`r${index}`, minute)));
      const expected = await ids(catalogue);
      for (const limit of [1, 2, 3, 10, 11]) {
        const seen: string[] = [];
        for (let cursor: string | undefined; ;) {
          const page = await catalogue.list({ limit, cursor, toMs: base + 6 * 60_000 });
          seen.push(...page.entries.map(({ recordingId }) => recordingId));
          if (page.next === null) break;
          cursor = page.next;
          await write(catalogue, entry(`new${limit}.${seen.length}`, 9));
        }
        t.strictSame(seen, expected, `${limit} at a time`);
      }
    },
  );

  await t.test(`${kind.name}: an id is the account’s that had it first`, async (t) => {
    const catalogue = await opened(t, kind);
    const own = entry('a', 1, { accountId: 'AC2' });
    const chunk = { index: 0, startSample: 0, samples: 1, bytes: 1, sha256: 'own' };
    await catalogue.write([{ entry: own, chunks: [chunk] }]);
    const refused = await catalogue.write([
      { entry: entry('a', 2, { to: '+4930777' }), chunks: [{ ...chunk, sha256: 'foreign' }] },
      { entry: entry('b', 3) },
      { entry: entry('b', 4, { accountId: 'AC2' }) },
      { entry: entry('a', 5, { accountId: 'AC2', state: 'interrupted' }) },
    ]);
    t.strictSame(
      refused.map(({ recordingId, accountId }) => [recordingId, accountId]),
      [
        ['a', 'AC1'],
        ['b', 'AC2'],
      ],
    );
    t.match(await catalogue.get('a'), { accountId: 'AC2', state: 'interrupted' }, 'its own goes on');
    t.strictSame(await ids(catalogue, { account: 'AC1' }), ['b']);
    t.strictSame(await ids(catalogue, { search: '777' }), []);
    t.strictSame(await catalogue.chunks('a'), kind.name === 'memory' ? null : [chunk]);
    t.equal(await catalogue.bury(tombstone('a', 'AC1')), false);
    t.ok(await catalogue.get('a'), 'nor does another one bury it');
    t.equal(await catalogue.tombstone('a'), undefined);
  });

  await t.test(`${kind.name}: what its account has deleted does not come back`, async (t) => {
    const catalogue = await opened(t, kind);
    await write(catalogue, entry('a', 1));
    t.equal(await catalogue.bury(tombstone('a', 'AC1')), true);
    t.strictSame(
      await catalogue.write([{ entry: entry('a', 1, { from: '+4930111' }) }, { entry: entry('b', 2) }]),
      [],
    );
    t.equal(await catalogue.get('a'), undefined);
    t.strictSame(await ids(catalogue), ['b']);
    t.strictSame(await ids(catalogue, { search: '4930' }), []);
    t.equal(await catalogue.bury(tombstone('c', 'AC1')), true, 'nobody has it yet');
    const theirs = entry('c', 3, { accountId: 'AC2' });
    await write(catalogue, theirs);
    t.strictSame(await ids(catalogue), ['c', 'b'], 'another account’s tombstone keeps nothing out');
    await catalogue.bury(tombstone('c', 'AC2'));
    t.equal((await catalogue.tombstone('c'))?.accountId, 'AC2', 'who has had it is believed');
    await write(catalogue, theirs);
    t.strictSame(await ids(catalogue), ['b']);
  });

  await t.test(`${kind.name}: every account that has recordings is come by`, async (t) => {
    const catalogue = await opened(t, kind);
    const owners = ['AC2', 'AC1', 'AC10', 'AC2', 'äöü', 'ac1'];
    await write(catalogue, ...owners.map((accountId, at) => entry(`r${at}`, at, { accountId })));
    const walk = async () => {
      const met: string[] = [];
      for (let at = await catalogue.accountAfter(''); at !== undefined; at = await catalogue.accountAfter(at))
        met.push(at);
      return met.sort();
    };
    t.strictSame(await walk(), ['AC1', 'AC10', 'AC2', 'ac1', 'äöü']);
    for (const id of ['r0', 'r1', 'r1']) await catalogue.remove(id);
    t.strictSame(await walk(), ['AC10', 'AC2', 'ac1', 'äöü'], 'as long as it has some');
  });

  if (kind.name === 'memory') continue;
  await t.test(
    `${kind.name}: whatever is written and asked, the answer is that of the one in memory`,
    async (t) => {
      const catalogue = await opened(t, kind);
      const model = new MemoryCatalogue();
      const name = fc.constantFrom('a', 'b', 'B', 'a-b', 'ä', '1', '12', '21', '123');
      const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
      const state = fc.constantFrom('recording', 'complete', 'failed');
      const minute = fc.nat(6);
      const written = fc
        .record({ id: name, minute, accountId: name, callId: name, state, from: fc.option(name) })
        .map(({ id, minute: at, ...more }) => entry(id, at, more));
      const asked = fc.record({
        limit: fc.integer({ min: 1, max: 4 }),
        account: optional(name),
        callId: optional(name),
        state: optional(state),
        fromMs: optional(minute.map((at) => base + at * 60_000)),
        toMs: optional(minute.map((at) => base + at * 60_000)),
        search: optional(name),
        visible: optional(
          fc.oneof(
            name.map((only) => ({ only })),
            fc.array(name, { maxLength: 2 }).map((except) => ({ except })),
          ),
        ),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(written, { maxLength: 5 }), asked, async (entries, query) => {
          await write(catalogue, ...entries);
          await write(model, ...entries);
          const [seen, expected] = [await turned(catalogue, query), await turned(model, query)];
          assert.deepStrictEqual(seen, expected);
        }),
        { numRuns: 150 },
      );
      t.ok((await ids(model)).length > 5, 'there was something to find');
    },
  );
}

for (const kind of kinds.filter(({ name }) => name === 'postgres'))
  await t.test('what one daemon deletes while another writes it is gone in the end', async (t) => {
    const url = await kind.place(t);
    const [one, other] = [catalogueAt(url), catalogueAt(url)];
    t.teardown(() => Promise.all([one.close(), other.close()]));
    await one.open();
    await other.open();
    for (let at = 0; at < 100; at++) {
      const id = `r${at}`;
      if (at % 2 === 0) await write(one, entry(id, at));
      await Promise.all([write(one, entry(id, at, { samples: 1 })), other.bury(tombstone(id, 'AC1'))]);
      t.equal(await one.get(id), undefined, id);
    }
    t.strictSame(await ids(one), []);
  });

for (const kind of kinds.filter(({ name }) => name === 'postgres'))
  await t.test('two daemons take up the same recordings at once, whichever comes first', async (t) => {
    const url = await kind.place(t);
    const [one, other] = [catalogueAt(url), catalogueAt(url)];
    t.teardown(() => Promise.all([one.close(), other.close()]));
    await one.open();
    await other.open();
    const writes = Array.from({ length: 50 }, (_none, at) => ({ entry: entry(`r${at}`, at) }));
    for (let round = 0; round < 20; round++)
      await Promise.all([one.write(writes), other.write([...writes].reverse())]);
    t.equal((await ids(one)).length, writes.length);
  });

for (const kind of kinds.filter(({ name }) => name === 'postgres'))
  await t.test('of two accounts that come with one id at once the second leaves nothing', async (t) => {
    const url = await kind.place(t);
    const [one, other] = [catalogueAt(url), catalogueAt(url)];
    const first = new pg.Client({ connectionString: url });
    await first.connect();
    t.teardown(() => Promise.all([one.close(), other.close(), first.end()]));
    await one.open();
    await other.open();
    await one.write([{ entry: entry('r1', 1, { accountId: 'AC1' }) }]);
    // As if it were being written only now.
    await first.query('create temporary table kept as select * from recordings');
    await one.remove('r1');
    await first.query('begin; insert into recordings select * from kept');
    const chunks = [{ index: 0, startSample: 0, samples: 1, bytes: 1, sha256: 'a'.repeat(64) }];
    const writing = other.write([{ entry: entry('r1', 1, { accountId: 'AC2' }), chunks }]);
    await eventually('it waits for the first', async () => {
      const waiting = await first.query(
        "select 1 from pg_locks where not granted and locktype = 'transactionid'",
      );
      return waiting.rowCount === 1;
    });
    await first.query('commit');
    t.equal((await writing).length, 1);
    t.equal((await one.get('r1'))?.accountId, 'AC1');
    t.strictSame(await one.chunks('r1'), []);
  });
