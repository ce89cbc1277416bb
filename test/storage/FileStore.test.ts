import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import t from 'tap';
import type { StoredObject } from '../../src/storage/ObjectStore.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { storeSuite } from './fixtures/storeSuite.js';

async function listed(objects: AsyncIterable<StoredObject>): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of objects) found.push(object);
  return found;
}

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

await t.test('a folder does what every store does', async (t) => {
  await storeSuite(t, { store: new FileStore(join(t.testdir({}), 'kept')) });
});

await t.test('what is stored is read back whole, in ranges, listed and deleted', async (t) => {
  const folder = t.testdir({ source: {} });
  const data = randomBytes(700_000);
  await writeFile(join(folder, 'source', 'a.wav'), data);
  const store = new FileStore(join(folder, 'kept'));
  t.strictSame(
    await store.put('AC/20260101/CA/r/0-audio.wav', join(folder, 'source', 'a.wav'), {
      sha256: sha256(data),
    }),
    {
      key: 'AC/20260101/CA/r/0-audio.wav',
      bytes: data.length,
    },
  );
  t.strictSame(await buffer(await store.read('AC/20260101/CA/r/0-audio.wav')), data);
  const part = await buffer(await store.read('AC/20260101/CA/r/0-audio.wav', { start: 10, end: 300_000 }));
  t.strictSame(part, data.subarray(10, 300_001));
  t.equal(await store.size('AC/20260101/CA/r/0-audio.wav'), data.length);
  t.strictSame(await listed(store.list('AC/2026')), [
    { key: 'AC/20260101/CA/r/0-audio.wav', bytes: data.length },
  ]);
  t.strictSame(await listed(store.list('AD/')), []);
  await store.delete('AC/20260101/CA/r/0-audio.wav');
  await store.delete('AC/20260101/CA/r/0-audio.wav');
  t.equal(await store.size('AC/20260101/CA/r/0-audio.wav'), null);
  await t.rejects(store.read('AC/20260101/CA/r/0-audio.wav'), { code: 'object_missing' });
});

await t.test('a file that is not what its checksum says is not stored', async (t) => {
  const folder = t.testdir({ a: 'content' });
  const store = new FileStore(join(folder, 'kept'));
  const wrong = { sha256: sha256(Buffer.from('other')) };
  await t.rejects(store.put('x/a', join(folder, 'a'), wrong), { code: 'checksum_mismatch' });
  t.strictSame(await readdir(join(folder, 'kept', 'x')), [], 'neither under its name nor beside it');
});

await t.test('a copy that a crash left half done is in nobody’s way', async (t) => {
  const folder = t.testdir({ a: 'content', kept: { x: { 'a.part': 'cont' } } });
  const store = new FileStore(join(folder, 'kept'));
  t.strictSame(await listed(store.list('')), []);
  await store.put('x/a', join(folder, 'a'), { sha256: sha256(Buffer.from('content')) });
  t.strictSame(await readdir(join(folder, 'kept', 'x')), ['a']);
});

await t.test('no key leads out of the folder, neither by its text nor by a link', async (t) => {
  const folder = t.testdir({ a: 'content', outside: { secret: 'hush' }, kept: {} });
  const store = new FileStore(join(folder, 'kept'));
  const expected = { sha256: sha256(Buffer.from('content')) };
  for (const key of [
    '../outside/b',
    '/etc/passwd',
    'a//b',
    '.hidden/x',
    'a/./b',
    'a\\..\\b',
    'a\u0000b',
    '',
  ]) {
    await t.rejects(store.put(key, join(folder, 'a'), expected), { code: 'object_key_invalid' }, key);
    await t.rejects(store.read(key), { code: 'object_key_invalid' }, key);
  }
  await symlink(join(folder, 'outside'), join(folder, 'kept', 'link'));
  await t.rejects(store.put('link/b', join(folder, 'a'), expected), { code: 'object_key_invalid' });
  await t.rejects(store.read('link/secret'), { code: 'object_key_invalid' });
  t.strictSame(await readdir(join(folder, 'outside')), ['secret']);
});

await t.test('a store that is the spool itself is refused before anything is deleted', async (t) => {
  const folder = t.testdir({});
  await mkdir(join(folder, 'r'));
  await writeFile(join(folder, 'r', 'a'), 'content');
  const store = new FileStore(folder);
  const expected = { sha256: sha256(Buffer.from('content')) };
  await t.rejects(store.put('r/a', join(folder, 'r', 'a'), expected), { code: 'store_refused' });
  t.equal(await readFile(join(folder, 'r', 'a'), 'utf8'), 'content');
});
