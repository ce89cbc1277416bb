import t from 'tap';
import { DiskModel, pathsIn } from './DiskModel.js';
import { FileHistory, sectorBytes } from './FileHistory.js';
import type { FileOperation } from './FileOperation.js';

const everything = { names: 1, data: 1 };
const nothing = { names: 0, data: 0 };

/** Operations one after the other, each over before the next begins. */
function diskAfter(...steps: Partial<FileOperation>[]): DiskModel {
  const disk = new DiskModel('/disk', 1);
  for (const [index, step] of steps.entries()) {
    const [beginNs, endNs] = [index * 10, index * 10 + 5];
    const rest = { kind: 'sync', inode: 0, position: 0, path: '', data: Buffer.alloc(0) } as const;
    disk.apply({ ...rest, beginNs, endNs, ...step });
  }
  return disk;
}

function pathsAfter(disk: DiskModel, luck = nothing): string[] {
  return [...pathsIn(disk.survivor(() => 0.5, luck))].map(
    ([path, content]) => path + (content?.toString() ?? ''),
  );
}

const made = { kind: 'open', inode: 2, path: '/disk/a' } as const;
const written = { kind: 'write', inode: 2, data: Buffer.from('!') } as const;
const renamed = { kind: 'rename', path: '/disk/a', data: Buffer.from('/disk/b') } as const;
const [fileSynced, folderSynced] = [
  { kind: 'sync', inode: 2 },
  { kind: 'sync', inode: 1 },
] as const;

void t.test('a name is safe with its folder, what is in the file with the file', (t) => {
  t.strictSame(pathsAfter(diskAfter(made, written)), []);
  t.strictSame(pathsAfter(diskAfter(made, written), everything), ['a!']);
  t.strictSame(pathsAfter(diskAfter(made, written, fileSynced)), []);
  // The size may have come to the disk alone.
  t.strictSame(pathsAfter(diskAfter(made, written, folderSynced)), ['a\0']);
  t.strictSame(pathsAfter(diskAfter(made, written, fileSynced, folderSynced)), ['a!']);
  t.end();
});

void t.test('a rename that was not synced happened whole or not at all', (t) => {
  const disk = diskAfter(made, written, fileSynced, folderSynced, renamed);
  t.strictSame(pathsAfter(disk), ['a!']);
  t.strictSame(pathsAfter(disk, everything), ['b!']);
  t.strictSame(
    [...pathsIn(disk.current)].map(([path]) => path),
    ['b'],
  );
  t.strictSame(pathsAfter(diskAfter(made, written, fileSynced, renamed, folderSynced)), ['b!']);
  t.end();
});

void t.test('what is removed may come back until its folder is synced', (t) => {
  const removed = { kind: 'unlink', path: '/disk/a' } as const;
  t.strictSame(pathsAfter(diskAfter(made, folderSynced, removed)), ['a']);
  t.strictSame(pathsAfter(diskAfter(made, folderSynced, removed, folderSynced)), []);
  t.end();
});

void t.test('a sync covers only what had ended before it began', (t) => {
  const file = new FileHistory();
  file.write(10, 0, Buffer.from('early'));
  file.write(30, 5, Buffer.from('late'));
  file.sync(20);
  t.notOk(file.isSafe);
  t.match(file.survivor(() => 0.99, { names: 0, data: 0 }).toString('latin1'), /^early\0*$/);
  file.sync(30);
  t.ok(file.isSafe);
  t.equal(file.survivor(() => 0.99, { names: 0, data: 0 }).toString(), 'earlylate');
  t.end();
});

void t.test('unsynced sectors come to the disk each by itself, and read as zeros where they did not', (t) => {
  const file = new FileHistory();
  const sectors = [1, 2, 3, 4].map((value) => Buffer.alloc(sectorBytes, value));
  file.write(10, 0, Buffer.concat(sectors));
  const seen = new Set<string>();
  let turn = 0;
  for (let run = 0; run < 200; run += 1) {
    const left = file.survivor(() => (turn = (turn * 16807 + 12345) % 2147483647) / 2147483647, {
      names: 1,
      data: 0.5,
    });
    for (let at = 0; at < left.length; at += sectorBytes) {
      const sector = left.subarray(at, at + sectorBytes);
      const value = sector[0] ?? 0;
      t.ok(value === 0 || value === at / sectorBytes + 1);
      t.ok(sector.every((byte) => byte === value));
    }
    seen.add(sectors.map((_, index) => left[index * sectorBytes] ?? '-').join());
  }
  t.ok(seen.size > 10, 'in many mixtures');
  t.ok([...seen].some((mixture) => /^0,.*[1-4]/.test(mixture)));
  t.end();
});
