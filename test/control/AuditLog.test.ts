import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { AuditTrail } from '../../src/control/api/AuditTrail.js';
import { Keyring } from '../../src/control/api/Keyring.js';
import type { AuditEntry } from '../../src/control/library/AuditEntry.js';
import { AuditLog } from '../../src/control/library/AuditLog.js';
import { auditOf } from '../../src/control/library/auditOf.js';
import { FileStore } from '../../src/storage/FileStore.js';
import type { ObjectStore } from '../../src/storage/ObjectStore.js';
import { ApiBench } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { Signal } from '../fixtures/Signal.js';
import { wholeList } from '../fixtures/wholeList.js';

const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');

function entryOf(number: number, accountId = 'AC1'): AuditEntry {
  const time = new Date(Date.UTC(2026, 10, 20, 12, 0, number)).toISOString();
  return { time, accountId, recordingId: 'r1', who: 'desk', address: '::1', deed: 'GET /x', status: 200 };
}

function logIn(dir: string, stores: Record<string, FileStore>): AuditLog {
  return new AuditLog({
    dir,
    storeOf: (accountId) => Promise.resolve(stores[accountId] ?? null),
    log: pino({ level: 'silent' }),
  });
}

async function entriesOf(store: ObjectStore, accountId: string, day: string): Promise<readonly AuditEntry[]> {
  return (await auditOf(store, { accountId, day })).entries;
}

async function keysIn(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list('_reelay/')) keys.push(key);
  return keys;
}

/** What is noted next. */
function nextNoted({ audit }: ApiBench): Promise<AuditEntry> {
  const note = audit.note.bind(audit);
  return new Promise((resolve) => {
    audit.note = (entry) => {
      note(entry);
      resolve(entry);
    };
  });
}

await t.test('what is noted is in its account’s store, and nothing is left here', async (t) => {
  const dir = t.testdir({ here: {}, one: {}, two: {} });
  const stores = { AC1: new FileStore(join(dir, 'one')), AC2: new FileStore(join(dir, 'two')) };
  const log = logIn(join(dir, 'here'), stores);
  for (const number of [2, 1, 3]) log.note(entryOf(number));
  log.note(entryOf(4, 'AC2'));
  log.note(entryOf(5, 'AC9'));
  await log.store();
  log.note(entryOf(6));
  await log.stop();
  t.same(
    await entriesOf(stores.AC1, 'AC1', '20261120'),
    [1, 2, 3, 6].map((number) => entryOf(number)),
  );
  t.same(await entriesOf(stores.AC2, 'AC2', '20261120'), [entryOf(4, 'AC2')]);
  t.same(await entriesOf(stores.AC1, 'AC1', '20261121'), []);
  t.same(readdirSync(join(dir, 'here')), []);
});

await t.test('what a former process left is stored, as far as it was written', async (t) => {
  const dir = t.testdir({ here: {}, one: {} });
  const store = new FileStore(join(dir, 'one'));
  const left = join(dir, 'here', `audit-${crypto.randomUUID()}.jsonl`);
  writeFileSync(left, `${JSON.stringify(entryOf(1))}\n`);
  appendFileSync(left, JSON.stringify(entryOf(2)).slice(0, 40));
  writeFileSync(join(dir, 'here', 'catalogue.json'), '{}');
  const log = logIn(join(dir, 'here'), { AC1: store });
  await log.store();
  await log.store();
  t.same(await entriesOf(store, 'AC1', '20261120'), [entryOf(1)]);
  t.same(readdirSync(join(dir, 'here')), ['catalogue.json']);
});

await t.test('a store that is away gets it later', async (t) => {
  const dir = t.testdir({ here: {}, one: {} });
  const store = new FileStore(join(dir, 'one'));
  let isAway = true;
  const log = new AuditLog({
    dir: join(dir, 'here'),
    storeOf: () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve(store)),
    log: pino({ level: 'silent' }),
  });
  log.note(entryOf(1));
  await log.store();
  t.equal(readdirSync(join(dir, 'here')).length, 1);
  isAway = false;
  await log.store();
  t.same(await entriesOf(store, 'AC1', '20261120'), [entryOf(1)]);
});

await t.test('who asked for a recording is told to its account, and to nobody else', async (t) => {
  const dir = t.testdir({});
  const accounts = [
    { id: 'AC1', apiKeys: [{ key: 'one', name: 'desk', scopes: ['read', 'delete'] as const }] },
    { id: 'AC2', apiKeys: ['two'] },
  ];
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const { recordingId } = manifest;
  const bench = await ApiBench.start(t, dir, { accounts, adminKeys: [{ key: 'admin', name: 'boss' }] });
  const path = `/v1/recordings/${recordingId}`;
  await (await bench.ask('GET', `${path}/audio.wav`, 'one')).arrayBuffer();
  await bench.ask('GET', path, 'two');
  await bench.ask('POST', `${path}/pause`, 'one');
  const made = await bench.ask('POST', `${path}/links`, 'admin');
  await (await bench.get(((await made.json()) as { path: string }).path)).arrayBuffer();
  await bench.ask('DELETE', path, 'one');
  await bench.ask('GET', path, 'one');
  const told = async (key: string, query: string) => await bench.ask('GET', `/v1/audit?${query}`, key);
  const answer = (await (await told('one', `account=AC1&day=${today}`)).json()) as { entries: AuditEntry[] };
  t.same(
    answer.entries.map(({ who, deed, status }) => [who, deed, status]),
    [
      ['desk', 'GET /v1/recordings/:id/audio.wav', 200],
      ['desk', 'POST /v1/recordings/:id/pause', 403],
      ['boss', 'POST /v1/recordings/:id/links', 201],
      ['a link', 'GET /v1/recordings/:id/audio.wav', 200],
      ['desk', 'DELETE /v1/recordings/:id', 200],
      ['desk', 'GET /v1/recordings/:id', 410],
    ],
  );
  t.ok(answer.entries.every((each) => each.recordingId === recordingId && each.address !== ''));
  t.equal((await told('two', `account=AC1&day=${today}`)).status, 404);
  t.equal((await told('one', 'account=AC1')).status, 400);
  t.same(await (await told('admin', `account=AC1&day=${today}&recordingId=other`)).json(), {
    entries: [],
    next: null,
  });
});

await t.test('what is told of a day is in the log of that day', async (t) => {
  const dir = t.testdir({ here: {}, one: {} });
  const store = new FileStore(join(dir, 'one'));
  const log = logIn(join(dir, 'here'), { AC1: store });
  const [late, early] = ['2026-11-20T23:59:59.999Z', '2026-11-21T00:00:00.000Z'].map((time) => ({
    ...entryOf(1),
    time,
  })) as [AuditEntry, AuditEntry];
  log.note(late);
  log.note(early);
  await log.stop();
  t.same(await entriesOf(store, 'AC1', '20261120'), [late]);
  t.same(await entriesOf(store, 'AC1', '20261121'), [early]);
});

await t.test('a store that is away keeps nobody else’s from where it belongs', async (t) => {
  const dir = t.testdir({ here: {}, one: {}, two: {} });
  const [one, two] = [new FileStore(join(dir, 'one')), new FileStore(join(dir, 'two'))];
  let isAway = true;
  let asked = 0;
  const log = new AuditLog({
    dir: join(dir, 'here'),
    storeOf: (accountId) => {
      if (accountId === 'AC2') return Promise.resolve(two);
      asked++;
      return isAway ? Promise.reject(new Error('away')) : Promise.resolve(one);
    },
    log: pino({ level: 'silent' }),
  });
  for (const [number, account] of ['AC1', 'AC2', 'AC1'].entries()) log.note(entryOf(number, account));
  await log.store();
  t.same(await entriesOf(two, 'AC2', '20261120'), [entryOf(1, 'AC2')]);
  const [left = '', ...more] = readdirSync(join(dir, 'here'));
  t.same(more, []);
  t.notMatch(readFileSync(join(dir, 'here', left), 'utf8'), /AC2/, 'what is stored isn’t kept here, too');
  log.note(entryOf(3));
  asked = 0;
  await log.store();
  t.equal(asked, 1, 'a store that is away is asked once, however much waits for it');
  t.same(await keysIn(one), []);
  isAway = false;
  await log.store();
  t.same(
    await entriesOf(one, 'AC1', '20261120'),
    [0, 2, 3].map((number) => entryOf(number)),
  );
  t.equal((await keysIn(two)).length, 1);
  t.same(readdirSync(join(dir, 'here')), []);
});

await t.test(
  'a store that doesn’t answer holds up no end, and what it lacks waits on the disk',
  async (t) => {
    const dir = t.testdir({ here: {}, one: {} });
    const store = new FileStore(join(dir, 'one'));
    const log = new AuditLog({
      dir: join(dir, 'here'),
      storeOf: () => new Promise(() => undefined),
      log: pino({ level: 'silent' }),
    });
    log.note(entryOf(1));
    await log.stop();
    const successor = logIn(join(dir, 'here'), { AC1: store });
    await successor.stop();
    t.same(await entriesOf(store, 'AC1', '20261120'), [entryOf(1)]);
  },
);

await t.test('of an account without a store the daemon’s log tells it', async (t) => {
  const dir = t.testdir({ here: {} });
  const lines: string[] = [];
  const log = new AuditLog({
    dir: join(dir, 'here'),
    storeOf: () => Promise.resolve(null),
    log: pino({ level: 'info' }, { write: (line: string) => lines.push(line) }),
  });
  log.note(entryOf(1));
  log.note({ ...entryOf(2), recordingId: '' });
  await log.stop();
  const { time, who, address, deed, status } = entryOf(1);
  t.match(
    lines.map((line) => JSON.parse(line) as unknown),
    [
      { accountId: 'AC1', recordingId: 'r1', audit: { time, who, address, deed, status } },
      { accountId: 'AC1', audit: { who } },
    ],
  );
  t.same(readdirSync(join(dir, 'here')), []);
});

await t.test('what another process is writing is not taken from it', async (t) => {
  const dir = t.testdir({ here: {}, one: {} });
  const store = new FileStore(join(dir, 'one'));
  const theirs = join(dir, 'here', `audit-${crypto.randomUUID()}.jsonl`);
  writeFileSync(theirs, `${JSON.stringify(entryOf(1))}\n`);
  const log = logIn(join(dir, 'here'), { AC1: store });
  await log.store();
  t.same(await keysIn(store), [], 'a write to it may be under way');
  appendFileSync(theirs, `${JSON.stringify(entryOf(2))}\n`);
  await log.store();
  await log.store();
  t.same(
    await entriesOf(store, 'AC1', '20261120'),
    [1, 2].map((number) => entryOf(number)),
  );
});

await t.test('an answer is bounded, and the rest is had by asking on', async (t) => {
  const dir = t.testdir({ here: {}, one: {} });
  const store = new FileStore(join(dir, 'one'));
  const log = logIn(join(dir, 'here'), { AC1: store });
  const all = Array.from({ length: 4500 }, (_, number) => ({
    ...entryOf(number % 50),
    recordingId: `r${String(number).padStart(4, '0')}`,
  }));
  for (const each of all) log.note(each);
  await log.stop();
  const keys = await keysIn(store);
  t.equal(keys.length, 3, 'and so is an object');
  const folder = join(dir, 'one', '_reelay', 'AC1', 'audit', '20261120');
  mkdirSync(folder, { recursive: true });
  const planted = `${JSON.stringify({ ...entryOf(1), recordingId: 'planted' })}\n`;
  writeFileSync(join(folder, '000000-huge.jsonl'), planted + ' '.repeat(4 * 2 ** 20));
  writeFileSync(join(folder, '000000-odd.jsonl'), '{"time":"2026"}\nnothing\n');
  const asked = { accountId: 'AC1', day: '20261120' };
  const seen = new Set<string>();
  let from: string | undefined;
  for (let pages = 0; ; pages++) {
    const page = await auditOf(store, { ...asked, from }, 500);
    t.ok(page.entries.length <= 500);
    const times = page.entries.map(({ time }) => time);
    t.same(times, [...times].sort(), 'in order');
    for (const { recordingId } of page.entries) seen.add(recordingId);
    if (page.next === null) {
      t.ok(pages > 5);
      break;
    }
    from = page.next;
  }
  t.same(
    [...seen].sort(),
    all.map(({ recordingId }) => recordingId),
  );
  const one = await auditOf(store, { ...asked, recordingId: 'r4000' }, 500);
  t.match(one, { entries: [{ recordingId: 'r4000' }], next: null });
});

await t.test('whoever reads it again and again makes no object each time', async (t) => {
  const dir = t.testdir({ here: {}, one: {} });
  const store = new FileStore(join(dir, 'one'));
  let nowMs = 0;
  const log = new AuditLog({
    dir: join(dir, 'here'),
    storeOf: () => Promise.resolve(store),
    log: pino({ level: 'silent' }),
    nowMs: () => nowMs,
  });
  for (let times = 0; times < 20; times++) {
    log.note(entryOf(times));
    await log.storeSoon();
    nowMs += 1000;
  }
  t.equal((await keysIn(store)).length, 2, 'one every ten seconds');
  await log.stop();
  t.equal((await entriesOf(store, 'AC1', '20261120')).length, 20);
});

const accounts = [
  { id: 'AC1', apiKeys: [{ key: 'one', name: 'desk' }] },
  { id: 'AC2', apiKeys: ['two'] },
];

await t.test('what somebody asks for who hangs up is noted, and done', async (t) => {
  for (const [method, name, gated] of [
    ['GET', '/audio.wav', 'read'],
    ['DELETE', '', 'delete'],
  ] as const)
    await t.test(method, async (t) => {
      const dir = t.testdir({});
      const kept = join(dir, 'recordings');
      const { manifest } = await fabricateRecording(kept, { accountId: 'AC1' });
      const [reached, go, traced] = [new Signal(), new Signal(), new Signal()];
      const gate = async (deed: string, key: string): Promise<void> => {
        if (deed !== gated || !key.endsWith('0-audio.wav')) return;
        reached.fire();
        await go.fired;
      };
      class Slow extends FileStore {
        override async read(...args: Parameters<FileStore['read']>): Promise<Readable> {
          await gate('read', args[0]);
          return await super.read(...args);
        }
        override async delete(key: string): Promise<void> {
          await gate('delete', key);
          await super.delete(key);
        }
      }
      const bench = await ApiBench.start(t, dir, {
        accounts,
        store: new Slow(kept),
        traces: { answered: () => traced.fire() },
      });
      const noted = nextNoted(bench);
      const path = `/v1/recordings/${manifest.recordingId}`;
      const headers = { authorization: 'Bearer one' };
      const asked = request(bench.url + path + name, { method, headers, agent: false });
      asked.on('error', () => undefined).end();
      await reached.fired;
      asked.destroy();
      await bench.alone();
      go.fire();
      const { recordingId } = manifest;
      t.match(await noted, {
        accountId: 'AC1',
        recordingId,
        who: 'desk',
        address: '127.0.0.1',
        deed: `${method} /v1/recordings/:id${name}`,
        status: 200,
        isBrokenOff: true,
      });
      await traced.fired;
      const now = await bench.ask('GET', path, 'one');
      t.equal(now.status, method === 'DELETE' ? 410 : 200);
    });
});

await t.test(
  'a catalogue that goes away while it is answered changes nothing in what is noted',
  async (t) => {
    const dir = t.testdir({});
    const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
    const bench = await ApiBench.start(t, dir, { accounts });
    const away = () => Promise.reject(new ReelayError('catalogue_unavailable'));
    const get = bench.catalogue.get.bind(bench.catalogue);
    bench.catalogue.get = async (id) => {
      Object.assign(bench.catalogue, { get: away, tombstone: away });
      return await get(id);
    };
    const noted = nextNoted(bench);
    const { recordingId } = manifest;
    const answer = await bench.ask('GET', `/v1/recordings/${recordingId}/audio.wav`, 'one');
    t.equal(answer.status, 200);
    await answer.arrayBuffer();
    t.match(await noted, { recordingId, status: 200, isBrokenOff: undefined });
  },
);

await t.test('who is shown lists with an account’s numbers is noted', async (t) => {
  const dir = t.testdir({});
  await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const live = await fabricateRecording(join(dir, 'spool'), { accountId: 'AC1', state: 'recording' });
  const bench = await ApiBench.start(t, dir, { accounts, adminKeys: [{ key: 'admin', name: 'boss' }] });
  const { recordingId, callId, startTime } = live.manifest;
  const of = { accountId: 'AC1', provider: 'twilio', from: null, to: null, direction: null, streams: [] };
  const state = { recording: 'running', upstream: 'open' } as const;
  bench.calls.take(wholeList([{ ...of, ...state, recordingId, callId, startTime }]));
  for (const path of ['/v1/recordings', '/v1/calls', '/v1/recordings?callId=nothing'])
    for (const key of ['one', 'two', 'admin', 'one']) await (await bench.ask('GET', path, key)).arrayBuffer();
  const answer = await bench.ask('GET', `/v1/audit?account=AC1&day=${today}`, 'one');
  const { entries } = (await answer.json()) as { entries: AuditEntry[] };
  t.same(
    entries.map(({ who, deed, recordingId }) => [who, deed, recordingId]),
    ['GET /v1/recordings', 'GET /v1/calls'].flatMap((deed) => [
      ['desk', deed, ''],
      ['boss', deed, ''],
    ]),
  );
  t.equal(
    (await entriesOf(new FileStore(bench.kept), 'AC2', today)).length,
    0,
    'what is empty shows nothing',
  );
});

await t.test('a list that is looked at again and again is noted once a minute', (t) => {
  let nowMs = 0;
  const trail = new AuditTrail(() => nowMs);
  const keyring = new Keyring({
    control: { adminKeys: [] },
    accounts: [],
  } as unknown as ConstructorParameters<typeof Keyring>[0]);
  const scope = keyring.open({ authorization: undefined, isFromHere: true });
  if (scope === null) throw new Error('this machine may');
  const shown = (list: string, ...accountIds: string[]): string[] => {
    const request = {} as Parameters<AuditTrail['of']>[0];
    trail.showed(trail.begin(request, scope), list, accountIds);
    return (trail.of(request)?.subjects ?? []).map(({ accountId }) => accountId);
  };
  t.same(shown('calls', 'AC1', 'AC1'), ['AC1']);
  nowMs = 59_999;
  t.same(shown('calls', 'AC1', 'AC2'), ['AC2']);
  t.same(shown('recordings', 'AC1'), ['AC1']);
  nowMs = 60_000;
  t.same(shown('calls', 'AC1', 'AC2'), ['AC1']);
  t.end();
});
