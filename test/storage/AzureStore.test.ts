import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import t from 'tap';
import type { AzureStoreConfig } from '../../src/config/Config.js';
import { AzureStore } from '../../src/storage/AzureStore.js';
import { clockOf } from '../../src/storage/Clock.js';
import { AzureServer } from './fixtures/AzureServer.js';
import { RawServer } from './fixtures/RawServer.js';
import { bodyOf, listed, sha256, storeSuite } from './fixtures/storeSuite.js';

const server = await AzureServer.start({ containers: ['calls', 'others'] });
t.teardown(() => server.close());

function configFor(more: Partial<AzureStoreConfig> = {}): AzureStoreConfig {
  const { connectionString } = server;
  return {
    type: 'azure',
    container: 'calls',
    connectionString,
    sasUrl: null,
    prefix: 'some/prefix',
    ...more,
  };
}

await t.test('an Azure store', async (t) => {
  const connectionString = server.connectionWith(Buffer.from('another key').toString('base64'));
  await storeSuite(t, {
    store: new AzureStore(configFor()),
    wrongKey: new AzureStore(configFor({ connectionString })),
    missingPlace: new AzureStore(configFor({ container: 'nowhere' })),
  });
  t.ok((await server.keys('calls')).every((key) => key.startsWith('some/prefix/')));
});

await t.test('a signature opens its container, as far as it goes, until it ends', async (t) => {
  const path = join(t.testdir({ file: 'content' }), 'file');
  const expected = { sha256: sha256(Buffer.from('content')) };
  const withSas = (sasUrl: string) => new AzureStore(configFor({ connectionString: null, sasUrl }));
  const store = withSas(await server.sasUrl('calls', 'racwdl'));
  t.equal(store.name, new AzureStore(configFor()).name, 'one place, however it is opened');
  await store.put('sas/x', path, expected);
  t.equal((await buffer(await store.read('sas/x'))).toString(), 'content');
  const denied = { code: 'store_denied', blame: 'account' };
  const reader = withSas(await server.sasUrl('calls', 'rl'));
  t.equal(await reader.size('sas/x'), 7);
  await t.rejects(reader.put('sas/x', path, expected), denied);
  const expired = withSas(await server.sasUrl('calls', 'racwdl', -1));
  await t.rejects(expired.put('sas/x', path, expected), denied);
  const other = await server.sasUrl('others', 'racwdl');
  await t.rejects(withSas(other.replace('/others?', '/calls?')).size('sas/x'), denied, 'another container');
});

await t.test('an error says nothing of a signature', async (t) => {
  const sasUrl = 'http://127.0.0.1:9/account/calls?sig=SECRET';
  const store = new AzureStore(configFor({ connectionString: null, sasUrl }));
  t.notMatch(store.name, /SECRET/);
  const error = await store.size('a/b').then(
    () => undefined,
    (each: unknown) => each as Error,
  );
  t.match(error, { code: 'store_unavailable', blame: 'transient' });
  t.notMatch(JSON.stringify([error, String(error), error?.stack, String(error?.cause)]), /SECRET/);
  const broken = new AzureStore(configFor({ connectionString: 'AccountKey=SECRET' }));
  const denied = await broken.size('a/b').then(
    () => undefined,
    (each: unknown) => each as Error,
  );
  t.match(denied, { code: 'store_denied' });
  t.notMatch(JSON.stringify([denied, String(denied), String(denied?.cause)]), /SECRET/);
});

await t.test('after a restart the blocks that are there say what they are', async (t) => {
  const parts = [randomBytes(5000), randomBytes(10)];
  const upload = await new AzureStore(configFor()).multipart.begin('restart/audio.wav');
  const before = new AzureStore(configFor()).multipart;
  for (const number of [2, 1]) await before.put(upload, number, bodyOf(parts[number - 1] ?? Buffer.alloc(0)));
  const after = new AzureStore(configFor());
  t.strictSame(await after.multipart.open('restart/audio.wav'), [upload]);
  const stored = [...((await after.multipart.parts(upload)) ?? [])].sort((a, b) => a.number - b.number);
  t.strictSame(
    stored.map((part) => part.sha256),
    parts.map(sha256),
  );
  const expected = parts.map((part) => ({ bytes: part.length, sha256: sha256(part) }));
  await after.multipart.complete(upload, stored, expected);
  t.ok(Buffer.concat(parts).equals(await buffer(await after.read('restart/audio.wav'))));
});

await t.test('a service that is busy, and one that says nothing', async (t) => {
  let isBusy = true;
  const raw = await RawServer.start((request, response) => {
    request.resume();
    if (!isBusy) return;
    response.writeHead(503, { 'x-ms-error-code': 'ServerBusy', 'Retry-After': '3' }).end();
  });
  t.teardown(() => raw.close());
  const sasUrl = `${raw.endpoint}/account/calls?sig=x`;
  const store = new AzureStore(configFor({ connectionString: null, sasUrl }), clockOf(100));
  const path = join(t.testdir({ file: 'content' }), 'file');
  const expected = { sha256: sha256(Buffer.from('content')) };
  const busy = { code: 'store_unavailable', value: '503 ServerBusy', retryAfterMs: 3000 };
  await t.rejects(store.put('a/b', path, expected), busy);
  t.equal(raw.requests.length, 1, 'nothing but the uploader tries again');
  isBusy = false;
  const late = { code: 'store_unavailable', value: /not done within/ };
  await t.rejects(store.put('a/b', path, expected), late);
  await t.rejects(listed(store.list('')), late);
});

await t.test('a file that changes under way is not stored', async (t) => {
  const path = join(t.testdir({}), 'file');
  const data = randomBytes(6 * 2 ** 20);
  await writeFile(path, data);
  const beforeMultipart = async () => await writeFile(path, randomBytes(data.length));
  const store = new AzureStore(configFor());
  await t.rejects(store.put('changed/x', path, { sha256: sha256(data), beforeMultipart }), {
    code: 'checksum_mismatch',
  });
  t.equal(await store.size('changed/x'), null);
});
