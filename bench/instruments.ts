/*
 * What the media thread's instruments cost: per frame (two clocks, one histogram), per second (the event loop's gauge, the heap's,
 * the decision about overload). CPU time of this process, so that others on the machine don't count; medians of several
 * rounds, each instrument in every round, with their spread.
 *
 *     npm run build:test && node build/bench/instruments.js [rounds]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { OverloadWatch } from '../src/relay/OverloadWatch.js';
import { Counters } from '../src/tap/Counters.js';
import { ThreadGauges } from '../src/tap/ThreadGauges.js';

const rounds = Number(process.argv[2] ?? 7);
const turns = 1_000_000;
const looks = 2000;
const gauges = 300;
const gaugedMs = 2000;

const counters = new Counters();
const overload = new OverloadWatch(counters, pino({ level: 'silent' }), () => undefined);
const limits = {
  calls: 500,
  pendingStreams: 200,
  startTimeoutMs: 10_000,
  upstreamQueueMs: 10_000,
  upstreamBufferBytes: 1024 * 1024,
  providerBufferBytes: 16 * 1024 * 1024,
  ringBytes: 64 * 1024 * 1024,
  stalledMs: 10_000,
  loopDelayMs: 200,
  bridgedCallsPerProcess: 20,
  bridgeProcesses: 4,
  downloadBytesPerSecond: 64 * 1024 * 1024,
  memoryBytes: null,
  roomsPerProcess: 4,
  lanesPerRoom: 50,
  roomProcesses: 16,
};
let sink = 0;

/** µs of CPU for each turn. */
function perTurn(work: (index: number) => void, times = turns): number {
  const before = process.cpuUsage();
  for (let index = 0; index < times; index++) work(index);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
}

/** µs of CPU in a second for each of many at once, so that the loop's own turns, which calls cause anyway, weigh nothing. */
async function perSecond(make: () => ThreadGauges): Promise<number> {
  const all = Array.from({ length: gauges }, make);
  for (const each of all) each.start();
  const before = process.cpuUsage();
  await sleep(gaugedMs);
  const { user, system } = process.cpuUsage(before);
  for (const each of all) each.stop();
  return ((user + system) * 1000) / gaugedMs / gauges;
}

const found = new Map<string, number[]>();
function note(what: string, us: number): void {
  found.set(what, [...(found.get(what) ?? []), us]);
}

async function round(): Promise<void> {
  const { to_bot: histogram } = counters.latency;
  note(
    'frame: one of its two clocks',
    perTurn(() => (sink += performance.now())),
  );
  note(
    'frame: its place in the histogram',
    perTurn((index) => histogram.observe(((index * 7919) & 4095) / 1000)),
  );
  note(
    'frame: both clocks and the histogram',
    perTurn(() => {
      const arrivalMs = performance.now();
      histogram.observe(performance.now() - arrivalMs);
    }),
  );
  note(
    'second: the decision about overload',
    perTurn(() => overload.tick(limits), looks),
  );
  note('second: event loop, collector and heap', await perSecond(() => new ThreadGauges(counters, 'media')));
}

await round();
found.clear();
for (let index = 0; index < rounds; index++) await round();
for (const [what, all] of found) {
  const sorted = [...all].sort((a, b) => a - b);
  const [least, median, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((us = 0) =>
    us.toFixed(3),
  );
  console.log(
    `${what.padEnd(42)} ${String(median)} µs (${String(least)} to ${String(most)}, ${rounds} rounds)`,
  );
}
if (Number.isNaN(sink)) console.log(sink);
