/*
 * Everything that we can make go wrong, under calls that are up: what does the live path notice, and what do recordings lose?
 *
 *     npm run bench:chaos -- [pairs=10] [window=5] [settle=2] [calls=n] [rows=recorder-hang,store-hangs] [short]
 *
 * Each row is one fault. Its calls go through one daemon, and windows with and without the fault alternate; `pairs` of them are
 * compared. A process of its own holds callers and bots, numbers every frame and stamps it with the time at which it is sent, in both
 * directions; afterwards every recording is compared with what was sent. Without `calls`, it is half of what this machine holds.
 *
 * Exit 1 when a relayed frame is lost or out of order, when a recording lacks anything that the row doesn't allow, when a fault didn't
 * happen, or when p99 exceeds its bound (median of the pairs). `short` is for CI: a pair of short windows per row with few calls;
 * it prints times without judging them.
 */
import { realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argument } from './argument.js';
import { calibrate } from './chaos/calibrate.js';
import type { Fault, SettingName } from './chaos/Fault.js';
import { Party } from './chaos/Party.js';
import { rowReport, type RowVerdict } from './chaos/rowReport.js';
import { runRow, type Timing } from './chaos/RowRun.js';
import { allRows } from './chaos/rows.js';
import { Scene } from './chaos/Scene.js';

const bound = { factor: 1.1, slackMs: 1 };
/** That are let in while it is found out how many this machine holds. */
const mostCalls = 1000;
const isShort = process.argv.includes('short');
const chunkSeconds = isShort ? 1 : 5;
const timing: Timing = {
  pairs: argument('pairs', isShort ? 1 : 10),
  windowMs: argument('window', isShort ? 1 : 5) * 1000,
  settleMs: isShort ? 300 : argument('settle', 2) * 1000,
  // Chunks are sealed at any time then, and not those of all calls in one second of five.
  overMs: isShort ? 400 : chunkSeconds * 1000,
  warmMs: isShort ? 600 : 5000,
};
const rows = chosenRows();
// Whatever ends the bench, nothing that it started goes on.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const dir = await mkdtemp(join(realpathSync(tmpdir()), 'reelay-chaos-'));
const party = await Party.start();
let scenes = 0;
try {
  const calls = await howManyCalls();
  const verdicts: RowVerdict[] = [];
  for (const setting of new Set(rows.map((row) => row.setting))) {
    verdicts.push(
      ...(await playSetting(
        setting,
        rows.filter((row) => row.setting === setting),
        calls,
      )),
    );
  }
  const whole = verdicts.filter(({ isWhole }) => isWhole).length;
  const inTime = verdicts.filter(({ isInTime }) => isInTime).length;
  console.log(`${verdicts.length} rows: ${whole} whole, ${inTime} in time${isShort ? ' (not judged)' : ''}`);
  process.exitCode = whole === verdicts.length && (isShort || inTime === verdicts.length) ? 0 : 1;
} finally {
  party.close();
  await rm(dir, { recursive: true, force: true });
}

async function playSetting(
  setting: SettingName,
  faults: readonly Fault[],
  calls: number,
): Promise<RowVerdict[]> {
  const scene = await openScene(setting, calls);
  const verdicts: RowVerdict[] = [];
  try {
    for (const fault of faults) {
      const fromMs = performance.now();
      const verdict = rowReport(await runRow(fault, scene, timing), bound, !isShort);
      verdicts.push(verdict);
      for (const line of verdict.lines) console.log(line);
      console.log(`  took          ${((performance.now() - fromMs) / 1000).toFixed(1)} s`);
    }
  } finally {
    await scene.close();
  }
  return verdicts;
}

async function openScene(setting: SettingName, calls: number): Promise<Scene> {
  scenes += 1;
  return await Scene.open({
    dir: join(dir, String(scenes)),
    setting,
    party,
    calls,
    storedSeconds: isShort ? 300 : 3600,
    chunkSeconds,
  });
}

async function howManyCalls(): Promise<number> {
  if (isShort || process.argv.some((text) => text.startsWith('calls='))) return argument('calls', 24);
  const scene = await openScene('log', mostCalls);
  try {
    const { calls, because } = await calibrate(scene, party);
    const half = Math.max(1, Math.floor(calls / 2));
    console.log(`this machine holds some ${calls} calls (${because}); ${half} are used`);
    return half;
  } finally {
    await scene.close();
  }
}

/** @throws RangeError for the name of no row */
function chosenRows(): Fault[] {
  const text = process.argv.find((each) => each.startsWith('rows='))?.slice('rows='.length);
  const all = allRows();
  if (text === undefined) return all;
  return text.split(',').map((name) => {
    const row = all.find((each) => each.name === name);
    if (row === undefined)
      throw new RangeError(`there is no row ${name}; there are ${all.map((each) => each.name).join(', ')}`);
    return row;
  });
}
