import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { AuditLog, auditOf, type AuditEntry } from '../../src/control/library/AuditLog.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { ApiBench } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';

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
    await auditOf(stores.AC1, 'AC1', '20261120'),
    [1, 2, 3, 6].map((number) => entryOf(number)),
  );
  t.same(await auditOf(stores.AC2, 'AC2', '20261120'), [entryOf(4, 'AC2')]);
  t.same(await auditOf(stores.AC1, 'AC1', '20261121'), []);
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
  t.same(await auditOf(store, 'AC1', '20261120'), [entryOf(1)]);
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
  t.same(await auditOf(store, 'AC1', '20261120'), [entryOf(1)]);
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
  t.same(await (await told('admin', `account=AC1&day=${today}&recordingId=other`)).json(), { entries: [] });
});
