/*
 * What recording costs the live path: the same calls through one daemon, by turns of an account that is recorded and of one that
 * isn't (`record: never`).
 *
 *     npm run bench:recording -- [pairs=10] [window=5] [calls=n] [chunk=60]
 *
 * Latency is measured from outside, as in `chaos.ts`; CPU is that of the threads that relay, main and, on the fast path, the one that
 * moves frames (schedstat in proc(5)). Without `calls`, it is half of what this machine holds. Exit 1 when a frame is lost or out of
 * order, or when, in the median of the pairs, p99 is more than 1.05 times what it is without recording and more than 0.5 ms above it,
 * or the CPU more than 1.10 times.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { argument } from './argument.js';
import { calibrate } from './chaos/calibrate.js';
import { frameProblems } from './chaos/frameProblems.js';
import { type Estimate, excess, median, type Paired, ratio } from './PairedFigures.js';
import { type LatencyWindow, Party } from './chaos/Party.js';
import { recorded, Scene, unrecorded } from './chaos/Scene.js';

const bound = { factor: 1.05, slackMs: 0.5, cpuFactor: 1.1 };
const [pairs, windowMs] = [argument('pairs', 10), argument('window', 5) * 1000];
const settleMs = 2000;
const group = 'measured';
/** As native/live/loop.cpp calls it. */
const framesThread = 'reelay-frames';

interface Arm {
  readonly latency: LatencyWindow;
  /** Of the threads that relay, share of a core. */
  readonly cpu: number;
}

interface Pair {
  readonly off: Arm;
  readonly on: Arm;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const dir = await mkdtemp(join(tmpdir(), 'reelay-recording-'));
const party = await Party.start();
const scene = await Scene.open({
  dir: join(dir, 'scene'),
  setting: 'plain',
  party,
  calls: 1000,
  storedSeconds: 10,
  chunkSeconds: argument('chunk', 60),
});
const problems: string[] = [];
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  await scene.close();
  party.close();
  await rm(dir, { recursive: true, force: true });
}

async function run(): Promise<boolean> {
  const calls = await howManyCalls();
  const done: Pair[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    // Which comes first changes, so that whatever drifts favours neither.
    const first = await arm(pair % 2 === 0 ? unrecorded : recorded, calls);
    const second = await arm(pair % 2 === 0 ? recorded : unrecorded, calls);
    done.push(pair % 2 === 0 ? { off: first, on: second } : { off: second, on: first });
  }
  return report(done, calls);
}

async function howManyCalls(): Promise<number> {
  if (process.argv.some((text) => text.startsWith('calls='))) return argument('calls', 24);
  const { calls, because } = await calibrate(scene, party);
  await scene.allStored();
  const half = Math.max(1, Math.floor(calls / 2));
  console.log(`this machine holds some ${calls} calls (${because}); ${half} are used`);
  return half;
}

async function arm(accountSid: string, calls: number): Promise<Arm> {
  const order = { group, url: scene.media, accountSid, calls, overMs: 1000, measured: true };
  const { up } = await party.ask({ type: 'open', ...order });
  if (up !== calls) problems.push(`${up} of ${calls} calls are up`);
  await sleep(settleMs);
  const [beforeNs, fromMs] = [relayCpuNs(), performance.now()];
  const latency = await party.measure(() => sleep(windowMs));
  const cpu = (relayCpuNs() - beforeNs) / 1e6 / (performance.now() - fromMs);
  for (const each of await party.ask({ type: 'hangUp', group })) problems.push(...frameProblems(each));
  // The other arm begins when nothing of this one is left to do.
  await scene.allStored();
  return { latency, cpu };
}

/** CPU time of the daemon's threads that relay, ns. */
function relayCpuNs(): number {
  const tasks = `/proc/${scene.daemon.pid}/task`;
  return readdirSync(tasks)
    .filter((id) => id === String(scene.daemon.pid) || nameOf(`${tasks}/${id}`) === framesThread)
    .reduce((sum, id) => sum + Number(readFileSync(`${tasks}/${id}/schedstat`, 'utf8').split(' ')[0]), 0);
}

function nameOf(task: string): string {
  return readFileSync(`${task}/comm`, 'utf8').trim();
}

function report(done: readonly Pair[], calls: number): boolean {
  const quantiles = (share: number) =>
    done.map(({ off, on }) => ({
      base: off.latency.relay.quantile(share),
      other: on.latency.relay.quantile(share),
    }));
  const cpu = done.map(({ off, on }) => ({ base: off.cpu, other: on.cpu }));
  const over = excess(quantiles(0.99), bound.factor, bound.slackMs);
  const times = ratio(cpu);
  const isInTime = over.value <= 0;
  const isCheap = times.value <= bound.cpuFactor;
  const shift = (values: readonly Paired[], digits: number): string =>
    `${median(values.map(({ base }) => base)).toFixed(digits)} → ${median(values.map(({ other }) => other)).toFixed(digits)}`;
  console.log(
    [
      `${calls} calls, ${done.length} pairs of ${windowMs / 1000} s, without → with recording`,
      `  relay, ms     p50 ${shift(quantiles(0.5), 2)}   p99 ${shift(quantiles(0.99), 2)}   p99.9 ${shift(quantiles(0.999), 2)}`,
      `  p99           × ${told(ratio(quantiles(0.99)))}; beyond its bound by ${told(over)} ms: ${isInTime ? 'in time' : 'LATE'}`,
      `  live path     ${shift(cpu, 3)} of a core, × ${told(times)}: ${isCheap ? 'within' : 'BEYOND'} ${bound.cpuFactor} ×`,
      ...problems.slice(0, 8).map((problem) => `  PROBLEM       ${problem}`),
    ].join('\n'),
  );
  return isInTime && isCheap && problems.length === 0;
}

function told({ value, low, high }: Estimate): string {
  const interval = Number.isNaN(low) ? '' : ` [${low.toFixed(2)}, ${high.toFixed(2)}]`;
  return value.toFixed(2) + interval;
}
