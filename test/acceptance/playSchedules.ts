import { setTimeout as sleep } from 'node:timers/promises';
import { uploadSteps } from '../../src/storage/UploadStep.js';
import { faultSchedule, weatherFrom } from './faultSchedule.js';
import { randomFrom } from './randomFrom.js';
import type { StoreBackend } from './StoreBackend.js';
import { StoreRun, type CallShape, type Tenant } from './StoreRun.js';

/** Schedules that went through one daemon, and what came of them. */
export interface OracleBatch {
  readonly seeds: readonly number[];
  readonly layout: string;
  readonly chunkSeconds: number;
  /** How each life but the last was ended. */
  readonly deaths: readonly string[];
  readonly calls: number;
  readonly samples: number;
  /** Requests that met a fault, by fault. */
  readonly faults: ReadonlyMap<string, number>;
  readonly requests: number;
  /** From the last fault until the spool was empty, ms. */
  readonly settledMs: number;
  readonly seconds: number;
  readonly problems: readonly string[];
}

/** Lives of the daemon; the last one ends well. */
const lives = 4;
const layouts = ['chunks', 'single', 'both'] as const;
/** The third makes chunks of 48 kHz larger than a part. */
const chunkLengths = [2, 5, 30];
/** Retries wait up to two seconds at most instead of a minute, and parked accounts ten instead of five minutes. */
const clockSpeed = 30;

/**
 * Plays some schedules, each an account with its own bucket, faults and calls, side by side through one daemon, which is killed
 * again and again meanwhile: at random moments and at random steps of the upload path. Then the faults stop.
 */
export async function playSchedules(
  seeds: readonly number[],
  backend: StoreBackend,
  dir: string,
): Promise<OracleBatch> {
  const [first = 0] = seeds;
  const random = spread(-first);
  // In turn, so that a run of some batches has them all.
  const layout = layouts[Math.floor(first / 10) % layouts.length] ?? 'single';
  const chunkSeconds = pick(chunkLengths, random);
  const fromMs = performance.now();
  const tenants = seeds.map((seed) => `s${seed}`);
  const run = await StoreRun.open({ dir, backend, layout, chunkSeconds, tenants, clockSpeed });
  try {
    const randoms = seeds.map(spread);
    const deaths: string[] = [];
    for (let life = 1; life < lives; life += 1) deaths.push(await liveAndDie(run, randoms, random));
    await run.live();
    speak(run, randoms, true);
    await run.hungUp();
    const settlingMs = performance.now();
    await run.settle();
    const settledMs = performance.now() - settlingMs;
    const problems = await run.judge();
    const calls = run.tenants.flatMap((tenant) => tenant.calls);
    return {
      seeds,
      layout,
      chunkSeconds,
      deaths,
      calls: calls.length,
      samples: calls.reduce((sum, { required }) => sum + required, 0),
      faults: faultsOf(run),
      requests: run.proxy.journal.length,
      settledMs,
      seconds: (performance.now() - fromMs) / 1000,
      problems,
    };
  } catch (error) {
    for (const line of run.daemon.logged(40).slice(-20)) console.log(JSON.stringify(line));
    throw error;
  } finally {
    await run.close();
  }
}

/** @returns how the life ended */
async function liveAndDie(
  run: StoreRun,
  randoms: readonly (() => number)[],
  random: () => number,
): Promise<string> {
  const step = random() < 0.6 ? `${pick(uploadSteps, random)}:${1 + Math.floor(random() * 6)}` : undefined;
  const lifeMs = 1500 + random() * 2500;
  for (const [index, tenant] of run.tenants.entries()) {
    const own = randoms[index] ?? random;
    run.proxy.spoil(tenant.access.bucket, faultSchedule(weatherFrom(own), own));
  }
  if (await run.live(step)) {
    speak(run, randoms, false);
    await Promise.race([sleep(lifeMs), run.daemon.gone()]);
  }
  const atStep = step !== undefined && !run.daemon.alive;
  await run.die();
  return atStep ? step : `after ${lifeMs.toFixed(0)} ms`;
}

/** @param always - every account has at least one call */
function speak(run: StoreRun, randoms: readonly (() => number)[], always: boolean): void {
  for (const [index, tenant] of run.tenants.entries()) {
    const random = randoms[index] ?? Math.random;
    const count = Math.floor(random() * 3);
    for (let call = 0; call < Math.max(count, always ? 1 : 0); call += 1) begin(run, tenant, random);
  }
}

function begin(run: StoreRun, tenant: Tenant, random: () => number): void {
  run.call(tenant, shapeFrom(random));
}

/** Most calls are small; one in five is long enough for an upload in several parts. */
function shapeFrom(random: () => number): CallShape {
  const record = random() < 0.3;
  if (random() < 0.2) {
    return { record, sampleRate: 48_000, seconds: 30 + Math.floor(random() * 30), speed: 12 };
  }
  const sampleRate = pick([8000, 8000, 16_000], random);
  return { record, sampleRate, seconds: 2 + Math.floor(random() * 12), speed: 5 };
}

function faultsOf(run: StoreRun): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { fault } of run.proxy.journal) {
    if (fault !== null) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  }
  return counts;
}

/** Neighbouring seeds are spread out first, so that what is drawn from them has nothing in common. */
function spread(seed: number): () => number {
  let mixed = Math.imul(seed ^ (seed >>> 16), 0x7feb_352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846c_a68b);
  return randomFrom(mixed ^ (mixed >>> 16));
}

function pick<T>(from: readonly T[], random: () => number): T {
  const chosen = from[Math.floor(random() * from.length)];
  if (chosen === undefined) throw new RangeError('nothing to choose from');
  return chosen;
}
