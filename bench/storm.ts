/*
 * What the calls that are up notice of many that arrive: a daemon that records, calls that run through all of it, and in every
 * second window a storm of new calls. Windows come in pairs, a calm one and one with a storm, in random order.
 *
 *     npm run bench:storm -- [calls=40] [arrivals=200] [within=1000] [pairs=10]
 *
 * `within` is the time in which they arrive, ms; 1 is all at once. Exit 1 when a frame is lost or out of order, or an arrival is
 * not answered. Times are printed and not judged.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { argument } from './argument.js';
import type { PartyOrder, RunningReport, StormReport } from './stormParty.js';

const calls = argument('calls', 40);
const arrivals = argument('arrivals', 200);
const withinMs = argument('within', 1000);
const pairs = argument('pairs', 10);
/** The arrivals of a window have a second in which to come, and half of one until all are answered. */
const windowMs = 1500;
const settleMs = 1500;

const dir = await mkdtemp(join(tmpdir(), 'reelay-storm-'));
const running = party('running');
const storm = party('storm');
const [[runningBot], [stormBot]] = (await Promise.all([
  once(running, 'message'),
  once(storm, 'message'),
])) as [[string], [string]];
// Whoever makes the storm shares this machine, and must not take the time of those who are measured.
setPriority(storm.pid ?? 0, constants.priority.PRIORITY_LOW);
const accounts = [
  { id: 'running', upstream: runningBot, resumeSeconds: 0 },
  { id: 'storm', upstream: stormBot, resumeSeconds: 0 },
];
const daemon = await DaemonProcess.start({ dir, accounts, calls: calls + 2 * arrivals });
try {
  process.exitCode = (await bench()) ? 0 : 1;
} finally {
  running.kill('SIGKILL');
  storm.kill('SIGKILL');
  await daemon.kill('SIGKILL');
  await rm(dir, { recursive: true, force: true });
}

interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

async function bench(): Promise<boolean> {
  tell(running, { type: 'start', url: daemon.media('/twilio/running'), calls });
  await once(running, 'message');
  // Once for the code to be compiled.
  await stormWindow();
  const calm: Figures[] = [];
  const stormy: Figures[] = [];
  let refused = 0;
  let misplaced = 0;
  const setups: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const isStormFirst = Math.random() < 0.5;
    for (const isStorm of [isStormFirst, !isStormFirst]) {
      const { report, arrived } = isStorm ? await stormWindow() : await calmWindow();
      (isStorm ? stormy : calm).push(figuresOf(report.latencies));
      misplaced = report.misplaced;
      refused += arrived?.refused ?? 0;
      setups.push(...(arrived?.setups ?? []));
    }
  }
  console.log(
    `${calls} calls up; ${arrivals} arrive within ${withinMs} ms; ${pairs} pairs of windows; ms, medians of windows`,
  );
  print('calm', calm);
  print('storm', stormy);
  const differences = stormy.map(({ p99 }, pair) => p99 - (calm[pair]?.p99 ?? NaN)).sort(ascending);
  console.log(
    `p99, storm less calm, by pairs: median ${ms(quantile(differences, 0.5))}, from ${ms(differences[0])} to ${ms(differences.at(-1))}`,
  );
  setups.sort(ascending);
  console.log(
    `from an arrival's dial to its start at the bot: p50 ${ms(quantile(setups, 0.5))}, p99 ${ms(quantile(setups, 0.99))} of ${setups.length}`,
  );
  console.log(`${refused} arrivals refused, ${misplaced} frames lost or out of order`);
  return refused === 0 && misplaced === 0 && setups.length === pairs * arrivals;
}

async function calmWindow(): Promise<{ report: RunningReport; arrived?: StormReport }> {
  await sleep(settleMs);
  tell(running, { type: 'window' });
  await sleep(windowMs);
  return { report: await report() };
}

async function stormWindow(): Promise<{ report: RunningReport; arrived?: StormReport }> {
  await sleep(settleMs);
  const arrived = once(storm, 'message') as Promise<[StormReport]>;
  tell(running, { type: 'window' });
  tell(storm, { type: 'arrive', url: daemon.media('/twilio/storm'), calls: arrivals, withinMs });
  await sleep(windowMs);
  return { report: await report(), arrived: (await arrived)[0] };
}

async function report(): Promise<RunningReport> {
  const answer = once(running, 'message') as Promise<[RunningReport]>;
  tell(running, { type: 'report' });
  return (await answer)[0];
}

function tell(party: ChildProcess, order: PartyOrder): void {
  party.send(order);
}

function figuresOf(latencies: readonly number[]): Figures {
  const sorted = [...latencies].sort(ascending);
  return {
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    p999: quantile(sorted, 0.999),
    max: sorted.at(-1) ?? NaN,
  };
}

function print(name: string, windows: readonly Figures[]): void {
  const median = (pick: (figures: Figures) => number): string =>
    ms(quantile(windows.map(pick).sort(ascending), 0.5)).padStart(8);
  console.log(
    `${name.padEnd(6)} p50 ${median(({ p50 }) => p50)}  p99 ${median(({ p99 }) => p99)}  ` +
      `p99.9 ${median(({ p999 }) => p999)}  max ${median(({ max }) => max)}`,
  );
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function ascending(a: number, b: number): number {
  return a - b;
}

function ms(value: number | undefined): string {
  return (value ?? NaN).toFixed(2);
}

function party(role: 'running' | 'storm'): ChildProcess {
  return fork(fileURLToPath(new URL('./stormParty.js', import.meta.url)), [role]);
}
