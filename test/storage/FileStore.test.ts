import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import t from 'tap';
import { fileFaultOf } from '../../src/storage/FileFault.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { partsOf } from '../../src/storage/partSize.js';
import { bodyOf, listed, sha256, storeSuite } from './fixtures/storeSuite.js';

/** Parts that are put twice. */
const againShare = 0.3;

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

await t.test(
  'a folder that may not be written is the account’s affair, one that can’t be passes',
  async (t) => {
    const folder = t.testdir({ a: 'content', kept: {}, full: 'a file where a folder should be' });
    const expected = { sha256: sha256(Buffer.from('content')) };
    const under = new FileStore(join(folder, 'full'));
    await t.rejects(under.put('x/a', join(folder, 'a'), expected), {
      code: 'store_unavailable',
      value: /ENOTDIR|EEXIST/,
    });
    await t.rejects(under.multipart.begin('x/a'), { code: 'store_unavailable', blame: 'transient' });
    for (const [code, blame] of [
      ['EACCES', 'account'],
      ['EPERM', 'account'],
      ['EROFS', 'account'],
      ['ENOSPC', 'transient'],
      ['EIO', 'transient'],
      ['EMFILE', 'transient'],
    ] as const)
      t.match(fileFaultOf(Object.assign(new Error(code), { code, path: '/x' })), {
        blame,
        value: `${code} /x`,
      });
  },
);

await t.test('an upload that a crash left goes on, and its files are nobody’s objects', async (t) => {
  const kept = join(t.testdir({}), 'kept');
  const parts = [randomBytes(5000), randomBytes(5000), randomBytes(10)];
  const upload = await new FileStore(kept).multipart.begin('r/audio.wav');
  for (const number of [3, 2])
    await new FileStore(kept).multipart.put(upload, number, bodyOf(parts[number - 1]));
  const after = new FileStore(kept);
  t.strictSame(await listed(after.list('')), []);
  const found = await after.multipart.parts(upload);
  t.strictSame(found?.map(({ number }) => number).sort(), [2, 3]);
  await after.multipart.put(upload, 1, bodyOf(parts[0]));
  const expected = parts.map((part) => ({ bytes: part.length, sha256: sha256(part) }));
  // Killed after the rename and before the rest: the same again.
  for (let time = 0; time < 2; time++) await after.multipart.complete(upload, [], expected);
  t.ok(Buffer.concat(parts).equals(await readFile(join(kept, 'r', 'audio.wav'))));
  t.strictSame(await readdir(join(kept, 'r')), ['audio.wav']);
});

await t.test('a damaged part is found before the object has its name', async (t) => {
  const kept = join(t.testdir({}), 'kept');
  const store = new FileStore(kept);
  const part = randomBytes(5000);
  const upload = await store.multipart.begin('r/audio.wav');
  await store.multipart.put(upload, 1, bodyOf(part));
  const [name] = (await readdir(join(kept, 'r'))).filter((each) => !each.includes('note'));
  await writeFile(join(kept, 'r', name ?? ''), randomBytes(5000));
  const expected = [{ bytes: part.length, sha256: sha256(part) }];
  await t.rejects(store.multipart.complete(upload, [], expected), { code: 'upload_gone' });
  t.equal(await store.size('r/audio.wav'), null);
});

await t.test(
  'for any sizes and any order of parts, some put again, the object is what they make',
  async (t) => {
    const kept = join(t.testdir({}), 'kept');
    const store = new FileStore(kept);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 400 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        async (partBytes, total, random) => {
          const data = randomBytes(total);
          const ranges = partsOf(total, partBytes);
          // A note of the upload that was lost with the power makes the one who uploads put a part again.
          const again = ranges.filter(() => (random.next().value as number) < againShare);
          const puts = [...ranges, ...again];
          const weighed = puts.map((range) => ({ range, weight: random.next().value as number }));
          const upload = await store.multipart.begin('p/audio.wav');
          for (const { range } of weighed.sort((a, b) => a.weight - b.weight)) {
            const { number, start, bytes } = range;
            await store.multipart.put(upload, number, bodyOf(data.subarray(start, start + bytes)));
          }
          const expected = ranges.map(({ start, bytes }) => ({
            bytes,
            sha256: sha256(data.subarray(start, start + bytes)),
          }));
          await store.multipart.complete(upload, [], expected);
          return data.equals(await readFile(join(kept, 'p', 'audio.wav')));
        },
      ),
      { numRuns: 60 },
    );
  },
);

await t.test('a first part that breaks off over where the last one lay costs nothing', async (t) => {
  const kept = join(t.testdir({}), 'kept');
  const store = new FileStore(kept);
  const [first, last] = [randomBytes(3000), randomBytes(1000)];
  const upload = await store.multipart.begin('r/audio.wav');
  await store.multipart.put(upload, 2, bodyOf(last));
  const broken = { ...bodyOf(first), read: () => Readable.from([first.subarray(0, 2500)]) };
  await t.rejects(store.multipart.put(upload, 1, broken), { code: 'checksum_mismatch' });
  await new FileStore(kept).multipart.put(upload, 1, bodyOf(first));
  const expected = [first, last].map((part) => ({ bytes: part.length, sha256: sha256(part) }));
  await store.multipart.complete(upload, [], expected);
  t.ok(Buffer.concat([first, last]).equals(await readFile(join(kept, 'r', 'audio.wav'))));
});
