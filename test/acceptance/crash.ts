import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CrashRun } from './CrashRun.js';

/*
 * Kills the daemon with -9 at random moments of running calls:
 *
 *     npm run test:crash -- [rounds] [seed]
 *
 * Exit 1 when a recording is not whole, not called interrupted, or misses more than it may.
 */
const rounds = Number(process.argv[2] ?? 50);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
console.log(`${rounds} rounds, seed ${seed}`);

const dir = await mkdtemp(join(tmpdir(), 'reelay-crash-'));
const startMs = performance.now();
const run = await CrashRun.open(dir, seed);
const missed: number[] = [];
let problems = 0;
let worstShare = 0;
try {
  for (let round = 1; round <= rounds; round += 1) {
    const { killedAtMs, twice, missedMs, delayMs, boundMs, problems: found } = await run.round();
    missed.push(...missedMs);
    problems += found.length;
    worstShare = Math.max(worstShare, ...missedMs.map((ms) => ms / boundMs));
    const how = twice ? ', and again while recovering' : '';
    console.log(
      `${round}: killed after ${killedAtMs.toFixed(0)} ms${how}: missing ` +
        `${missedMs.map((ms) => ms.toFixed(0)).join(', ')} ms of at most ${boundMs.toFixed(1)} ` +
        `(scheduling delay ${delayMs.toFixed(1)})`,
    );
    for (const problem of found) console.log(`  ${problem}`);
  }
} catch (error) {
  for (const line of run.complaints) console.log(JSON.stringify(line));
  throw error;
} finally {
  await run.close();
  await rm(dir, { recursive: true, force: true });
}
missed.sort((a, b) => a - b);
const at = (share: number): string => (missed[Math.floor(share * (missed.length - 1))] ?? NaN).toFixed(1);
console.log(
  `${missed.length} calls in ${((performance.now() - startMs) / 1000).toFixed(0)} s: missing per call median ${at(0.5)} ms, ` +
    `p90 ${at(0.9)} ms, most ${at(1)} ms, ${(worstShare * 100).toFixed(0)} % of what may be; ${problems} problems`,
);
process.exitCode = problems === 0 ? 0 : 1;
