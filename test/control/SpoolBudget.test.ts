import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type Disk, SpoolBudget } from '../../src/control/uploads/SpoolBudget.js';
import type { RecordingProgress } from '../../src/spool/SpoolEvent.js';
import { fabricateRecording } from '../fixtures/recording.js';

const MiB = 2 ** 20;

/** A budget over a real folder on a made-up disk, and what it told and asked. */
class Bench {
  readonly dir: string;
  limits: { maxBytes: number; minFreeBytes: number | null } = { maxBytes: 100 * MiB, minFreeBytes: 0 };
  disk: Disk = { free: 1000 * MiB, size: 1000 * MiB };
  relieve: () => Promise<number> = () => Promise.resolve(0);
  readonly told: string[] = [];
  readonly budget: SpoolBudget;

  constructor(dir: string) {
    this.dir = dir;
    this.budget = new SpoolBudget({
      spoolDir: dir,
      limits: () => this.limits,
      disk: () => Promise.resolve(this.disk),
      relieve: async () => {
        this.told.push('relieve');
        return await this.relieve();
      },
      changed: (isFull) => void this.told.push(isFull ? 'full' : 'room'),
    });
  }

  /** A file of so many bytes, which take no room on the real disk. */
  async put(name: string, bytes: number): Promise<void> {
    const path = join(this.dir, name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, '');
    await truncate(path, bytes);
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.dir, name), { recursive: true });
  }
}

const folder = 'AC1/20261120/CA1/r1';

function progress(samples: number): RecordingProgress {
  return { recordingId: 'r1', folder, samples, peaks: [] };
}

await t.test('everything in the spool counts: recordings, journals and what nobody knows', async (t) => {
  const bench = new Bench(t.testdir({}));
  await bench.put(`${folder}/0-audio.wav`, 1000);
  await bench.put(`${folder}/manifest.json`, 200);
  await bench.put('.reelay/d/journal/1.journal', 30);
  await bench.put('AC1/stray', 4);
  await bench.budget.look();
  t.equal(bench.budget.bytes, 1234);
  t.equal(bench.budget.left, 100 * MiB - 1234);
  t.strictSame(bench.told, ['room'], 'whoever comes after a successor of this thread hears it anyway');
});

await t.test(
  'between two walks only what somebody named is measured, and growing chunks are counted',
  async (t) => {
    const bench = new Bench(t.testdir({}));
    await bench.put(`${folder}/0-audio.wav.open`, 1000);
    await bench.budget.look();
    bench.budget.progressed(progress(250));
    await bench.budget.look();
    bench.budget.progressed(progress(8250));
    t.equal(bench.budget.bytes, 1000 + 8000 * 4, 'at once, and without looking');
    await bench.put(`${folder}/0-audio.wav.open`, 33_044);
    await bench.put('AC1/20261120/CA1/r2/0-audio.wav', 500);
    await bench.put('.reelay/d/journal/1.journal', 77);
    await bench.budget.look();
    t.equal(
      bench.budget.bytes,
      33_000 + 77,
      'the journals are looked at each time, the unnamed folder is not',
    );
    bench.budget.touched(folder);
    bench.budget.touched('AC1/20261120/CA1/r2');
    await bench.budget.look();
    t.equal(bench.budget.bytes, 33_044 + 500 + 77, 'what was measured replaces what was counted');
    await bench.remove(folder);
    bench.budget.touched(folder);
    await bench.budget.look();
    t.equal(bench.budget.bytes, 577);
  },
);

await t.test('a walk corrects whatever was missed', async (t) => {
  const bench = new Bench(t.testdir({}));
  const { folder: path } = await fabricateRecording(bench.dir, { chunks: 2, samplesPerChunk: 80 });
  await bench.budget.look();
  const before = bench.budget.bytes;
  await rm(join(path, '0-audio.wav'));
  await bench.put(`${folder}/9-audio.wav`, 10_000);
  await bench.budget.look();
  t.equal(bench.budget.bytes, before);
  await bench.budget.walk();
  t.equal(bench.budget.bytes, before - (44 + 80 * 4) + 10_000);
});

await t.test(
  'copies go first, recording is refused only after that, and resumes with room to spare',
  async (t) => {
    const bench = new Bench(t.testdir({}));
    await bench.put(`${folder}/0-audio.wav`, 60 * MiB);
    await bench.put(`${folder}/1-audio.wav`, 40 * MiB);
    bench.relieve = async () => {
      await bench.remove(`${folder}/0-audio.wav`);
      return 60 * MiB;
    };
    await bench.budget.look();
    t.strictSame(bench.told, ['relieve', 'room'], 'dropping copies was enough');
    bench.relieve = () => Promise.resolve(0);
    await bench.put(`${folder}/2-audio.wav`, 60 * MiB);
    bench.budget.touched(folder);
    await bench.budget.look();
    t.strictSame(bench.told.splice(0), ['relieve', 'room', 'relieve', 'full']);
    t.equal(bench.budget.isFull, true);
    t.equal(bench.budget.left, 0);
    await bench.put(`${folder}/1-audio.wav`, 36 * MiB);
    bench.budget.touched(folder);
    await bench.budget.look();
    t.strictSame(bench.told, [], 'below the budget, but not by a twentieth');
    await bench.put(`${folder}/1-audio.wav`, 34 * MiB);
    bench.budget.touched(folder);
    await bench.budget.look();
    t.strictSame(bench.told, ['room']);
  },
);

await t.test(
  'the disk has a floor: what is configured, or a twentieth of it and at most a GiB',
  async (t) => {
    const bench = new Bench(t.testdir({}));
    bench.limits = { maxBytes: 1000 * MiB, minFreeBytes: 50 * MiB };
    bench.disk = { free: 60 * MiB, size: 1000 * MiB };
    await bench.budget.look();
    t.equal(bench.budget.left, 10 * MiB);
    bench.disk = { free: 50 * MiB, size: 1000 * MiB };
    await bench.budget.look();
    bench.disk = { free: 52 * MiB, size: 1000 * MiB };
    await bench.budget.look();
    t.strictSame(bench.told.splice(0), ['room', 'relieve', 'full'], 'a little above is not enough');
    bench.disk = { free: 53 * MiB, size: 1000 * MiB };
    await bench.budget.look();
    t.strictSame(bench.told.splice(0), ['room']);
    bench.limits = { maxBytes: 1000 * MiB, minFreeBytes: null };
    t.equal(bench.budget.left, 3 * MiB, 'a twentieth');
    bench.disk = { free: 1100 * MiB, size: 100_000 * MiB };
    await bench.budget.look();
    t.equal(bench.budget.left, 76 * MiB, 'a GiB');
    bench.limits = { maxBytes: 1000 * MiB, minFreeBytes: 0 };
    bench.disk = { free: 0, size: 1000 * MiB };
    await bench.budget.look();
    t.equal(bench.budget.isFull, false, 'a floor of 0 is none');
  },
);

await t.test('a configuration that was read anew counts at the next look', async (t) => {
  const bench = new Bench(t.testdir({}));
  await bench.put(`${folder}/0-audio.wav`, 60 * MiB);
  await bench.budget.look();
  bench.limits = { ...bench.limits, maxBytes: 50 * MiB };
  await bench.budget.look();
  bench.limits = { ...bench.limits, maxBytes: 80 * MiB };
  await bench.budget.look();
  t.strictSame(bench.told, ['room', 'relieve', 'full', 'room']);
});

await t.test('a spool that is not there yet is empty', async (t) => {
  const bench = new Bench(join(t.testdir({}), 'later'));
  await bench.budget.look();
  t.equal(bench.budget.bytes, 0);
});
