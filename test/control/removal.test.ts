import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { Retention } from '../../src/control/library/Retention.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { tombstonesIn, type Tombstone } from '../../src/storage/Ledger.js';
import type { ObjectStore } from '../../src/storage/ObjectStore.js';
import { ApiBench } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { wholeList } from '../fixtures/wholeList.js';

const accounts = [
  { id: 'AC1', apiKeys: ['one', { key: 'reader', scopes: ['read', 'control'] }] },
  { id: 'AC2', apiKeys: ['two'] },
];
const dayMs = 86_400_000;

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

await t.test('a recording that is deleted is gone, and its account is told so', async (t) => {
  const dir = t.testdir({});
  const kept = join(dir, 'recordings');
  const { manifest, folder } = await fabricateRecording(kept, { accountId: 'AC1', layout: 'jambonz' });
  const other = await fabricateRecording(kept, { accountId: 'AC1', callId: manifest.callId });
  const bench = await ApiBench.start(t, dir, { accounts, adminKeys: ['admin'] });
  const path = `/v1/recordings/${manifest.recordingId}`;
  t.equal((await bench.ask('DELETE', path, 'two')).status, 404);
  t.equal((await bench.ask('DELETE', path, 'reader')).status, 403);
  t.equal((await bench.ask('DELETE', path)).status, 401);
  t.ok(existsSync(join(folder, 'manifest.json')), 'nothing has happened');
  const deleted = await bench.ask('DELETE', path, 'one');
  t.equal(deleted.status, 200);
  t.match(await deleted.json(), { recordingId: manifest.recordingId, cause: 'request' });
  t.notOk(existsSync(folder) && (await filesBelow(folder)).length > 0, 'its folder holds nothing');
  for (const { key } of manifest.audio ?? []) t.notOk(existsSync(join(kept, key)), key);
  t.ok(existsSync(join(other.folder, 'manifest.json')), 'the other one of the same call is there');
  for (const [key, status] of Object.entries({ one: 410, admin: 410, two: 404 }))
    for (const route of ['', '/audio.wav', '/chunks/0.wav', '/segments.json', '/hold'])
      t.equal((await bench.ask('GET', path + route, key)).status, status, `${key} asks for ${route}`);
  t.equal((await bench.ask('DELETE', path, 'one')).status, 410);
  const page = (await (await bench.ask('GET', '/v1/recordings', 'one')).json()) as { recordings: unknown[] };
  t.match(page.recordings, [{ recordingId: other.manifest.recordingId }]);
  const buried: Tombstone[] = [];
  for await (const each of tombstonesIn(new FileStore(kept), 'AC1')) buried.push(each);
  t.match(buried, [{ recordingId: manifest.recordingId, callId: manifest.callId, cause: 'request' }]);
  t.equal(buried.length, 1);
});

await t.test('a recording whose call was here is deleted like any other', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const bench = await ApiBench.start(t, dir, { accounts });
  const { recordingId, callId, startTime } = manifest;
  const [of, about] = [
    { from: null, to: null, direction: null },
    { accountId: 'AC1', provider: 'twilio' },
  ];
  const call = {
    recordingId,
    callId,
    startTime,
    ...of,
    ...about,
    recording: 'running',
    upstream: 'open',
  } as const;
  bench.calls.take(wholeList([{ ...call, streams: [] }]));
  bench.calls.take(wholeList([]));
  t.equal((await bench.ask('DELETE', `/v1/recordings/${recordingId}`, 'one')).status, 200);
  for (const route of ['', '/audio.wav', '/links'])
    t.equal(
      (await bench.ask(route === '/links' ? 'POST' : 'GET', `/v1/recordings/${recordingId}${route}`, 'one'))
        .status,
      410,
      route,
    );
});

await t.test('a catalogue that is built anew knows what was deleted', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const bench = await ApiBench.start(t, dir, { accounts });
  const path = `/v1/recordings/${manifest.recordingId}`;
  await bench.ask('DELETE', path, 'one');
  const successor = await ApiBench.start(t, dir, { accounts });
  t.equal((await successor.ask('GET', path, 'one')).status, 410);
  t.equal((await successor.ask('GET', path, 'two')).status, 404);
});

await t.test('a recording that is held stays until it is released', async (t) => {
  const dir = t.testdir({});
  const { manifest, folder } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const bench = await ApiBench.start(t, dir, { accounts });
  const path = `/v1/recordings/${manifest.recordingId}`;
  t.equal((await bench.ask('GET', `${path}/hold`, 'one')).status, 404);
  t.equal((await bench.ask('PUT', `${path}/hold`, 'reader')).status, 403);
  t.equal((await bench.ask('PUT', `${path}/hold`, 'one', { note: 7 })).status, 400);
  t.match(await (await bench.ask('PUT', `${path}/hold`, 'one', { note: 'case 12' })).json(), {
    note: 'case 12',
  });
  t.match(await (await bench.ask('GET', `${path}/hold`, 'reader')).json(), { note: 'case 12' });
  t.equal((await bench.ask('GET', `${path}/hold`, 'two')).status, 404);
  const refused = await bench.ask('DELETE', path, 'one');
  t.equal(refused.status, 409);
  t.match(await refused.json(), { code: 'recording_held' });
  t.ok(existsSync(join(folder, '0-audio.wav')));
  t.equal((await bench.ask('DELETE', `${path}/hold`, 'one')).status, 204);
  t.equal((await bench.ask('DELETE', path, 'one')).status, 200);
});

await t.test('what isn’t in its store yet isn’t deleted', async (t) => {
  const dir = t.testdir({});
  const states = ['recording', 'uploading', 'interrupted'] as const;
  const waiting = await Promise.all(
    states.map((state) => fabricateRecording(join(dir, 'spool'), { accountId: 'AC1', state })),
  );
  const failed = await fabricateRecording(join(dir, 'spool'), {
    accountId: 'AC1',
    state: 'failed',
    reason: 'no_store',
    chunks: 0,
  });
  const bench = await ApiBench.start(t, dir, { accounts });
  for (const { manifest, folder } of waiting) {
    const answer = await bench.ask('DELETE', `/v1/recordings/${manifest.recordingId}`, 'one');
    t.equal(answer.status, 409, manifest.state);
    t.match(await answer.json(), { code: 'recording_unstored' });
    t.ok(existsSync(join(folder, '0-audio.wav')));
  }
  t.equal((await bench.ask('DELETE', `/v1/recordings/${failed.manifest.recordingId}`, 'one')).status, 200);
  t.notOk(existsSync(failed.folder));
});

await t.test('a deletion that breaks off is done by the next one', async (t) => {
  const dir = t.testdir({});
  const { manifest, folder } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const inner = new FileStore(join(dir, 'recordings'));
  let left = 3;
  const store: ObjectStore = Object.assign(Object.create(inner) as ObjectStore, {
    delete: async (key: string) => {
      if (left-- <= 0) throw new Error('the store is gone');
      await inner.delete(key);
    },
    put: inner.put.bind(inner),
    read: inner.read.bind(inner),
    size: inner.size.bind(inner),
    list: inner.list.bind(inner),
  });
  const bench = await ApiBench.start(t, dir, { accounts, store });
  const path = `/v1/recordings/${manifest.recordingId}`;
  t.equal((await bench.ask('DELETE', path, 'one')).status, 500);
  t.ok(existsSync(join(folder, 'manifest.json')), 'it is still found');
  left = Infinity;
  t.equal((await bench.ask('DELETE', path, 'one')).status, 200);
  t.equal((await bench.ask('GET', path, 'one')).status, 410);
});

await t.test('what is older than its account keeps recordings is deleted, held ones excepted', async (t) => {
  const dir = t.testdir({});
  const kept = join(dir, 'recordings');
  const nowMs = Date.now();
  const at = async (days: number, accountId: string) =>
    (await fabricateRecording(kept, { accountId, startMs: nowMs - days * dayMs })).manifest.recordingId;
  const young = await at(29, 'AC1');
  const old = await at(31, 'AC1');
  const held = await at(400, 'AC1');
  const foreign = await at(400, 'AC2');
  const bench = await ApiBench.start(t, dir, {
    accounts: [{ ...accounts[0], retentionDays: 30 }, accounts[1] ?? {}],
  });
  await bench.ask('PUT', `/v1/recordings/${held}/hold`, 'one');
  const retention = new Retention({
    catalogue: bench.catalogue,
    removal: bench.removal,
    accounts: () => bench.config.accounts,
    log: pino({ level: 'silent' }),
    nowMs: () => nowMs,
  });
  t.equal(await retention.look(), 1);
  t.equal((await bench.ask('GET', `/v1/recordings/${old}`, 'one')).status, 410);
  for (const [id, key] of [
    [young, 'one'],
    [held, 'one'],
    [foreign, 'two'],
  ] as const)
    t.equal((await bench.ask('GET', `/v1/recordings/${id}`, key)).status, 200);
  t.equal(await retention.look(), 0, 'and nothing else the next time');
});
