import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { DaemonFolder } from '../../src/spool/DaemonFolder.js';

interface Holder {
  readonly path?: string;
  readonly code?: string;
  readonly message?: string;
  kill(): Promise<void>;
}

const running = new Set<ChildProcess>();
t.teardown(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** Claims a spool in a process of its own. */
async function hold(spool: string): Promise<Holder> {
  const script = fileURLToPath(new URL('./lockHolder.js', import.meta.url));
  const child = spawn(process.execPath, [script, spool], { stdio: ['pipe', 'pipe', 'inherit'] });
  running.add(child);
  const gone = once(child, 'exit').then(() => running.delete(child));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  return { ...(JSON.parse(line) as object), kill };
}

/** What a daemon leaves that was killed: a journal with something in it. */
function leave(folder: string): void {
  mkdirSync(join(folder, 'journal'), { recursive: true });
  writeFileSync(join(folder, 'journal', '00000001.journal'), 'audio');
}

/** Every journal below a folder. */
function journalsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.name.endsWith('.journal'))
    .map((entry) => join(entry.parentPath, entry.name));
}

void t.test('a spool belongs to one daemon until its process is gone, however it ends', async (t) => {
  const spool = t.testdir();
  const first = await hold(spool);
  leave(first.path ?? '');
  const second = await hold(spool);
  t.equal(second.code, 'spool_locked');
  t.match(second.message, first.path ?? '');
  t.strictSame(readdirSync(join(spool, '.reelay')), [basename(first.path ?? '')], 'it left no trace');
  await first.kill();
  const third = await DaemonFolder.claim(spool);
  t.strictSame(readdirSync(join(third.path, 'adopted')), [basename(first.path ?? '')]);
  t.equal(journalsBelow(third.path).length, 1);
  await third.release();
  await second.kill();
});

void t.test('a daemon that may not start leaves what it would have adopted as it was', async (t) => {
  const spool = t.testdir();
  const live = await hold(spool);
  // Names on both sides of every other, so that no order of looking saves anybody.
  for (const name of ['00000000-dead', 'ffffffff-dead']) leave(join(spool, '.reelay', name));
  const refused = await hold(spool);
  t.equal(refused.code, 'spool_locked');
  t.equal(journalsBelow(spool).length, 2);
  await live.kill();
  await refused.kill();
  const next = await DaemonFolder.claim(spool);
  t.strictSame(
    journalsBelow(next.path)
      .map((path) => basename(dirname(dirname(path))))
      .sort(),
    ['00000000-dead', 'ffffffff-dead'],
  );
  await next.release();
});

void t.test('of daemons that start at once at most one gets the spool, and no journal is lost', async (t) => {
  for (let round = 0; round < 3; round++) {
    const spool = t.testdir({ [`round-${round}`]: {} });
    leave(join(spool, '.reelay', '00000000-dead'));
    const all = await Promise.all(Array.from({ length: 5 }, () => hold(spool)));
    const holders = all.filter((each) => each.path !== undefined);
    t.ok(holders.length <= 1, `${holders.length} of 5 hold the spool`);
    t.ok(all.every((each) => each.path !== undefined || each.code === 'spool_locked'));
    t.equal(journalsBelow(spool).length, 1);
    for (const each of all) await each.kill();
    const next = await DaemonFolder.claim(spool);
    t.equal(journalsBelow(join(next.path, 'adopted')).length, 1);
    await next.release();
  }
});

void t.test('what a daemon had adopted and not recovered is handed on', async (t) => {
  const spool = t.testdir();
  leave(join(spool, '.reelay', 'second', 'adopted', 'first'));
  leave(join(spool, '.reelay', 'second'));
  const folder = await DaemonFolder.claim(spool);
  t.strictSame(readdirSync(join(folder.path, 'adopted')).sort(), ['first', 'second']);
  folder.forget();
  t.equal(journalsBelow(folder.path).length, 2, 'nothing is forgotten before it is recovered');
  await folder.release();
  t.ok(existsSync(folder.path));
});

void t.test('a folder that is forgotten stays locked until its daemon lets go', async (t) => {
  const spool = t.testdir();
  const folder = await DaemonFolder.claim(spool);
  leave(folder.path);
  folder.forget();
  const early = await hold(spool);
  t.equal(early.code, 'spool_locked');
  await folder.release();
  t.strictSame(readdirSync(join(spool, '.reelay')), []);
  await early.kill();
});

void t.test('whatever else lies in the way, the daemon starts', async (t) => {
  const spool = t.testdir({
    '.reelay': {
      'README.txt': 'what is this?',
      empty: {},
      '.new-old': {},
      '.new-fresh': {},
      x: { lock: 'a file' },
    },
  });
  utimesSync(join(spool, '.reelay', '.new-old'), 1, 1);
  const folder = await DaemonFolder.claim(spool);
  t.strictSame(readdirSync(join(folder.path, 'adopted')).sort(), ['empty', 'x']);
  t.strictSame(
    readdirSync(join(spool, '.reelay')).sort(),
    ['.new-fresh', 'README.txt', basename(folder.path)].sort(),
  );
  await folder.release();
});

void t.test('a path too long for a socket is locked all the same', async (t) => {
  const spool = join(t.testdir(), 'a'.repeat(100), 'b'.repeat(100));
  const folder = await DaemonFolder.claim(spool);
  const other = await hold(spool);
  t.equal(other.code, 'spool_locked');
  await other.kill();
  await folder.release();
});

void t.test('a lock goes with its folder when the spool is moved', async (t) => {
  const dir = t.testdir({ spool: {} });
  const folder = await DaemonFolder.claim(join(dir, 'spool'));
  renameSync(join(dir, 'spool'), join(dir, 'moved'));
  const other = await hold(join(dir, 'moved'));
  t.equal(other.code, 'spool_locked');
  await other.kill();
  await folder.release();
});

void t.test('a spool that cannot be written is refused by name', async (t) => {
  const dir = t.testdir({ file: 'no folder' });
  await t.rejects(DaemonFolder.claim(join(dir, 'file')), { code: 'spool_unwritable' });
  await t.rejects(DaemonFolder.claim(join(dir, 'file', 'below')), { code: 'spool_unwritable' });
});
