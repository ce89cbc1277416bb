/*
 * Two hours' worth of calls, and nothing may grow: a hundred calls at once that begin and end all the time, Twilio and jambonz,
 * into folders and buckets, in the three layouts by turns.
 *
 *     npm run bench:soak -- [minutes: 20] [calls: 100] [seed: 1]
 *
 * What is compressed: a call's life and a chunk's length, by as much as `minutes` is shorter than two hours, so that as many calls
 * begin and end, and as many chunks are sealed and stored, as in two hours of calls of 3 minutes with chunks of 60 s; `resumeSeconds`
 * is 0. (Below 15 minutes it is 8 times, and fewer calls than in two hours.) What isn't: frames come in real time, so bytes are those of `minutes`; and all of the daemon's own times (flush, sync,
 * heartbeats, looks at the spool, pauses) are what they are.
 *
 * Every 2 s it is looked at from outside: memory, heaps, file descriptors, sockets, threads, what waits in the ring, what lies in
 * the spool. The first quarter (at least a minute) is warm-up. From there on the slope by Theil and Sen, over all that is left of
 * the time, may come to no more than the table says, and when all calls have ended, everything has to be given back. The list
 * of recordings is in memory and grows by design: what it takes for these very recordings is measured, and taken off.
 *
 * Then every recording is verified in its store, and every fifth compared with what its caller said. Exit 1 when anything
 * grows, is missing or is wrong. Below 5 minutes slopes say nothing: they are printed and not judged.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type CatalogueEntry, entryOf } from '../src/catalogue/Catalogue.js';
import { MemoryCatalogue } from '../src/catalogue/MemoryCatalogue.js';
import { textTable } from '../src/cli/textTable.js';
import { recordingFolder } from '../src/spool/layout.js';
import type { Manifest } from '../src/spool/Manifest.js';
import { Bucket, type BucketAccess } from '../test/acceptance/Bucket.js';
import { type AccountEntry, type DaemonOptions, DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { eventually } from '../test/acceptance/eventually.js';
import { argument } from './argument.js';
import { flatnessOf, floorOf, type Point } from './Flatness.js';
import type { LeanReport } from './LeanCall.js';
import { LeanVoice } from './LeanVoice.js';
import { type Holdings, ResourceWatch } from './ResourceWatch.js';
import type { SoakOrder } from './soakParty.js';
import { verifyBelow } from './soakVerdict.js';

const [minutes, calls, seed] = [
  argument('minutes', 20, 0),
  argument('calls', 100, 1),
  argument('seed', 1, 2),
];
/** How much shorter than two hours it is; beyond this it would be another load. */
const compression = Math.min(8, Math.max(1, 120 / minutes));
const meanSeconds = 180 / compression;
const chunkSeconds = Math.max(2, Math.round(60 / compression));
const [lookMs, layoutMs] = [2000, 15_000];
const judgedFromMinutes = 5;
const warmUpSeconds = Math.max(60, minutes * 15);
const compareEvery = 5;
const MiB = 2 ** 20;

/** What may be held longer than before, over the time that is judged: so much, or this share of what is held at its beginning. */
const bounds: readonly {
  readonly name: RegExp;
  readonly least: number;
  readonly share: number;
  /** More than before the first call when all have ended; null: it is not given back at once. */
  readonly kept: number | null;
}[] = [
  // Memory that was freed goes back to the system late or never.
  { name: /^rss bytes$/, least: 24 * MiB, share: 0.06, kept: null },
  { name: /^heap bytes/, least: 3 * MiB, share: 0.06, kept: null },
  { name: /^threads$/, least: 0, share: 0, kept: 0 },
  // Connections to stores are kept for the next request.
  { name: /^file descriptors$/, least: 8, share: 0.03, kept: 64 },
  { name: /^sockets$/, least: 8, share: 0.03, kept: 64 },
  { name: /^ring bytes$/, least: 256 * 1024, share: 0, kept: 64 * 1024 },
  // How much lies there depends on how many long calls are up.
  // The journal's last segment is never given back, and is up to 16 MiB long.
  { name: /^spool bytes$/, least: 16 * MiB, share: 0.25, kept: 20 * MiB },
  { name: /^(calls|streams|unstored)$/, least: 3, share: 0.03, kept: 0 },
];

// Whatever ends the bench, nothing that it started goes on.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const dir = await mkdtemp(join(tmpdir(), 'reelay-soak-'));
const parties: ChildProcess[] = [];
const folders = ['soak-a', 'soak-b', 'soak-c'];
const buckets = ['soak-x', 'soak-y', 'soak-z'];
const store = party('store');
store.send(buckets);
const [access] = (await once(store, 'message')) as [BucketAccess[]];
const [upstream] = (await once(party('bot'), 'message')) as [string];
const accounts = [...folders, ...buckets].map(accountOf);
const options: DaemonOptions = { dir, accounts, chunkSeconds, calls: calls * 2 };
const daemon = await DaemonProcess.start(options);
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  await daemon.kill();
  for (const each of parties) each.kill('SIGKILL');
  await rm(dir, { recursive: true, force: true });
}

function accountOf(id: string): AccountEntry {
  const own = access.find(({ bucket }) => bucket.endsWith(id));
  return {
    id,
    upstream: { twilio: `${upstream}/twilio`, jambonz: `${upstream}/jambonz` },
    resumeSeconds: 0,
    ...(own === undefined ? {} : { store: { type: 's3', ...own } }),
  };
}

async function run(): Promise<boolean> {
  const watch = new ResourceWatch(daemon, lookMs);
  await sleep(3000);
  const before = await watch.look();
  const reports = await drive(watch);
  const calledUntil = watch.seconds;
  const left = await unstored();
  // Sockets that were closed, and files that were read, are gone a moment later.
  await sleep(10_000);
  await watch.stop();
  const after = await watch.look();
  const problems = [...reports.flatMap(callProblems), ...left];
  problems.push(...(await daemonProblems()));
  const { code } = await daemon.kill('SIGTERM');
  if (code !== 0) problems.push(`the daemon ended with ${code}`);
  const { recordings, problems: wrong } = await verifyAll(reports);
  problems.push(...wrong);
  const perRecording = await catalogueBytes(recordings);
  problems.push(...judge(watch, { before, after, calledUntil, perRecording }));
  for (const problem of problems.slice(0, 40)) console.log(`PROBLEM ${problem}`);
  console.log(`${problems.length} problems`);
  return problems.length === 0;
}

/** Waits until all is stored, which on a slow disk is a while behind the last call, and tells what isn't. */
async function unstored(): Promise<string[]> {
  try {
    await eventually('everything is stored', async () => (await daemon.spooled()).length === 0, {
      everyMs: 500,
      attempts: 600,
    });
    return [];
  } catch {
    return (await daemon.spooled()).map((folder) => `${folder}: not stored 300 s after the last call`);
  }
}

/** Has them call, and changes the layout of new recordings all the while. */
async function drive(watch: ResourceWatch): Promise<LeanReport[]> {
  const callers = party('callers');
  const order = { calls, meanSeconds, seed, seconds: minutes * 60, accounts: accounts.map(({ id }) => id) };
  const said = once(callers, 'message') as Promise<[LeanReport[]]>;
  callers.send({ ...order, origin: daemon.media('') } satisfies SoakOrder);
  const layouts = ['chunks', 'single', 'both'];
  let turn = 0;
  const turning = setInterval(() => {
    const layout = layouts[++turn % layouts.length] ?? 'chunks';
    // It writes the configuration file that the running one reads.
    DaemonProcess.prepare({ ...options, config: { recording: { layout } } });
    daemon.reload();
  }, layoutMs);
  const telling = setInterval(() => tell(watch), 60_000);
  const [reports] = await said;
  clearInterval(turning);
  clearInterval(telling);
  return reports;
}

/** So that somebody who waits sees how it goes. */
function tell(watch: ResourceWatch): void {
  const names = ['rss bytes', 'file descriptors', 'ring bytes', 'spool bytes', 'calls', 'unstored'];
  const now = names.map((name) => `${name} ${shown(name, watch.series(name).at(-1)?.value ?? NaN)}`);
  console.log(`${watch.seconds.toFixed(0)} s: ${now.join(', ')}, load ${loadavg()[0]?.toFixed(1)}`);
}

function callProblems({ callId, sent, back, inOrder, vanished, broken }: LeanReport): string[] {
  const problems: string[] = [];
  if (broken !== null && !vanished) problems.push(broken);
  if (!inOrder) problems.push('what came back is not what was said');
  // The last seconds are under way when a caller hangs up, on a machine that has other work.
  if (sent - back > 250) problems.push(`${back} of ${sent} frames came back`);
  return problems.map((problem) => `${callId}: ${problem}`);
}

async function daemonProblems(): Promise<string[]> {
  const problems: string[] = [];
  for (const name of [
    'reelay_tap_dropped_frames_total',
    'reelay_upstream_dropped_frames_total',
    'reelay_recorder_restarts_total',
    'reelay_control_restarts_total',
  ]) {
    const value = await daemon.metric(name);
    if (value > 0) problems.push(`${name} is ${value}`);
  }
  const errors = daemon.logged(50).map((line) => JSON.stringify(line).slice(0, 300));
  return [...problems, ...errors.slice(0, 10)];
}

async function verifyAll(
  reports: readonly LeanReport[],
): Promise<{ recordings: Manifest[]; problems: string[] }> {
  const voice = new LeanVoice();
  const expected = new Map(reports.filter(({ sent }) => sent > 0).map((report) => [report.callId, report]));
  const made = expected.size;
  const places = [daemon.storeDir];
  for (const each of access) {
    const place = join(dir, 'fetched', each.bucket);
    const bucket = new Bucket(each);
    const keys = (await bucket.objects()).keys();
    // They share what is left of the keys.
    await Promise.all(Array.from({ length: 8 }, async () => await bucket.download(keys, place)));
    bucket.close();
    places.push(place);
  }
  const recordings: Manifest[] = [];
  const problems: string[] = [];
  let [compared, stalled] = [0, 0];
  for (const place of places) {
    const verdict = await verifyBelow(place, expected, voice, compareEvery);
    recordings.push(...verdict.recordings);
    problems.push(...verdict.problems);
    compared += verdict.compared;
    stalled += verdict.stalled;
  }
  for (const callId of expected.keys()) problems.push(`${callId}: no recording`);
  const layouts = ['chunks', 'single', 'both'].map((layout) => {
    const count = recordings.filter((manifest) => (manifest.layout ?? 'chunks') === layout).length;
    return `${count} ${layout}`;
  });
  const hours = recordings.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0) / 3600;
  console.log(
    `${made} calls made, ${recordings.length} recordings verified (${layouts.join(', ')}; ${hours.toFixed(1)} h of audio), ` +
      `${compared} compared with what was said; ${stalled} with a gap where their caller, without a clock, stood still itself`,
  );
  return { recordings, problems };
}

/** What the list of recordings takes in memory for one of these. */
async function catalogueBytes(recordings: readonly Manifest[]): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // As if it had come in a message, so that no string is shared with the manifest.
  const texts = recordings.map((manifest) => {
    const folder = recordingFolder({ ...manifest, startMs: Date.parse(manifest.startTime) });
    return JSON.stringify(entryOf(manifest, folder));
  });
  collect();
  const before = process.memoryUsage().heapUsed;
  const catalogue = new MemoryCatalogue();
  for (const text of texts) await catalogue.write([{ entry: JSON.parse(text) as CatalogueEntry }]);
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / Math.max(1, texts.length);
  // It is alive until here.
  await catalogue.list({ limit: 1 });
  return bytes;
}

interface Soaked {
  readonly before: Holdings;
  readonly after: Holdings;
  /** When the last call ended, seconds. */
  readonly calledUntil: number;
  /** Bytes of the list for each recording. */
  readonly perRecording: number;
}

function judge(watch: ResourceWatch, { before, after, calledUntil, perRecording }: Soaked): string[] {
  const until = calledUntil - 5;
  const isJudged = minutes >= judgedFromMinutes;
  const problems: string[] = [];
  const rows = [['WHAT', 'BEFORE', 'FIRST', 'LAST', 'MOST', 'PER HOUR', 'GROWN', 'MAY', 'AFTER', '']];
  const so = watch.series('calls so far');
  for (const { name, least, share, kept } of bounds) {
    for (const each of watch.names.filter((one) => name.test(one))) {
      const isListed = each === 'rss bytes' || each === 'heap bytes control';
      const raw = watch.series(each, warmUpSeconds, until);
      const listed = isListed ? raw.map((point) => withoutList(point, so, perRecording)) : raw;
      const series = each.startsWith('heap') ? floorOf(listed, 20) : listed;
      if (series.length < 8) continue;
      const { first, last, most, perHour, growth } = flatnessOf(series);
      const may = Math.max(least, first * share);
      const [was, is] = [before.get(each) ?? NaN, after.get(each) ?? NaN];
      const faults: string[] = [];
      if (isJudged && growth > may) faults.push('GROWS');
      if (kept !== null && is - was > kept) faults.push('NOT GIVEN BACK');
      for (const fault of faults) problems.push(`${each}: ${fault}`);
      const cells = [was, first, last, most, perHour, growth, may, is].map((value) => shown(each, value));
      rows.push([each, ...cells, faults.join(', ')]);
    }
  }
  const lengths = `calls of ${meanSeconds.toFixed(0)} s on average, chunks of ${chunkSeconds} s`;
  console.log(
    `${minutes} min of ${calls} calls at once, ${lengths} (${compression.toFixed(1)} × compressed); judged from ${warmUpSeconds} s to ` +
      `${until.toFixed(0)} s; the list takes ${perRecording.toFixed(0)} bytes for a recording, which are taken off rss and control's heap`,
  );
  console.log(textTable(rows));
  return problems;
}

/** @param so - calls that had begun, by time */
function withoutList({ atSeconds, value }: Point, so: readonly Point[], perRecording: number): Point {
  const begun = so.findLast((point) => point.atSeconds <= atSeconds)?.value ?? 0;
  return { atSeconds, value: value - begun * perRecording };
}

function shown(name: string, value: number): string {
  if (!name.includes('bytes')) return value.toFixed(1).replace(/\.0$/, '');
  return `${(value / MiB).toFixed(1)} MiB`;
}

function party(role: 'bot' | 'callers' | 'store'): ChildProcess {
  const child = fork(fileURLToPath(new URL('./soakParty.js', import.meta.url)), [role]);
  parties.push(child);
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}
