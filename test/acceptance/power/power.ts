import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { randomFrom } from '../randomFrom.js';
import { compileShim, type Layout, type PowerRecording, recordLife } from './PowerRecording.js';
import { differences, type PowerReport, replay } from './PowerReplay.js';

/*
 * Loses power at many moments of running calls, starts the daemon on what a disk may then hold, and looks for what is missing:
 *
 *     npm run test:power -- [moments] [seed] [images]
 *
 * Exit 1 when a daemon finds something that it can't read, or a recording misses more than it may. Its own folder stays then.
 */
const moments = Number(process.argv[2] ?? 16);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const images = Number(process.argv[4] ?? 1);
const glances = 8;
const layouts: readonly Layout[] = ['chunks', 'both', 'single'];
/** Daemons at once: they wait for their disks half of the time. */
const atOnce = 3;
// Whatever ends it, no daemon goes on.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
console.log(`${moments} moments, ${images} daemons on disks of each, ${glances} disks more; seed ${seed}`);

const dir = await mkdtemp(join(tmpdir(), 'reelay-power-'));
const beganMs = performance.now();
let [problems, disks, glanced] = [0, 0, 0];
const missed: number[] = [];

function tell({ layout, moment, luck, missedMs, problems: found }: PowerReport): void {
  if (missedMs === null) glanced += 1;
  else disks += 1;
  missed.push(...(missedMs ?? []));
  problems += found.length;
  if (found.length === 0) return;
  console.log(
    `${layout}, ${moment.why} (operation ${moment.done}), names ${luck.names}, data ${luck.data}` +
      (missedMs === null ? ', not started:' : ':'),
  );
  for (const problem of found.slice(0, 6)) console.log(`  ${problem}`);
}

const recordings: PowerRecording[] = [];
try {
  const shim = await compileShim(dir);
  const places = layouts.map((layout, index) => [layout, join(dir, `disk-r0000${index}`)] as const);
  recordings.push(...(await Promise.all(places.map(([layout, place]) => recordLife(layout, place, shim)))));
  for (const recording of recordings) {
    const { layout, operations, boundMs, delayMs, slowestSyncMs, calls } = recording;
    const differing = differences(recording);
    problems += differing.length;
    console.log(
      `${layout}: ${calls.length} calls, ${operations.length} file operations, replayed ` +
        `${differing.length === 0 ? 'exactly' : `otherwise: ${differing.slice(0, 5).join(', ')}`}; may miss ` +
        `${boundMs.toFixed(0)} ms (scheduling delay ${delayMs.toFixed(0)}, slowest sync ${slowestSyncMs.toFixed(0)})`,
    );
  }
  const random = randomFrom(seed);
  const limit = pLimit(atOnce);
  const run = (job: () => Promise<void>) => limit(job);
  for (const [index, recording] of recordings.entries()) {
    const share =
      Math.floor((moments * (index + 1)) / layouts.length) - Math.floor((moments * index) / layouts.length);
    await replay(recording, { moments: share, images, glances, random, run, told: tell });
  }
} finally {
  if (problems === 0) await rm(dir, { recursive: true, force: true });
  else console.log(`see ${dir}`);
}
missed.sort((a, b) => a - b);
const at = (share: number): string => (missed[Math.floor(share * (missed.length - 1))] ?? NaN).toFixed(0);
console.log(
  `${disks} starts and ${glanced} more disks in ${((performance.now() - beganMs) / 1000).toFixed(0)} s: missing per recording ` +
    `median ${at(0.5)} ms, p90 ${at(0.9)} ms, most ${at(1)} ms; ${problems} problems`,
);
process.exitCode = problems === 0 ? 0 : 1;
