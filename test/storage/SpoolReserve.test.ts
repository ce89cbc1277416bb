import { open, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { SpoolReserve } from '../../src/storage/SpoolReserve.js';

void t.test('the reserve is made once, with bytes that take room', async (t) => {
  const dir = t.testdir();
  const reserve = new SpoolReserve(dir);
  t.equal(await reserve.fill(), true);
  const names = await readdir(dir);
  t.equal(names.length, 16);
  for (const name of names) {
    const { size, blocks } = await stat(join(dir, name));
    t.equal(size, 65_536);
    t.ok(blocks * 512 >= size, `${name} is not sparse`);
  }
  const first = await readFile(join(dir, 'reserve-0'));
  await unlink(join(dir, 'reserve-7'));
  await writeFile(join(dir, 'lock'), '');
  t.equal(await reserve.fill(), true);
  t.same((await readdir(dir)).filter((name) => name !== 'lock').sort(), names.sort());
  t.ok(first.equals(await readFile(join(dir, 'reserve-0'))), 'what is there stays');
});

void t.test('where there is room, it writes as always and the reserve stays', async (t) => {
  const dir = t.testdir({ note: 'old' });
  const reserve = new SpoolReserve(dir);
  await reserve.fill();
  await reserve.write(join(dir, 'note'), 'new');
  t.equal(await readFile(join(dir, 'note'), 'utf8'), 'new');
  t.equal((await readdir(dir)).length, 17);
});

void t.test("what isn't want of room is no affair of the reserve", async (t) => {
  const dir = t.testdir();
  const reserve = new SpoolReserve(dir);
  await reserve.fill();
  await t.rejects(reserve.write(join(dir, 'nowhere', 'note'), 'new'), { code: 'ENOENT' });
  t.equal((await readdir(dir)).length, 16);
});

void t.test('two daemons on one spool share it: of two that want the last one, one gets it', async (t) => {
  const dir = t.testdir();
  const full = () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  const [one, two] = [new SpoolReserve(dir, full), new SpoolReserve(dir, full)];
  t.teardown(() => [one, two].forEach((each) => each.stop()));
  await writeFile(join(dir, 'reserve-3'), Buffer.alloc(65_536, 1));
  const ends = await Promise.allSettled([
    one.write(join(dir, 'a'), 'a note'),
    two.write(join(dir, 'b'), 'a note'),
  ]);
  t.same(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const [name = ''] = (await readdir(dir)).filter((each) => each === 'a' || each === 'b');
  t.equal(await readFile(join(dir, name), 'utf8'), 'a note', 'and nothing of the spare is left in it');
  const file = await open(join(dir, name));
  t.equal((await file.stat()).size, 6);
  await file.close();
});

void t.test('a note that is longer than a spare waits for room', async (t) => {
  const dir = t.testdir();
  const full = () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  const reserve = new SpoolReserve(dir, full);
  t.teardown(() => reserve.stop());
  await reserve.fill();
  await t.rejects(reserve.write(join(dir, 'note'), 'x'.repeat(65_537)), { code: 'ENOSPC' });
  t.equal((await readdir(dir)).length, 16);
});
