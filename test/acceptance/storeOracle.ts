import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dieAtEveryStep, killPointsOf, type KillPointCase } from './killPoints.js';
import { openBackend } from './openBackend.js';
import { playSchedules, type OracleBatch } from './playSchedules.js';

/*
 * Holds the upload path to its promise: after any faults of the store and any deaths of the daemon, every sample that it had
 * acknowledged lies in its account's bucket, once and at its place.
 *
 *     npm run test:store -- [schedules] [firstSeed]
 *
 * Against the gateway that `REELAY_GATEWAY` names (see `.ci/gateway`), else against the tests' own S3 server. Exit 1 when
 * anything is missing, left over, or in the wrong place, and when a step of the upload path was never died at.
 */
const schedules = Number(process.argv[2] ?? 60);
/** Other schedules every day, and the same all day long. */
const firstSeed = Number(
  process.argv[3] ?? Number(new Date().toISOString().slice(2, 10).replaceAll('-', '')) * 1000,
);
/** Schedules in one daemon, and daemons at once. */
const [width, daemons] = [10, 2];

const backend = await openBackend();
const dir = await mkdtemp(join(tmpdir(), 'reelay-store-'));
const fromMs = performance.now();
console.log(`${schedules} schedules from seed ${firstSeed} on, against ${backend.name}`);
let problems = 0;
try {
  const cases = Object.keys(killPointsOf) as KillPointCase[];
  await inTurns(cases, daemons, async (kind) => {
    const report = await dieAtEveryStep(kind, backend, join(dir, kind));
    console.log(`${kind}: died at ${report.reached.length} steps: ${report.reached.join(', ')}`);
    tell(report.problems);
  });
  console.log(`every step: ${seconds()} s`);
  const batches = Array.from({ length: Math.ceil(schedules / width) }, (_none, batch) =>
    Array.from(
      { length: Math.min(width, schedules - batch * width) },
      (_each, at) => firstSeed + batch * width + at,
    ),
  );
  await inTurns(batches, daemons, async (seeds) => {
    const batch = await playSchedules(seeds, backend, join(dir, `seeds-${seeds[0] ?? 0}`));
    say(batch);
    tell(batch.problems);
  });
} finally {
  await backend.close();
  await rm(dir, { recursive: true, force: true });
}
console.log(`${schedules} schedules and every step in ${seconds()} s: ${problems} problems`);
process.exitCode = problems === 0 ? 0 : 1;

function say(batch: OracleBatch): void {
  const { seeds, layout, chunkSeconds, deaths, calls, samples, requests, settledMs } = batch;
  const faults = [...batch.faults].map(([name, count]) => `${count} ${name}`).join(', ');
  console.log(
    `seeds ${seeds[0]} to ${seeds.at(-1)}: ${layout} of ${chunkSeconds} s, ${calls} calls, ${(samples / 1e6).toFixed(1)} M samples, ` +
      `died ${deaths.join(', ')}; ${requests} requests, faults: ${faults}; ` +
      `settled in ${(settledMs / 1000).toFixed(1)} s, ${batch.seconds.toFixed(1)} s in all`,
  );
}

function tell(found: readonly string[]): void {
  problems += found.length;
  for (const problem of found) console.log(`  PROBLEM ${problem}`);
}

/** Works through a list, so many at once. */
async function inTurns<T>(
  list: readonly T[],
  atOnce: number,
  work: (each: T) => Promise<void>,
): Promise<void> {
  const waiting = [...list];
  const hands = Array.from({ length: atOnce }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next);
  });
  await Promise.all(hands);
}

function seconds(): string {
  return ((performance.now() - fromMs) / 1000).toFixed(0);
}
