import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { usageOf } from '../ProcessUsage.js';
import type { Party } from './Party.js';
import { recorded, type Scene } from './Scene.js';

const probeCalls = 20;
const probeMs = 4000;
const group = 'probe';

export interface Capacity {
  /** Calls that the machine holds, party included. */
  readonly calls: number;
  /** What limits it, for people. */
  readonly because: string;
}

/** Measures what a call costs in CPU, of all processes together and of the two threads that can't be spread over processors. */
export async function calibrate(scene: Scene, party: Party): Promise<Capacity> {
  const idle = await spent(scene, party);
  await party.ask({
    type: 'open',
    group,
    url: scene.media,
    accountSid: recorded,
    calls: probeCalls,
    overMs: 500,
  });
  await sleep(2000);
  const busy = await spent(scene, party);
  await party.ask({ type: 'hangUp', group });
  const perCall = busy.map((share, at) => Math.max(1e-5, (share - (idle[at] ?? 0)) / probeCalls));
  const [all = 1, media = 1, load = 1] = perCall;
  const limits = [
    {
      what: `all processes, ${(all * 100).toFixed(2)} % of a core per call`,
      calls: availableParallelism() / all,
    },
    { what: `the media thread, ${(media * 100).toFixed(2)} % of a core per call`, calls: 1 / media },
    { what: `the load itself, ${(load * 100).toFixed(2)} % of a core per call`, calls: 1 / load },
  ];
  const [least] = limits.sort((a, b) => a.calls - b.calls);
  return { calls: Math.floor(least?.calls ?? 2), because: least?.what ?? '' };
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
