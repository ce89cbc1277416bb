import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { usageOf } from '../ProcessUsage.js';
import { median } from '../PairedFigures.js';
import type { Party } from './Party.js';
import { recorded, type Scene } from './Scene.js';

const probeCalls = 20;
const probeMs = 4000;
/** Looks at each number of calls: one that falls into a moment in which this machine has other work says nothing about calls. */
const looks = 3;
const lookMs = 2000;
const settleMs = 2000;
/** The length of a frame: a machine whose frames come later than that at p99 holds too many calls. */
const mostMs = 20;
/** Steps towards what the processors alone would allow. */
const steps = 8;

export interface Capacity {
  /** Calls that the machine holds, party included. */
  readonly calls: number;
  /** What limits it, for people. */
  readonly because: string;
}

/**
 * How many calls the machine holds: as many as it takes until frames are late. It begins with half of what the processors would allow
 * at the price of a few calls, since two threads that can't be spread over processors, and everybody's waiting for each other, let
 * frames be late long before all of that is used.
 */
export async function calibrate(scene: Scene, party: Party): Promise<Capacity> {
  const ceiling = await affordable(scene, party);
  const groups: string[] = [];
  let capacity: Capacity = { calls: 1, because: 'of its processors' };
  for (let step = steps / 2; step <= steps; step += 1) {
    const calls = Math.floor((ceiling * step) / steps);
    const group = `probe of ${calls}`;
    groups.push(group);
    await open(scene, party, group, calls - (groups.length > 1 ? capacity.calls : 0));
    await sleep(settleMs);
    const p99Ms = median(await p99sOf(party));
    const because = `p99 is ${p99Ms.toFixed(1)} ms with ${calls}`;
    const isLate = p99Ms > mostMs;
    capacity = { calls: isLate && groups.length > 1 ? capacity.calls : calls, because };
    if (isLate) break;
  }
  for (const group of groups) await party.ask({ type: 'hangUp', group });
  return capacity;
}

async function p99sOf(party: Party): Promise<number[]> {
  const p99s: number[] = [];
  for (let look = 0; look < looks; look += 1) {
    const { relay } = await party.measure(() => sleep(lookMs));
    p99s.push(relay.quantile(0.99));
  }
  return p99s;
}

async function open(scene: Scene, party: Party, group: string, calls: number): Promise<void> {
  const order = { group, url: scene.media, accountSid: recorded, calls, overMs: 500 };
  await party.ask({ type: 'open', ...order, measured: true });
}

/** What a call costs in CPU, of all processes together and of the two threads that can't be spread over processors, says how many. */
async function affordable(scene: Scene, party: Party): Promise<number> {
  const idle = await spent(scene, party);
  await open(scene, party, 'price', probeCalls);
  await sleep(settleMs);
  const busy = await spent(scene, party);
  await party.ask({ type: 'hangUp', group: 'price' });
  const perCall = busy.map((share, at) => Math.max(1e-5, (share - (idle[at] ?? 0)) / probeCalls));
  const [all = 1, media = 1, load = 1] = perCall;
  return Math.floor(Math.min(availableParallelism() / all, 1 / media, 1 / load));
}

/** Shares of one core: all processes, the daemon's main thread, the party. */
async function spent({ daemon }: Scene, party: Party): Promise<readonly number[]> {
  const before = look(daemon.pid, party.pid);
  await sleep(probeMs);
  const after = look(daemon.pid, party.pid);
  return after.map((seconds, at) => ((seconds - (before[at] ?? 0)) * 1000) / probeMs);
}

function look(daemon: number, party: number): number[] {
  const [own, other] = [usageOf(daemon), usageOf(party)];
  const load = other.user + other.system;
  return [own.user + own.system + load, own.threads.get(daemon) ?? 0, load];
}
