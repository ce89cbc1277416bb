import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { entryOf, type CatalogueEntry } from '../../src/catalogue/Catalogue.js';
import { MemoryCatalogue } from '../../src/catalogue/MemoryCatalogue.js';
import { Removal } from '../../src/control/library/Removal.js';
import { Retention } from '../../src/control/library/Retention.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { Ledger, tombstonesIn, type Tombstone } from '../../src/storage/Ledger.js';
import type { ObjectStore, PutExpectations, StoredObject } from '../../src/storage/ObjectStore.js';
import { folderOf } from '../../src/storage/SpooledRecording.js';
import { ApiBench } from '../fixtures/ApiBench.js';
import { fabricateRecording, type FabricatedRecording } from '../fixtures/recording.js';
import { Signal } from '../fixtures/Signal.js';
import { wholeList } from '../fixtures/wholeList.js';

const accounts = [
  { id: 'AC1', apiKeys: ['one', { key: 'reader', scopes: ['read', 'control'] }] },
  { id: 'AC2', apiKeys: ['two'] },
];
const dayMs = 86_400_000;

async function filesBelow(dir: string): Promise<string[]> {
  if (!existsSync(dir)) return [];
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

function entryOfOne({ manifest }: FabricatedRecording): CatalogueEntry {
  return entryOf(manifest, folderOf(manifest));
}

/** A removal of one daemon. @param name - of its spool */
async function removalIn(
  dir: string,
  store: ObjectStore | null,
  { name = 'spool', catalogue = new MemoryCatalogue() } = {},
): Promise<Removal> {
  await mkdir(join(dir, name), { recursive: true });
  return new Removal({
    spoolDir: join(dir, name),
    outgoing: dir,
    catalogue,
    storeOf: () => Promise.resolve(store),
    forget: () => undefined,
  });
}

/** A folder store that waits before it writes or deletes certain objects. */
class Gated extends FileStore {
  readonly reached = new Signal();
  readonly go = new Signal();
  readonly #isGated: (deed: 'put' | 'delete', key: string) => boolean;

  constructor(dir: string, isGated: (deed: 'put' | 'delete', key: string) => boolean) {
    super(dir);
    this.#isGated = isGated;
  }

  override async put(key: string, file: string, expected: PutExpectations): Promise<StoredObject> {
    await this.#pass('put', key);
    return await super.put(key, file, expected);
  }

  override async delete(key: string): Promise<void> {
    await this.#pass('delete', key);
    await super.delete(key);
  }

  async #pass(deed: 'put' | 'delete', key: string): Promise<void> {
    if (!this.#isGated(deed, key)) return;
    this.reached.fire();
    await this.go.fired;
  }
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

await t.test('what the description forbids is told as such of a deleted recording, too', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const bench = await ApiBench.start(t, dir, { accounts });
  const path = `/v1/recordings/${manifest.recordingId}`;
  t.equal((await bench.ask('DELETE', path, 'one')).status, 200);
  for (const [method, route, body] of [
    ['POST', '/links', false],
    ['POST', '/pause', { mode: 'loud' }],
    ['POST', '/resume', [1]],
    ['POST', '/stop', 7],
    ['PUT', '/hold', { note: 7 }],
    ['GET', '/audio.wav?format=flac', undefined],
    ['GET', '/waveform.dat?samplesPerBin=0', undefined],
    ['GET', '/chunks/0.wav?direct=perhaps', undefined],
  ] as const) {
    const answer = await bench.ask(method, path + route, 'one', body);
    t.equal(answer.status, 400, `${method} ${route}`);
    t.match(await answer.json(), { code: 'request_invalid' });
    t.equal(
      (await bench.ask(method, path + route, undefined, body)).status,
      401,
      'of nobody it isn’t even read',
    );
  }
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
  const successor = await ApiBench.start(t, dir, { accounts, store });
  t.equal((await successor.ask('GET', path, 'one')).status, 200, 'also by a catalogue that is built anew');
  left = Infinity;
  t.equal((await successor.ask('DELETE', path, 'one')).status, 200);
  t.equal((await successor.ask('GET', path, 'one')).status, 410);
  t.same(await filesBelow(folder), []);
  t.equal((await bench.ask('DELETE', path, 'one')).status, 200, 'and who didn’t know learns it');
  t.equal((await bench.ask('GET', path, 'one')).status, 410);
});

await t.test('what isn’t in the store that its account has now isn’t said to be deleted', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const entry = entryOfOne(recording);
  const catalogue = new MemoryCatalogue();
  await catalogue.write([{ entry }]);
  const former = new FileStore(join(dir, 'recordings'));
  const now = new FileStore(join(dir, 'other'));
  await (await removalIn(dir, former)).hold(entry, 'desk', 'case 12');
  for (const store of [now, null]) {
    const removal = await removalIn(dir, store, { catalogue });
    const deletion = removal.remove(entry, { cause: 'request', by: 'desk' });
    await t.rejects(deletion, { code: 'recording_unstored' });
  }
  t.ok(await catalogue.get(entry.recordingId), 'it is found as ever');
  t.equal(await catalogue.tombstone(entry.recordingId), undefined);
  t.equal(await new Ledger(now, dir).isBuried(entry), false);
  const again = await removalIn(dir, former, { catalogue });
  await t.rejects(again.remove(entry, { cause: 'request', by: 'desk' }), { code: 'recording_held' });
  await again.release(entry);
  t.match(await again.remove(entry, { cause: 'request', by: 'desk' }), { recordingId: entry.recordingId });
  t.notOk(existsSync(join(recording.folder, '0-audio.wav')));
});

await t.test('what another daemon has in its spool isn’t deleted from under it', async (t) => {
  const dir = t.testdir({});
  const [one, other, kept] = ['one', 'other', 'recordings'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const catalogue = new MemoryCatalogue();
  const removal = await removalIn(dir, new FileStore(kept), { name: 'other', catalogue });
  for (const state of ['recording', 'uploading'] as const) {
    const live = await fabricateRecording(one, { accountId: 'AC1', state });
    const entry = entryOfOne(live);
    await catalogue.write([{ entry }]);
    // The chunk that its daemon has stored so far.
    const stored = join(kept, entry.folder);
    await mkdir(stored, { recursive: true });
    for (const name of ['0-audio.wav', '0-metadata.json'])
      await cp(join(live.folder, name), join(stored, name));
    const deletion = removal.remove(entry, { cause: 'request', by: 'desk' });
    await t.rejects(deletion, { code: 'recording_unstored' }, state);
    t.same((await filesBelow(stored)).sort(), ['0-audio.wav', '0-metadata.json']);
    t.ok(await catalogue.get(entry.recordingId));
    await cp(live.folder, stored, { recursive: true });
    await removal.remove(entry, { cause: 'request', by: 'desk' });
    t.same(await filesBelow(stored), [], 'once it is concluded it may be');
  }
  t.same(await filesBelow(other), []);
});

await t.test('a hold that came while another process was deleting is kept, or refused', async (t) => {
  const dir = t.testdir({});
  const kept = join(dir, 'recordings');
  const open = new FileStore(kept);
  const ledger = new Ledger(open, dir);

  await t.test('kept: the deletion finds it behind its tombstone', async (t) => {
    const recording = await fabricateRecording(kept, { accountId: 'AC1' });
    const entry = entryOfOne(recording);
    const slow = new Gated(kept, (deed, key) => deed === 'put' && key.includes('/tombstones/'));
    const deletion = (await removalIn(dir, slow)).remove(entry, { cause: 'retention', by: 'reelay' });
    await slow.reached.fired;
    t.match(await (await removalIn(dir, open)).hold(entry, 'desk', 'case 12'), { note: 'case 12' });
    slow.go.fire();
    await t.rejects(deletion, { code: 'recording_held' });
    t.ok(existsSync(join(recording.folder, '0-audio.wav')));
    t.equal(await ledger.isBuried(entry), false, 'it has taken its tombstone back');
    t.match(await ledger.hold(entry), { note: 'case 12' });
  });

  await t.test('refused: it finds the tombstone behind itself', async (t) => {
    const recording = await fabricateRecording(kept, { accountId: 'AC1' });
    const entry = entryOfOne(recording);
    const slow = new Gated(kept, (deed, key) => deed === 'delete' && key.startsWith('AC1/'));
    const deletion = (await removalIn(dir, slow)).remove(entry, { cause: 'request', by: 'desk' });
    await slow.reached.fired;
    const hold = (await removalIn(dir, open)).hold(entry, 'desk', null);
    await t.rejects(hold, { code: 'recording_deleted' });
    t.equal(await ledger.isHeld(entry), false, 'and nothing is left of it');
    slow.go.fire();
    t.match(await deletion, { cause: 'request' });
    t.same(await filesBelow(recording.folder), []);
  });

  await t.test('in one process it waits for the deletion', async (t) => {
    const entry = entryOfOne(await fabricateRecording(kept, { accountId: 'AC1' }));
    const slow = new Gated(kept, (deed, key) => deed === 'put' && key.includes('/tombstones/'));
    const removal = await removalIn(dir, slow);
    const deletion = removal.remove(entry, { cause: 'request', by: 'desk' });
    await slow.reached.fired;
    const hold = removal.hold(entry, 'desk', null);
    slow.go.fire();
    await deletion;
    await t.rejects(hold, { code: 'recording_deleted' });
  });
});

await t.test('a hold that can’t be read is one all the same', async (t) => {
  const dir = t.testdir({});
  const { manifest, folder } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const bench = await ApiBench.start(t, dir, { accounts });
  const holds = join(dir, 'recordings', '_reelay', 'AC1', 'holds');
  await mkdir(holds, { recursive: true });
  const path = `/v1/recordings/${manifest.recordingId}`;
  for (const text of ['{', '', JSON.stringify({ schema: 2, recordingId: 'another' })]) {
    await writeFile(join(holds, `${manifest.recordingId}.json`), text);
    const refused = await bench.ask('DELETE', path, 'one');
    t.match(await refused.json(), { code: 'recording_held' }, text);
  }
  t.ok(existsSync(join(folder, '0-audio.wav')));
  t.equal((await bench.ask('DELETE', `${path}/hold`, 'one')).status, 204);
  t.equal((await bench.ask('DELETE', path, 'one')).status, 200);
});

await t.test('what a manifest names without having a right to it stays', async (t) => {
  const dir = t.testdir({});
  const kept = join(dir, 'recordings');
  const victim = await fabricateRecording(kept, { accountId: 'AC2', layout: 'jambonz' });
  const { manifest, folder } = await fabricateRecording(kept, { accountId: 'AC1', layout: 'single' });
  const [own] = manifest.audio ?? [];
  const foreign = [
    ...(victim.manifest.audio ?? []),
    ...victim.manifest.chunks.map(({ index }) => ({
      key: `${folderOf(victim.manifest)}/${index}-metadata.json`,
    })),
    { key: '_reelay/AC2/holds/x.json' },
  ].map(({ key }) => ({ format: 'wav', bytes: 1, sha256: '0'.repeat(64), key }));
  await mkdir(join(kept, '_reelay', 'AC2', 'holds'), { recursive: true });
  await writeFile(join(kept, '_reelay', 'AC2', 'holds', 'x.json'), '{}');
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, audio: [...foreign, own] }));
  const bench = await ApiBench.start(t, dir, { accounts });
  t.equal((await bench.ask('DELETE', `/v1/recordings/${manifest.recordingId}`, 'one')).status, 200);
  t.notOk(existsSync(join(kept, own?.key ?? '')));
  for (const { key } of foreign) t.ok(existsSync(join(kept, key)), key);
});

await t.test('a link to what was deleted is like one that has expired', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const bench = await ApiBench.start(t, dir, { accounts });
  const path = `/v1/recordings/${manifest.recordingId}`;
  const made = (await (await bench.ask('POST', `${path}/links`, 'one')).json()) as { path: string };
  t.equal((await bench.get(made.path, {}, 'HEAD')).status, 200);
  await bench.ask('DELETE', path, 'one');
  const [dead, wrong] = await Promise.all([bench.get(made.path), bench.get('/shared/a.b/audio.wav')]);
  t.equal(dead.status, 404);
  t.equal(wrong.status, 404);
  t.same(await dead.json(), await wrong.json());
});

await t.test('what is older than its account keeps recordings is deleted, held ones excepted', async (t) => {
  const dir = t.testdir({});
  const kept = join(dir, 'recordings');
  const nowMs = Date.now();
  const at = async (days: number, accountId: string) =>
    (await fabricateRecording(kept, { accountId, startMs: nowMs - days * dayMs })).manifest.recordingId;
  const young = await at(29, 'AC1');
  const old = await at(31, 'AC1');
  const elsewhere = await at(100, 'AC1');
  const older = await at(300, 'AC1');
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
    findAccount: () => Promise.resolve(undefined),
    log: pino({ level: 'silent' }),
    nowMs: () => nowMs,
  });
  // It isn't in the store that its account has now.
  const entry = await bench.catalogue.get(elsewhere);
  await rm(join(kept, entry?.folder ?? '', 'manifest.json'));
  t.equal(await retention.look(), 2);
  for (const id of [old, older]) t.equal((await bench.ask('GET', `/v1/recordings/${id}`, 'one')).status, 410);
  for (const [id, key] of [
    [young, 'one'],
    [held, 'one'],
    [foreign, 'two'],
  ] as const)
    t.equal((await bench.ask('GET', `/v1/recordings/${id}`, key)).status, 200);
  t.equal(await retention.look(), 0, 'and nothing else the next time');
});

await t.test('accounts that only somebody else knows keep theirs no longer than they say', async (t) => {
  const dir = t.testdir({});
  const nowMs = Date.now();
  const startMs = nowMs - 31 * dayMs;
  const [known, away, forever, unknown] = await Promise.all(
    ['far1', 'far2', 'far3', 'far4'].map(async (accountId) => {
      const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId, startMs });
      return manifest.recordingId;
    }),
  );
  const bench = await ApiBench.start(t, dir, { adminKeys: ['admin'] });
  const [anyone] = bench.config.accounts;
  if (anyone === undefined) throw new Error('no account');
  const asked: string[] = [];
  const retention = new Retention({
    catalogue: bench.catalogue,
    removal: bench.removal,
    accounts: () => [],
    findAccount: (id) => {
      asked.push(id);
      if (id === 'far2') return Promise.reject(new Error('nobody answers'));
      if (id === 'far4') return Promise.resolve(undefined);
      return Promise.resolve({ ...anyone, id, retentionDays: id === 'far1' ? 30 : null });
    },
    log: pino({ level: 'silent' }),
    nowMs: () => nowMs,
  });
  t.equal(await retention.look(), 1);
  const status = async (id = '') => (await bench.ask('GET', `/v1/recordings/${id}`, 'admin')).status;
  t.equal(await status(known), 410);
  for (const id of [away, forever, unknown]) t.equal(await status(id), 200);
  t.same(asked, ['far1', 'far2', 'far3', 'far4'], 'each once');
  t.equal(await retention.look(), 0);
  t.same(asked.slice(4), ['far2', 'far3', 'far4'], 'those that have something left');
});
