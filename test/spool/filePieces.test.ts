import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { filePieces } from '../../src/spool/filePieces.js';

const piece = 256 * 1024;

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

void t.test('files of every length are read whole, many at once', async (t) => {
  const dir = t.testdir({});
  const files = [0, 1, piece - 1, piece, piece + 1, 3 * piece, 3 * piece + 7].map((length) => {
    const bytes = randomBytes(length);
    const path = join(dir, String(length));
    writeFileSync(path, bytes);
    return { path, length, sha256: hashOf(bytes) };
  });
  const twice = [...files, ...files, ...files];
  const read = await Promise.all(
    twice.map(async ({ path }) => {
      const hash = createHash('sha256');
      let length = 0;
      for await (const bytes of filePieces(path)) {
        hash.update(bytes);
        length += bytes.length;
      }
      return { path, length, sha256: hash.digest('hex') };
    }),
  );
  t.strictSame(read, twice);
});

void t.test('a reader that stops in the middle leaves the others their bytes', async (t) => {
  const path = join(t.testdir({}), 'file');
  const bytes = randomBytes(2 * piece);
  writeFileSync(path, bytes);
  for await (const first of filePieces(path)) {
    t.ok(first.equals(bytes.subarray(0, piece)));
    break;
  }
  const parts: Buffer[] = [];
  for await (const each of filePieces(path)) parts.push(Buffer.from(each));
  t.ok(Buffer.concat(parts).equals(bytes));
});

void t.test('a file that is missing is told of', async (t) => {
  await t.rejects(filePieces(join(t.testdir({}), 'none')).next(), { code: 'ENOENT' });
});
