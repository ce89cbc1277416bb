import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { textTable } from '../../src/cli/textTable.js';
import { crashPhases, type CrashRound } from './CrashLane.js';
import { CrashRun } from './CrashRun.js';

/*
 * Kills daemons with -9 at random moments of running calls, several daemons side by side:
 *
 *     npm run test:crash -- [kills] [seed] [lanes]
 *
 * Exit 1 when a recording is not whole, not called interrupted, or misses more than it may. The seed gives the same phases and
 * the same moments again, as far as the machine's scheduler lets it. Ctrl-C ends it after the rounds that are under way.
 */
const wanted = Number(process.argv[2] ?? 50);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const lanes = Number(process.argv[4] ?? 5);
console.log(`${wanted} kills, seed ${seed}, ${lanes} daemons side by side`);

const dir = await mkdtemp(join(tmpdir(), 'reelay-crash-'));
const startMs = performance.now();
const run = await CrashRun.open(dir, seed, lanes);
process.once('SIGINT', () => run.stop());
const rounds: CrashRound[] = [];

function tell(round: CrashRound): void {
  rounds.push(round);
  const { phase, killedAtMs, missedMs, boundMs, delayMs, problems } = round;
  if (problems.length > 0 || rounds.length % 50 === 0)
    console.log(
      `${rounds.length}: ${phase}, killed after ${killedAtMs.toFixed(0)} ms: missing ` +
        `${missedMs.map((ms) => ms.toFixed(0)).join(', ')} ms of at most ${boundMs.toFixed(1)} ` +
        `(delay of scheduler and disk ${delayMs.toFixed(1)})`,
    );
  for (const problem of problems) console.log(`  ${problem}`);
}

try {
  await run.kill(wanted, tell);
} catch (error) {
  for (const line of run.complaints.slice(-50)) console.log(JSON.stringify(line));
  throw error;
} finally {
  await run.close();
  await rm(dir, { recursive: true, force: true });
}

const rows = [...crashPhases, 'all'].map((phase) => {
  const of = rounds.filter((round) => phase === 'all' || round.phase === phase);
  const missed = of.flatMap(({ missedMs }) => missedMs).sort((a, b) => a - b);
  const at = (share: number): string => (missed[Math.floor(share * (missed.length - 1))] ?? NaN).toFixed(1);
  const share = Math.max(0, ...of.flatMap(({ missedMs, boundMs }) => missedMs.map((ms) => ms / boundMs)));
  const kills = of.reduce((sum, round) => sum + round.kills, 0);
  const problems = of.reduce((sum, round) => sum + round.problems.length, 0);
  return [phase, kills, missed.length, at(0.5), at(0.9), at(1), `${(share * 100).toFixed(0)} %`, problems];
});
const heading = [
  'killed while',
  'kills',
  'calls',
  'missing ms: median',
  'p90',
  'most',
  'of its bound',
  'problems',
];
console.log(textTable([heading, ...rows.map((row) => row.map(String))]));
const restarts = rounds.flatMap(({ restartMs }) => restartMs ?? []).sort((a, b) => a - b);
const [middle, longest] = [restarts[restarts.length >> 1] ?? NaN, restarts.at(-1) ?? NaN];
console.log(
  `the recorder was replaced within ${middle.toFixed(0)} ms (median), ${longest.toFixed(0)} ms at most, ` +
    `as far as it was seen (${restarts.length} times)`,
);
const problems = rounds.reduce((sum, round) => sum + round.problems.length, 0);
const tookSeconds = ((performance.now() - startMs) / 1000).toFixed(0);
console.log(`${tookSeconds} s, seed ${seed}: ${problems === 0 ? 'no problems' : `${problems} problems`}`);
process.exitCode = problems === 0 ? 0 : 1;
