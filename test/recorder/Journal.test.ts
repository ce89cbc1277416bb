import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
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

void t.test(
  'what a loss of power leaves behind the last sync is torn, and whole batches in it are read',
  async (t) => {
    const spool = t.testdir();
    const folder = join(spool, 'd', 'journal');
    const aside: string[] = [];
    const quarantine = new Quarantine(spool, ({ into }) => aside.push(into));
    const journal = new Journal(folder);
    const append = (from: number, to: number) => {
      for (let at = from; at <= to; at++) journal.append(new Uint8Array(1000).fill(at), at, at);
    };
    append(1, 3);
    await journal.sync();
    append(4, 8);
    const path = join(folder, '00000001.journal');
    const bytes = readFileSync(path);
    // The sectors that hold the header of the fifth batch, and the last one of all.
    const lost = Buffer.from(bytes);
    const header = 4 * 1032;
    lost.fill(0, Math.floor(header / 512) * 512 + 512, Math.floor(header / 512) * 512 + 1024);
    lost.fill(0, Math.floor(bytes.length / 512) * 512);
    writeFileSync(path, lost);
    const found = read(folder, undefined, quarantine);
    t.strictSame(found.firsts, [1, 2, 3, 4, 6, 7]);
    t.strictSame(found.holes, [6]);
    t.strictSame(found.warnings, ['journal_torn']);
    t.strictSame(aside, []);
    // Of what batches say was synced, nothing can be lost with the power.
    const damaged = Buffer.from(bytes);
    damaged.fill(0, 1536, 2048);
    writeFileSync(path, damaged);
    const again = read(folder, undefined, quarantine);
    t.strictSame(again.firsts, [1, 3, 4, 5, 6, 7, 8]);
    t.strictSame(again.warnings, ['journal_unreadable']);
    t.equal(aside.length, 1);
  },
);

void t.test(
  'for any sectors that are lost behind a sync, what was synced is read and nothing is damage',
  async (t) => {
    const path = join(t.testdir(), 'journal');
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 12 }),
        fc.nat({ max: 12 }),
        fc.infiniteStream(fc.boolean()),
        fc.nat({ max: 12_000 }),
        async (sizes, synced, isLost, cut) => {
          const folder = `${path}${++run}`;
          const journal = new Journal(folder);
          const file = join(folder, '00000001.journal');
          let syncedBytes = 0;
          for (const [index, size] of sizes.entries()) {
            journal.append(randomBytes(size), index + 1, index + 1);
            if (index + 1 !== synced) continue;
            await journal.sync();
            syncedBytes = statSync(file).size;
          }
          const bytes = readFileSync(file);
          for (let at = syncedBytes; at < bytes.length; at = Math.floor(at / 512) * 512 + 512)
            if (isLost.next().value) bytes.subarray(at, Math.floor(at / 512) * 512 + 512).fill(0);
          writeFileSync(file, bytes.subarray(0, Math.max(syncedBytes, bytes.length - cut)));
          const found = read(folder);
          const whole = Array.from({ length: syncedBytes > 0 ? synced : 0 }, (_, index) => index + 1);
          return (
            whole.every((sequence, index) => found.firsts[index] === sequence) &&
            found.warnings.every((code) => code === 'journal_torn') &&
            read(folder).firsts.join() === found.firsts.join()
          );
        },
      ),
      { numRuns: 60 },
    );
  },
);

void t.test('a journal of version 0.2 is read', (t) => {
  const folder = join(t.testdir(), 'journal');
  mkdirSync(folder);
  const batches = [1, 2, 3].map((sequence) => {
    const records = new Uint8Array(50).fill(sequence);
    const header = Buffer.alloc(32);
    header.write('RJ01', 'latin1');
    header.writeUInt32LE(records.length, 4);
    header.writeUInt32LE(crc32(records), 8);
    header.writeDoubleLE(sequence, 16);
    header.writeDoubleLE(sequence, 24);
    return Buffer.concat([header, records]);
  });
  writeFileSync(join(folder, '00000001.journal'), Buffer.concat(batches).subarray(0, -1));
  const found = read(folder);
  t.strictSame(found.firsts, [1, 2]);
  t.strictSame(found.warnings, ['journal_torn']);
  write(found.journal, 3, 4);
  found.journal.close();
  t.strictSame(read(folder).firsts, [1, 2, 3, 4]);
  t.end();
});

void t.test('a last segment that another daemon wrote is damage, and kept', (t) => {
  const spool = t.testdir();
  const aside: string[] = [];
  const quarantine = new Quarantine(spool, ({ into }) => aside.push(into));
  const journal = new Journal(join(spool, 'a', 'journal'));
  write(journal, 1, 2);
  journal.close();
  const folder = join(spool, 'b', 'journal');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, '00000001.journal'), readFileSync(join(spool, 'a/journal/00000001.journal')));
  const found = read(folder, undefined, quarantine);
  t.strictSame(found.firsts, []);
  t.strictSame(found.warnings, ['journal_unreadable']);
  t.equal(aside.length, 1);
  t.end();
});

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
