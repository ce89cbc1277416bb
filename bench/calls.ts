/*
 * Many calls at once for a while: daemon, bot and callers in a process each. Every frame must arrive, in order, at both ends,
 * and every recording must be whole. Prints what that costs per call.
 *
 *     npm run bench:calls -- [calls=100] [seconds=60]
 *
 * Exit 1 when a frame or a sample is missing.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { latencyOf } from '../src/simulators/LatencyMeter.js';
import { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { readStoredCall } from '../test/acceptance/StoredCall.js';
import { benchVoice, type BotReport, type CallerReport, type CallersOrder } from './callsParty.js';
import { usageOf, type Usage } from './ProcessUsage.js';

const [calls, seconds] = [argument('calls', 100), argument('seconds', 60)];
const dir = await mkdtemp(join(tmpdir(), 'reelay-calls-'));
const bot = party('bot');
const callers = party('callers');
const [botUrl] = (await once(bot, 'message')) as [string];
const accounts = [{ id: '*', upstream: botUrl, resumeSeconds: 0 }];
const daemon = await DaemonProcess.start({ dir, accounts, chunkSeconds: 15, calls });
try {
  process.exitCode = (await run()) === 0 ? 0 : 1;
} finally {
  bot.kill('SIGKILL');
  callers.kill('SIGKILL');
  await daemon.kill('SIGKILL');
  await rm(dir, { recursive: true, force: true });
}

async function run(): Promise<number> {
  // Memory before the first call has been taken up by the code, not by calls.
  await sleep(1000);
  const before = usageOf(daemon.pid);
  callers.send({ url: daemon.media('/twilio'), calls, seconds } satisfies CallersOrder);
  const [reports] = (await once(callers, 'message')) as [CallerReport[]];
  const after = usageOf(daemon.pid);
  bot.send('report');
  const [botReports] = (await once(bot, 'message')) as [BotReport[]];
  const problems = [
    ...reports.flatMap(callerProblems),
    ...reports.flatMap((one) => botProblems(one, botReports)),
  ];
  const voice = benchVoice(seconds);
  for (const { callSid } of reports) problems.push(...(await recordingProblems(callSid, voice)));
  const dropped = await daemon.metric('reelay_tap_dropped_frames_total');
  if (dropped > 0) problems.push(`${dropped} records were dropped in front of the recorder`);
  const lost = await daemon.metric('reelay_upstream_dropped_frames_total');
  if (lost > 0) problems.push(`${lost} frames were dropped in front of the bot`);
  for (const problem of problems.slice(0, 40)) console.log(problem);
  const sent = reports.reduce((sum, { framesSent }) => sum + framesSent, 0);
  console.log(
    `${reports.length} calls of ${seconds} s, ${sent} frames each way, ${problems.length} problems`,
  );
  tellCost(before, after);
  await tellLatency(reports);
  return problems.length;
}

function callerProblems(report: CallerReport): string[] {
  const { callSid, refused, violations, whole, framesSent, framesReceived, roundTrips } = report;
  const problems: string[] = [];
  if (refused !== null) problems.push(`refused: ${refused}`);
  if (violations > 0) problems.push(`${violations} violations`);
  if (!whole) problems.push('the caller heard frames out of order, or not all');
  if (framesSent !== seconds * 50) problems.push(`${framesSent} frames sent`);
  // What was sent less than a round trip, or a second, before the caller hung up was still under way.
  const underWay = Math.max(50, Math.ceil(Math.max(...roundTrips) / 20) + 1);
  if (framesSent - framesReceived > underWay) {
    problems.push(`${framesReceived} of ${framesSent} frames came back, ${underWay} may have been under way`);
  }
  return problems.map((problem) => `${callSid}: ${problem}`);
}

function botProblems({ callSid, framesSent }: CallerReport, botReports: readonly BotReport[]): string[] {
  const own = botReports.filter((report) => report.callSid === callSid);
  const [one] = own;
  if (own.length !== 1 || one === undefined) return [`${callSid}: ${own.length} sockets at the bot`];
  if (one.frames === framesSent && one.inOrder) return [];
  return [`${callSid}: the bot received ${one.frames} of ${framesSent} frames, in order: ${one.inOrder}`];
}

async function recordingProblems(callSid: string, voice: Int16Array): Promise<string[]> {
  const { manifest, channels, findings } = await readStoredCall(await daemon.stored(callSid));
  const problems = findings.map(({ code, detail }) => `verify: ${code} ${detail}`);
  if (manifest.state !== 'complete') problems.push(`state ${manifest.state}`);
  if (manifest.gaps.length > 0 || manifest.completeness.some((share) => share !== 1)) {
    problems.push(`complete to ${manifest.completeness.join(' and ')}, ${manifest.gaps.length} gaps`);
  }
  const differs = voice.findIndex((sample, index) => sample !== channels[0]?.[index]);
  if (differs >= 0) problems.push(`the caller's sample ${differs} is not what was said`);
  return problems.map((problem) => `${callSid}: ${problem}`);
}

function tellCost(before: Usage, after: Usage): void {
  const user = after.user - before.user;
  const system = after.system - before.system;
  const percent = (cpu: number): string => `${((cpu * 100) / (seconds + 1)).toFixed(1)} %`;
  const perCall = ((user + system) * 1000) / calls / seconds;
  console.log(
    `daemon CPU: ${percent(user + system)} of one core (user ${user.toFixed(1)} s, system ${system.toFixed(1)} s); ` +
      `${perCall.toFixed(2)} ms per second and call`,
  );
  const threads = [...after.threads]
    .map(([id, cpu]) => ({ id, cpu: cpu - (before.threads.get(id) ?? 0) }))
    .filter(({ cpu }) => cpu >= 0.005 * seconds)
    .sort((a, b) => b.cpu - a.cpu);
  for (const { id, cpu } of threads) {
    console.log(`  ${id === daemon.pid ? 'media thread' : `thread ${id}`}: ${percent(cpu)}`);
  }
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  console.log(
    `daemon memory: ${mib(before.rss)} MiB before, ${mib(after.rss)} at the end, ${mib(after.peakRss)} at most; ` +
      `${mib((after.peakRss - before.rss) / calls)} MiB per call`,
  );
}

async function tellLatency(reports: readonly CallerReport[]): Promise<void> {
  const text = await (await daemon.get('/metrics')).text();
  // Both directions together: their buckets have the same bounds, in the same order.
  const below = new Map<number, number>();
  for (const [, bound = '', count] of text.matchAll(
    /^reelay_relay_latency_seconds_bucket\{direction="[^"]+",le="([^"]+)"\} (\d+)$/gm,
  )) {
    const boundMs = Number(bound === '+Inf' ? Infinity : bound) * 1000;
    below.set(boundMs, (below.get(boundMs) ?? 0) + Number(count));
  }
  const buckets = [...below].map(([boundMs, count]) => ({ boundMs, count }));
  const total = buckets.at(-1)?.count ?? 0;
  const within = (share: number): number =>
    buckets.find(({ count }) => count >= share * total)?.boundMs ?? Infinity;
  console.log(
    `time in the relay: p50 ≤ ${within(0.5).toFixed(2)} ms, p99 ≤ ${within(0.99).toFixed(2)} ms, ` +
      `p99.9 ≤ ${within(0.999).toFixed(2)} ms of ${total} frames`,
  );
  const { p50, p90, p99, max } = latencyOf(reports.flatMap(({ roundTrips }) => roundTrips));
  const round = [p50, p90, p99, max].map((ms) => ms.toFixed(1));
  console.log(
    `round trip caller to bot and back: p50 ${round[0]}, p90 ${round[1]}, p99 ${round[2]}, max ${round[3]} ms`,
  );
}

function party(role: 'bot' | 'callers'): ChildProcess {
  return fork(fileURLToPath(new URL('./callsParty.js', import.meta.url)), [role]);
}

/** `name=value` or, in their order, bare numbers. */
function argument(name: string, otherwise: number): number {
  const named = process.argv.find((text) => text.startsWith(`${name}=`))?.split('=')[1];
  const bare = process.argv.slice(2).filter((text) => /^\d+$/.test(text));
  const value = Number(named ?? bare[name === 'calls' ? 0 : 1] ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${name} must be a whole number`);
  return value;
}
