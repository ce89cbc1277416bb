/*
 * The store is away while many calls are up, and comes back: all of them must end complete, the daemon's memory must not grow
 * with what waits, and the backlog must be caught up with.
 *
 *     npm run bench:store-down -- [calls=50] [minutes=10] [speed=8] [accounts=5]
 *
 * Time is compressed: the callers speak `speed` times faster than real time, so that 10 minutes of traffic take 75 s at 8, and the
 * uploader's pauses are shorter by the same factor. Bytes, files and requests are those of 10 minutes. The store's connections
 * break, or it answers 503, in turn. Exit 1 when a sample is missing or the memory grew.
 *
 * Memory is compared between the middle of the outage and its end. A daemon with 50 new calls takes some 25 s until its heaps have
 * the size they keep, whatever waits: an outage of less than twice that would measure the start.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBackend } from '../test/acceptance/openBackend.js';
import { StoreRun } from '../test/acceptance/StoreRun.js';
import { argument } from './argument.js';
import { usageOf } from './ProcessUsage.js';

const [calls, minutes] = [argument('calls', 50), argument('minutes', 10)];
const [speed, accounts] = [argument('speed', 8), argument('accounts', 5)];
const sampleRate = 8000;
/** By how much memory may be higher at the end of the outage than in its middle: so many bytes, and this share of what came in. */
const [mayGrow, mayKeep] = [64 * 2 ** 20, 1 / 16];

const dir = await mkdtemp(join(tmpdir(), 'reelay-down-'));
const backend = await openBackend();
const run = await StoreRun.open({
  dir,
  backend,
  layout: 'chunks',
  chunkSeconds: 60,
  tenants: Array.from({ length: accounts }, (_none, at) => `down-${at}`),
  clockSpeed: speed,
});
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
try {
  process.exitCode = (await outage()) ? 0 : 1;
} finally {
  await run.close();
  await backend.close();
  await rm(dir, { recursive: true, force: true });
}

async function outage(): Promise<boolean> {
  let turn = 0;
  run.proxy.spoilAll(() =>
    ++turn % 2 === 0 ? { type: 'reset' } : { type: 'answer', status: 503, code: 'ServiceUnavailable' },
  );
  await run.live();
  const shape = { record: false, sampleRate, seconds: minutes * 60, speed };
  for (let at = 0; at < calls; at += 1) {
    const tenant = run.tenants[at % accounts];
    if (tenant !== undefined) run.call(tenant, shape);
  }
  const spoken = run.hungUp();
  const series: number[] = [];
  const watch = setInterval(() => series.push(usageOf(run.daemon.pid).rss), 1000);
  const fromMs = performance.now();
  await spoken;
  const downSeconds = (performance.now() - fromMs) / 1000;
  // What the last calls left is sealed before the backlog is measured.
  await sleep(2000);
  clearInterval(watch);
  const refused = run.proxy.journal.length;
  const [middle, late] = [series[Math.floor(series.length / 2)] ?? NaN, series.at(-1) ?? NaN];
  const backMs = performance.now();
  await run.settle();
  const seconds = (performance.now() - backMs) / 1000;
  const stored = run.proxy.journal.slice(refused).filter(({ kind }) => kind === 'put' || kind === 'part');
  const bytes = stored.reduce((sum, entry) => sum + entry.bytes, 0);
  const chunks = stored.filter(({ key }) => key.endsWith('-audio.wav')).length;
  const { peakRss, rss } = usageOf(run.daemon.pid);
  console.log(
    `${calls} calls of ${minutes} min, ${speed} times faster than real time, against ${backend.name}: store away for ${downSeconds.toFixed(0)} s, ${refused} requests refused`,
  );
  console.log(
    `memory while it was away, MiB each second: ${series.map(mib).join(' ')}; most ever ${mib(peakRss)}, after catching up ${mib(rss)}`,
  );
  console.log(
    `caught up in ${seconds.toFixed(1)} s: ${(bytes / 1e6 / seconds).toFixed(1)} MB/s, ${(chunks / seconds).toFixed(1)} chunks/s, ` +
      `${((minutes * 60) / seconds).toFixed(0)} × real time of these ${calls} calls`,
  );
  const problems = await run.judge();
  for (const problem of problems) console.log(`PROBLEM ${problem}`);
  const grown = late - middle;
  console.log(
    `from the middle of the outage to its end memory changed by ${mib(grown)} MiB while ${mib(bytes / 2)} MiB came in; ` +
      `${problems.length} problems`,
  );
  return problems.length === 0 && grown <= mayGrow + (mayKeep * bytes) / 2;
}
