import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DiskModel, pathsIn } from './DiskModel.js';
import { type Moment, momentsOf } from './momentsOf.js';
import type { Luck } from './FileHistory.js';
import { PowerImage } from './PowerImage.js';
import type { PowerRecording } from './PowerRecording.js';
import { sha256Of, treeProblems } from './treeProblems.js';

/** One loss of power and what came of it. */
export interface PowerReport {
  readonly layout: string;
  readonly moment: Moment;
  /** How likely what was not synced was to be there. */
  readonly luck: Luck;
  /** Null where no daemon was started. */
  readonly missedMs: readonly number[] | null;
  readonly problems: readonly string[];
}

export interface PowerReplayOptions {
  readonly moments: number;
  /** Disks per moment on which a daemon starts. */
  readonly images: number;
  /** Further disks per moment whose files are looked at without a daemon. */
  readonly glances: number;
  readonly random: () => number;
  readonly told: (report: PowerReport) => void;
  /** Runs a few daemons at once. */
  readonly run: (job: () => Promise<void>) => Promise<void>;
}

/** From everything that wasn't synced is lost to all of it is there, in any mixture of names and data. */
const shares = [0, 0.3, 0.5, 0.8, 1] as const;

let images = 0;

/** Loses power at many moments of what was recorded. */
export async function replay(recording: PowerRecording, options: PowerReplayOptions): Promise<void> {
  const { operations, dir, inode, layout } = recording;
  const { random, told } = options;
  const disk = new DiskModel(dir, inode);
  const jobs: Promise<void>[] = [];
  let done = 0;
  for (const moment of momentsOf(operations, dir, options.moments, random)) {
    for (; done < moment.done; done += 1) {
      const operation = operations[done];
      if (operation !== undefined) disk.apply(operation);
    }
    for (let image = 0; image < options.images + options.glances; image += 1) {
      const luck = luckOf(image, random);
      const tree = disk.survivor(random, luck);
      const problems = treeProblems(tree);
      if (image >= options.images) {
        told({ layout, moment, luck, missedMs: null, problems });
        continue;
      }
      const atMs = (operations[done - 1]?.endNs ?? 0) / 1e6 - clockOffsetMs();
      const place = join(dirname(dir), `disk-${String((images += 1)).padStart(6, '0')}`);
      jobs.push(
        options.run(async () => {
          const laid = new PowerImage(recording, atMs, tree, place);
          const report = await laid.judge();
          told({
            layout,
            moment,
            luck,
            missedMs: report.missedMs,
            problems: [...problems, ...report.problems],
          });
          if (report.problems.length === 0) await laid.remove();
        }),
      );
    }
    // Trees hold what they are made of in memory: not more of them than are in use.
    if (jobs.length >= 6) await Promise.race(jobs.splice(0, 3));
  }
  await Promise.all(jobs);
}

/**
 * Whether what was noted gives the files that are really there, when nothing is dropped: everything that was done has been seen.
 *
 * @returns what differs
 */
export function differences({ operations, dir, inode }: PowerRecording): string[] {
  const disk = new DiskModel(dir, inode);
  for (const operation of operations) disk.apply(operation);
  const replayed = new Map<string, string>();
  for (const [path, content] of pathsIn(disk.current))
    replayed.set(path, content === null ? '' : sha256Of(content));
  const there = new Map<string, string>();
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(dir.length + 1);
    if (entry.isDirectory()) there.set(`${path}/`, '');
    else if (entry.isFile()) there.set(path, sha256Of(readFileSync(join(dir, path))));
  }
  there.delete('reelay.json'); // written by the test
  const paths = new Set([...replayed.keys(), ...there.keys()]);
  return [...paths].filter((path) => replayed.get(path) !== there.get(path));
}

function luckOf(image: number, random: () => number): Luck {
  const some = () => shares[Math.floor(random() * shares.length)] ?? 0;
  // The first of a moment is the poorest disk, or the one whose names come before its data.
  if (image === 0) return random() < 0.5 ? { names: 0, data: 0 } : { names: 1, data: 0 };
  return { names: some(), data: some() };
}

/** What lies between the clock of the operations and `performance.now()`, ms. */
function clockOffsetMs(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now();
}
