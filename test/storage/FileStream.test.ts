import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import pLimit from 'p-limit';
import t from 'tap';
import { FileStream } from '../../src/storage/FileStream.js';

const bytes = randomBytes(300_000);

void t.test('any range is what lies there', async (t) => {
  const path = join(t.testdir({}), 'file');
  writeFileSync(path, bytes);
  const gate = pLimit(2);
  const edge = fc.oneof(fc.nat(310_000), fc.constantFrom(0, 65_535, 65_536, 131_072, 299_999));
  await fc.assert(
    fc.asyncProperty(edge, edge, async (start, end) => {
      const read = await buffer(new FileStream(await open(path, 'r'), gate, { start, end }));
      return read.equals(bytes.subarray(start, end + 1));
    }),
    { numRuns: 60 },
  );
  t.ok((await buffer(new FileStream(await open(path, 'r'), gate))).equals(bytes));
});

void t.test('reads wait for each other, and a reader that goes away keeps nobody waiting', async (t) => {
  const path = join(t.testdir({}), 'file');
  writeFileSync(path, bytes);
  const gate = pLimit(2);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const blockers = [gate(() => held), gate(() => held)];
  const files = await Promise.all(Array.from({ length: 20 }, () => open(path, 'r')));
  const streams = files.map((file) => new FileStream(file, gate));
  const [first, ...others] = streams.map((stream) => stream.resume());
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(gate.activeCount, 2);
  t.equal(gate.pendingCount, 20);
  const closed = new Promise((resolve) => first?.once('close', resolve));
  first?.destroy();
  release();
  await closed;
  await Promise.all(others.map((stream) => new Promise((resolve) => stream.once('close', resolve))));
  await Promise.all(blockers);
  for (const file of files) t.equal(file.fd, -1, 'its file is closed');
});

void t.test('a file that cannot be read is an error of the stream', async (t) => {
  const folder = await open(t.testdir({}), 'r');
  await t.rejects(buffer(new FileStream(folder, pLimit(1))), { code: 'EISDIR' });
  t.equal(folder.fd, -1);
});
