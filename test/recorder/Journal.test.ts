import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Journal } from '../../src/recorder/Journal.js';
import { Quarantine } from '../../src/spool/Quarantine.js';

/** Sequences of the batches that a journal gives, and the codes it warns with. */
function read(
  folder: string,
  segmentBytes?: number,
  quarantine?: Quarantine,
): { journal: Journal; firsts: number[]; holes: number[]; warnings: string[] } {
  const warnings: string[] = [];
  const journal = new Journal(folder, segmentBytes);
  const batches = [...journal.replay(({ code }) => warnings.push(code), quarantine)];
  const firsts = batches.map((batch) => batch.first);
  const holes = batches.filter(({ isAfterHole }) => isAfterHole).map((batch) => batch.first);
  return { journal, firsts, holes, warnings };
}

function write(journal: Journal, from: number, to: number): void {
  for (let sequence = from; sequence <= to; sequence++) {
    journal.append(new Uint8Array(100).fill(sequence), sequence, sequence);
  }
}

function segments(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.journal'))
    .sort();
}

void t.test('a torn end is cut off once, and what was whole is read at every later start', (t) => {
  const folder = join(t.testdir(), 'journal');
  write(new Journal(folder), 1, 3);
  appendFileSync(join(folder, '00000001.journal'), Buffer.from('RJ01 and half a batch'));
  for (const [life, warnings] of [['journal_torn'], [], []].entries()) {
    const found = read(folder);
    t.strictSame(
      found.firsts,
      Array.from({ length: 3 + life }, (_, i) => i + 1),
    );
    t.strictSame(found.warnings, warnings);
    write(found.journal, 4 + life, 4 + life);
    found.journal.close();
  }
  t.end();
});

void t.test(
  'a damaged segment is read around its damage at every later start, and kept in the quarantine once',
  (t) => {
    const spool = t.testdir();
    const folder = join(spool, 'd', 'journal');
    const aside: string[] = [];
    const quarantine = new Quarantine(spool, ({ into }) => aside.push(into));
    const journal = new Journal(folder, 300);
    write(journal, 1, 9);
    journal.close();
    const [first = ''] = segments(folder);
    const bytes = readFileSync(join(folder, first));
    const damaged = Buffer.from(bytes);
    damaged[2 * 132 + 40] = 0xff;
    writeFileSync(join(folder, first), damaged);
    for (let start = 0; start < 2; start++) {
      const found = read(folder, 300, quarantine);
      t.strictSame(found.warnings, ['journal_unreadable']);
      t.strictSame(found.firsts, [1, 2, 4, 5, 6, 7, 8, 9]);
      t.strictSame(found.holes, [4]);
    }
    const [kept = ''] = aside;
    t.equal(aside.length, 1);
    t.equal(Buffer.compare(readFileSync(join(spool, kept)), damaged), 0);
    t.end();
  },
);

void t.test('a segment that could not be begun is begun later, and none is written over', (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder, 300);
  write(journal, 1, 3);
  // The next segment's name is taken by something that no file can be opened as.
  mkdirSync(join(folder, '00000002.journal'));
  t.throws(() => write(journal, 4, 4), { code: 'EISDIR' });
  t.throws(() => write(journal, 4, 4), { code: 'EISDIR' });
  rmdirSync(join(folder, '00000002.journal'));
  write(journal, 4, 9);
  journal.close();
  t.strictSame(read(folder, 300).firsts, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  t.end();
});

void t.test('syncs that are asked for while one is under way are one', async (t) => {
  const journal = new Journal(join(t.testdir(), 'journal'));
  write(journal, 1, 1);
  const first = journal.sync();
  await Promise.resolve().then(() => undefined);
  const later = Array.from({ length: 100 }, () => journal.sync());
  t.equal(new Set(later).size, 1);
  await Promise.all([first, ...later]);
  write(journal, 2, 2);
  await journal.sync();
  journal.close();
  await journal.sync();
});

void t.test('release deletes whole segments only, never the one being written', (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder, 300);
  write(journal, 1, 9);
  t.equal(segments(folder).length, 3);
  journal.release(5);
  t.equal(journal.firstSequence, 4);
  journal.release(1000);
  t.equal(segments(folder).length, 1);
  t.ok(existsSync(folder));
  write(journal, 10, 10);
  journal.close();
  t.strictSame(read(folder).firsts, [7, 8, 9, 10]);
  t.end();
});
