/*
 * How long a sealed chunk takes into its bucket while many calls are up: from the moment at which its file got its final name in
 * the spool until the store's answer has come back through a proxy in between, which sees both.
 *
 *     npm run bench:stored -- [calls=50] [seconds=60] [chunk=5] [accounts=5] [short]
 *
 * Against the gateway that REELAY_GATEWAY names, else the tests' S3 server. Exit 1 when a chunk or a call isn't there whole, or the p99 is
 * above 2 s. `short` is for CI, on whatever machine: it prints times without judging them.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { latencyOf } from '../src/simulators/LatencyMeter.js';
import { Bucket } from '../test/acceptance/Bucket.js';
import { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { eventually } from '../test/acceptance/eventually.js';
import { FaultProxy } from '../test/acceptance/FaultProxy.js';
import { openBackend } from '../test/acceptance/openBackend.js';
import { argument } from './argument.js';
import type { CallerReport, CallersOrder } from './callsParty.js';
import { usageOf } from './ProcessUsage.js';

const [calls, seconds] = [argument('calls', 50), argument('seconds', 60)];
const [chunkSeconds, accounts] = [argument('chunk', 5), argument('accounts', 5)];
const boundMs = process.argv.includes('short') ? Infinity : 2000;
const chunkKey = /\/\d+-audio\.wav$/;

const dir = await mkdtemp(join(tmpdir(), 'reelay-stored-'));
const backend = await openBackend();
const proxy = await FaultProxy.open(backend.endpoint);
const accesses = new Map<string, Awaited<ReturnType<typeof backend.account>>>();
for (let at = 0; at < accounts; at += 1) accesses.set(`acme-${at}`, await backend.account(`acme-${at}`));
const parties = ['bot', ...accesses.keys()].map((role) =>
  fork(fileURLToPath(new URL('./callsParty.js', import.meta.url)), [role === 'bot' ? 'bot' : 'callers']),
);
const [bot, ...callers] = parties;
if (bot === undefined) throw new Error('there is no bot');
const [upstream] = (await once(bot, 'message')) as [string];
const daemon = await DaemonProcess.start({
  dir,
  chunkSeconds,
  calls,
  accounts: [...accesses].map(([id, { bucket, accessKeyId, secretAccessKey }]) => ({
    id,
    upstream,
    resumeSeconds: 0,
    store: { type: 's3', endpoint: proxy.endpoint, bucket, accessKeyId, secretAccessKey },
  })),
});
/** When each chunk was sealed, ms since the Unix epoch, by the path of its object. */
const sealedMs = new Map<string, number>();
proxy.spoilAll(({ kind, bucket, key }) => {
  const name = `${bucket}/${key}`;
  // A file's ctime is that of its renaming; it stays until its object is confirmed.
  if ((kind === 'put' || kind === 'create') && chunkKey.test(key) && !sealedMs.has(name)) {
    sealedMs.set(name, statSync(join(daemon.spoolDir, key)).ctimeMs);
  }
  return null;
});
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  for (const party of parties) party.kill('SIGKILL');
  await daemon.kill();
  await proxy.close();
  await backend.close();
  await rm(dir, { recursive: true, force: true });
}

async function run(): Promise<boolean> {
  const each = Math.ceil(calls / accounts);
  const reports = await Promise.all(
    callers.map(async (party, at) => {
      const order = { url: daemon.media('/twilio'), calls: each, seconds, accountSid: `acme-${at}` };
      party.send(order satisfies CallersOrder);
      return ((await once(party, 'message')) as [CallerReport[]])[0];
    }),
  );
  const underLoadUntil = Date.now();
  await eventually('the spool is empty', async () => (await daemon.spooled()).length === 0);
  const toWall = performance.timeOrigin;
  const stored = new Map<string, number>();
  for (const { kind, bucket, key, status, doneMs } of proxy.journal) {
    const isDone = (kind === 'put' || kind === 'complete') && status === 200 && doneMs !== null;
    if (isDone && chunkKey.test(key)) stored.set(`${bucket}/${key}`, doneMs + toWall);
  }
  const waits = [...stored].map(([name, atMs]) => atMs - (sealedMs.get(name) ?? NaN));
  const live = [...stored].filter(([, atMs]) => atMs <= underLoadUntil).length;
  let objects = 0;
  for (const access of accesses.values()) {
    const bucket = new Bucket(access);
    objects += [...(await bucket.objects()).keys()].filter((key) => chunkKey.test(key)).length;
    bucket.close();
  }
  const { p50, p90, p99, max, samples } = latencyOf(waits);
  const lost = reports.flat().filter(({ whole, refused }) => !whole || refused !== null).length;
  console.log(
    `${reports.flat().length} calls of ${seconds} s (${accounts} accounts, chunks of ${chunkSeconds} s) against ${backend.name}: ` +
      `${samples} chunks stored, ${live} of them while the calls were up; ${objects} lie in the buckets; ${lost} calls not whole`,
  );
  console.log(
    `sealed → in the bucket, seen from outside: p50 ${p50.toFixed(0)}, p90 ${p90.toFixed(0)}, p99 ${p99.toFixed(0)}, max ${max.toFixed(0)} ms`,
  );
  await tellOwn();
  const { user, system, peakRss } = usageOf(daemon.pid);
  console.log(
    `daemon: ${(user + system).toFixed(1)} s of CPU, ${(peakRss / 2 ** 20).toFixed(0)} MiB at most`,
  );
  return (
    p99 <= boundMs &&
    lost === 0 &&
    objects === samples &&
    samples >= calls * Math.floor(seconds / chunkSeconds)
  );
}

/** What the daemon says of the same time. */
async function tellOwn(): Promise<void> {
  const text = await (await daemon.get('/metrics')).text();
  const own = [...text.matchAll(/^(\S*stored\S*)_bucket\{(?:.*,)?le="([^"]+)"[^}]*\} (\d+)$/gm)];
  const counts = new Map<number, number>();
  for (const [, , bound, count] of own) {
    const key = bound === '+Inf' ? Infinity : Number(bound);
    counts.set(key, (counts.get(key) ?? 0) + Number(count));
  }
  const sorted = [...counts].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  const within = (share: number): string => {
    const bound = sorted.find(([, count]) => count >= share * total)?.[0];
    return bound === undefined ? 'unknown' : `≤ ${bound * 1000} ms`;
  };
  console.log(
    `by the daemon's own ${own[0]?.[1] ?? 'histogram (there is none)'}: p50 ${within(0.5)}, p99 ${within(0.99)}`,
  );
}
