import { randomBytes } from 'node:crypto';
import fs, {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
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
): { journal: Journal; firsts: number[]; holes: number[]; tears: number[]; warnings: string[] } {
  const warnings: string[] = [];
  const journal = new Journal(folder, segmentBytes);
  const batches = [...journal.replay(({ code }) => warnings.push(code), quarantine)];
  const firsts = batches.map((batch) => batch.first);
  const holes = batches.filter(({ isAfterHole }) => isAfterHole).map((batch) => batch.first);
  const tears = batches.filter(({ isAfterTear }) => isAfterTear).map((batch) => batch.first);
  return { journal, firsts, holes, tears, warnings };
}

function write(journal: Journal, from: number, to: number): void {
  for (let sequence = from; sequence <= to; sequence++) {
    journal.append([new Uint8Array(100).fill(sequence)], sequence, sequence);
  }
}

/** Bytes of a batch that {@link write} writes. */
const batchBytes = 140;

/** The numbers from one to another, both included. */
function upTo(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
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
  async (t) => {
    const spool = t.testdir();
    const folder = join(spool, 'd', 'journal');
    const aside: string[] = [];
    const quarantine = new Quarantine(spool, ({ into }) => aside.push(into));
    const journal = new Journal(folder, 300);
    write(journal, 1, 4);
    await journal.sync();
    write(journal, 5, 9);
    journal.close();
    const [first = ''] = segments(folder);
    const bytes = readFileSync(join(folder, first));
    const damaged = Buffer.from(bytes);
    damaged[2 * batchBytes + 50] = 0xff;
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
      for (let at = from; at <= to; at++) journal.append([new Uint8Array(1000).fill(at)], at, at);
    };
    append(1, 3);
    await journal.sync();
    append(4, 8);
    const path = join(folder, '00000001.journal');
    const bytes = readFileSync(path);
    // The sectors that hold the header of the fifth batch, and the last one of all.
    const lost = Buffer.from(bytes);
    const header = 4 * 1040;
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
            journal.append([randomBytes(size)], index + 1, index + 1);
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

void t.test('records that lie in several pieces are one batch, written at once', (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder);
  const pieces = [randomBytes(300), randomBytes(1), randomBytes(77)];
  journal.append(pieces, 1, 9);
  journal.append([randomBytes(50)], 10, 10);
  journal.close();
  const [first, second, ...more] = [...new Journal(folder).replay(() => t.fail('the journal is whole'))];
  t.strictSame([first?.first, first?.last, second?.first, more.length], [1, 9, 10, 0]);
  t.equal(Buffer.compare(Buffer.from(first?.records ?? []), Buffer.concat(pieces)), 0);
  t.end();
});

void t.test('a batch that is too long for one write is read as one, and what follows it, too', (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder);
  const limit = 128 * 1024;
  const batches = [[3 * limit], [limit - 40], [limit - 41, 1, 1], [1, 2 * limit, 5], [50]].map((lengths) =>
    lengths.map((length) => randomBytes(length)),
  );
  batches.forEach((pieces, index) => journal.append(pieces, index + 1, index + 1));
  journal.close();
  const read = [...new Journal(folder).replay(() => t.fail('the journal is whole'))];
  t.equal(read.length, batches.length);
  for (const [index, { records }] of read.entries())
    t.equal(Buffer.compare(Buffer.from(records), Buffer.concat(batches[index] ?? [])), 0);
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

void t.test('release deletes whole segments only, never the one being written', async (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder, 300);
  write(journal, 1, 9);
  await journal.release(5);
  t.equal(segments(folder).length, 3, 'before a sync nobody knows what a loss of power would bring back');
  await journal.sync();
  t.equal(journal.firstSequence, 1);
  await journal.release(5);
  t.equal(journal.firstSequence, 4);
  t.equal(segments(folder).length, 2);
  await journal.release(1000);
  t.equal(segments(folder).length, 1);
  t.ok(existsSync(folder));
  write(journal, 10, 10);
  journal.close();
  t.strictSame(read(folder).firsts, [7, 8, 9, 10]);
});

void t.test('a segment that is not safe yet is not deleted', async (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder, 300);
  write(journal, 1, 4);
  await journal.sync();
  write(journal, 5, 9);
  await journal.release(1000);
  t.equal(segments(folder).length, 2, 'the second one is full and waits for a sync');
  await journal.sync();
  await journal.release(1000);
  t.equal(segments(folder).length, 1);
  journal.close();
});

void t.test('what a segment held counts as there until its name is gone for good', async (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder, 300);
  write(journal, 1, 9);
  await journal.sync();
  const released = journal.release(8);
  t.equal(journal.firstSequence, 1);
  t.equal(journal.release(8), released, 'a deletion that is under way is waited for');
  await released;
  t.equal(journal.firstSequence, 7);
  write(journal, 10, 12);
  await journal.sync();
  // The disk refuses.
  const [oldest = ''] = segments(folder);
  renameSync(join(folder, oldest), join(folder, 'elsewhere'));
  mkdirSync(join(folder, oldest, 'in the way'), { recursive: true });
  await t.rejects(journal.release(10));
  t.equal(journal.firstSequence, 7);
  rmSync(join(folder, oldest), { recursive: true });
  await journal.release(0);
  t.equal(journal.firstSequence, 10);
  journal.close();
});

void t.test('segments go one by one, each for good before the next', async (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder, 300);
  write(journal, 1, 12);
  await journal.sync();
  const handle = await open(folder);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const sync = Reflect.get(prototype, 'sync');
  t.teardown(() => (prototype.sync = sync));
  const left: string[][] = [];
  prototype.sync = async function (this: FileHandle): Promise<void> {
    left.push(segments(folder));
    t.equal(journal.firstSequence, 1 + 3 * (left.length - 1));
    await sync.call(this);
  };
  await journal.release(10);
  const names = upTo(1, 4).map((number) => `0000000${number}.journal`);
  t.strictSame(left, [names.slice(1), names.slice(2), names.slice(3)]);
  t.equal(journal.firstSequence, 10);
  journal.close();
});

void t.test('nothing but closing waits for the disk on this thread', async (t) => {
  let waited = 0;
  const { fsyncSync, fdatasyncSync } = fs;
  t.teardown(() => {
    Object.assign(fs, { fsyncSync, fdatasyncSync });
    syncBuiltinESMExports();
  });
  const counted =
    (sync: (file: number) => void) =>
    (file: number): void => {
      waited += 1;
      sync(file);
    };
  Object.assign(fs, { fsyncSync: counted(fsyncSync), fdatasyncSync: counted(fdatasyncSync) });
  syncBuiltinESMExports();
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder, 300);
  write(journal, 1, 9);
  await journal.sync();
  write(journal, 10, 12);
  await journal.release(5);
  const { journal: successor, firsts } = read(folder, 300);
  t.strictSame(firsts, upTo(4, 12));
  write(successor, 13, 20);
  await successor.sync();
  await successor.release(13);
  t.equal(waited, 0);
  write(successor, 21, 30);
  successor.close();
  t.ok(waited > 0);
  t.equal(successor.syncedSequence, 30);
  journal.close();
});

void t.test('a full segment is made safe by the next sync, with all that came behind it', async (t) => {
  const folder = join(t.testdir(), 'journal');
  const journal = new Journal(folder, 300);
  write(journal, 1, 4);
  t.equal(journal.syncedSequence, 0);
  const first = journal.sync();
  write(journal, 5, 9);
  await first;
  t.ok(journal.syncedSequence <= 9);
  await journal.sync();
  t.equal(journal.syncedSequence, 9);
  write(journal, 10, 10);
  journal.close();
  const { journal: successor } = read(folder, 300);
  t.equal(successor.syncedSequence, 9, 'a successor believes what the batches say');
  await successor.sync();
  t.equal(successor.syncedSequence, 10, 'and makes safe what they say nothing of');
  successor.close();
});

void t.test('a segment before the last one may have been torn by a loss of power', async (t) => {
  const spool = t.testdir();
  const aside: string[] = [];
  const quarantine = new Quarantine(spool, ({ into }) => aside.push(into));
  /** Ten batches in four segments; only the first two were synced before the last was written. */
  const lay = async (name: string): Promise<string> => {
    const folder = join(spool, name, 'journal');
    const journal = new Journal(folder, 300);
    write(journal, 1, 2);
    await journal.sync();
    write(journal, 3, 10);
    journal.close();
    return folder;
  };
  const segment = (folder: string, number: number): string =>
    join(folder, segments(folder)[number - 1] ?? '');
  const found = (folder: string): Omit<ReturnType<typeof read>, 'journal'> => {
    const { firsts, holes, tears, warnings } = read(folder, 300, quarantine);
    return { firsts, holes, tears, warnings };
  };
  const zeros = await lay('a');
  writeFileSync(segment(zeros, 2), Buffer.alloc(3 * batchBytes));
  const torn = { holes: [7], tears: [7] };
  const once = { ...torn, firsts: [1, 2, 3, 7, 8, 9, 10], warnings: ['journal_torn'] };
  t.strictSame(found(zeros), once, 'its name and its length came to the disk');
  t.strictSame(found(zeros), { ...once, warnings: [] }, 'what was cut off is no more at the next start');
  const gone = await lay('b');
  rmSync(segment(gone, 2));
  t.strictSame(found(gone), { ...once, warnings: [] }, 'not even its name did');
  const cut = await lay('c');
  truncateSync(segment(cut, 1), 2 * batchBytes);
  t.strictSame(found(cut), { firsts: [1, 2, ...upTo(4, 10)], holes: [4], tears: [4], warnings: [] });
  t.strictSame(aside, []);
  // What was synced can't be gone with the power.
  const damaged = await lay('d');
  truncateSync(segment(damaged, 1), batchBytes);
  t.strictSame(found(damaged), { firsts: [1, ...upTo(4, 10)], holes: [4], tears: [], warnings: [] });
  const half = await lay('e');
  truncateSync(segment(half, 1), 1.5 * batchBytes);
  t.strictSame(found(half), {
    firsts: [1, ...upTo(4, 10)],
    holes: [4],
    tears: [],
    warnings: ['journal_unreadable'],
  });
  t.equal(aside.length, 1);
});

void t.test(
  'for any sectors, lengths and names that are lost behind a sync, what was synced is read and nothing is damage',
  async (t) => {
    const path = join(t.testdir(), 'journal');
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 900 }), fc.nat({ max: 4 })), {
          minLength: 1,
          maxLength: 25,
        }),
        fc.infiniteStream(fc.nat({ max: 5 })),
        async (batches, luck) => {
          const folder = `${path}${++run}`;
          const journal = new Journal(folder, 1500);
          let synced = { sequence: 0, bytes: new Map<string, number>() };
          for (const [index, [size, afterwards]] of batches.entries()) {
            journal.append([randomBytes(size)], index + 1, index + 1);
            if (afterwards > 0) continue;
            await journal.sync();
            const sizes = segments(folder).map((name) => [name, statSync(join(folder, name)).size] as const);
            synced = { sequence: index + 1, bytes: new Map(sizes) };
          }
          for (const name of segments(folder)) lose(join(folder, name), synced.bytes.get(name) ?? null, luck);
          const { journal: successor, firsts, holes, tears, warnings } = read(folder, 1500);
          successor.close();
          const again = read(folder, 1500);
          again.journal.close();
          return (
            upTo(1, synced.sequence).every((sequence, index) => firsts[index] === sequence) &&
            holes.every((sequence) => tears.includes(sequence)) &&
            warnings.every((code) => code === 'journal_torn') &&
            again.firsts.join() === firsts.join() &&
            again.holes.every((sequence) => again.tears.includes(sequence))
          );
        },
      ),
      { numRuns: 150 },
    );
  },
);

/** Loses of a file what a loss of power may take: sectors, its end, or all of it. @param synced - bytes that stay; null: not even its name */
function lose(path: string, synced: number | null, luck: fc.Stream<number>): void {
  const next = (): number => [...luck.take(1)][0] ?? 0;
  if (synced === null && next() === 0) {
    rmSync(path);
    return;
  }
  const [kept, bytes] = [synced ?? 0, readFileSync(path)];
  for (let at = kept; at < bytes.length; at = Math.floor(at / 512) * 512 + 512)
    if (next() > 2) bytes.subarray(at, Math.floor(at / 512) * 512 + 512).fill(0);
  const length = Math.round(kept + ((bytes.length - kept) * next()) / 5);
  writeFileSync(path, next() > 1 ? bytes : bytes.subarray(0, length));
}

void t.test('a journal whose segments say only how much of their own was safe is read', (t) => {
  const spool = t.testdir();
  const aside: string[] = [];
  const quarantine = new Quarantine(spool, ({ into }) => aside.push(into));
  const folder = join(spool, 'd', 'journal');
  mkdirSync(folder, { recursive: true });
  const batch = (sequence: number, syncedBytes: number): Buffer => {
    const records = new Uint8Array(100).fill(sequence);
    const header = Buffer.alloc(32);
    header.write('RJ02', 'latin1');
    header.writeUInt32LE(records.length, 4);
    header.writeUInt32LE(crc32('d'), 12);
    header.writeDoubleLE(sequence, 16);
    header.writeUInt32LE(syncedBytes, 28);
    header.writeUInt32LE(crc32(records, crc32(header.subarray(12))), 8);
    return Buffer.concat([header, records]);
  };
  const torn = batch(7, 132).subarray(0, 50);
  const last = Buffer.concat([batch(4, 0), batch(5, 0), Buffer.alloc(132), torn]);
  writeFileSync(join(folder, '00000001.journal'), Buffer.concat([1, 2, 3].map((each) => batch(each, 0))));
  writeFileSync(join(folder, '00000002.journal'), last);
  const found = read(folder, undefined, quarantine);
  t.strictSame(found.firsts, [1, 2, 3, 4, 5]);
  t.strictSame(found.warnings, ['journal_torn']);
  t.equal(found.journal.syncedSequence, 3, 'the first was synced before the second began');
  // In front of what was begun, everything was safe.
  writeFileSync(join(folder, '00000001.journal'), Buffer.concat([batch(1, 0), batch(2, 0), torn]));
  const damaged = read(folder, undefined, quarantine);
  t.strictSame(damaged.firsts, [1, 2, 4, 5]);
  t.strictSame(damaged.holes, [4]);
  t.strictSame(damaged.tears, []);
  t.strictSame(damaged.warnings, ['journal_unreadable']);
  t.equal(aside.length, 1);
  t.end();
});
