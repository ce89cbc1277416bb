/*
 * Many calls that are up and silent: how long they take to be set up, and what they hold of the daemon's memory and descriptors.
 *
 *     npm run bench:idle -- [calls=10000] [hold=20] [sources=8]
 *
 * Each call is set up whole, to the bot and back: one frame of audio returns. All are recorded. Callers come from several addresses
 * 127.0.0.x, because one has some 28,000 ports. `hold` is how long they stay, in s. Descriptors beyond the usual limit are asked for by
 * a shell's `ulimit -n`, which takes root where the hard limit is lower.
 *
 * Exit 1 when a call isn't up, or a bound of issue 5 isn't kept: 30 s for 10,000 calls, 64 KiB for each beyond 150 MiB.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { argument } from './argument.js';
import { LoadBot } from './load/LoadBot.js';
import { type LoadReport, placeCalls } from './load/placeCalls.js';
import { type Usage, usageOf } from './ProcessUsage.js';

const calls = argument('calls', 10_000);
const holdMs = argument('hold', 20) * 1000;
const sources = argument('sources', 8);
const KiB = 2 ** 10;
const MiB = 2 ** 20;
const bound = { connectMs: 30_000 * Math.max(1, calls / 10_000), baseBytes: 150 * MiB, bytesPerCall: 64 * KiB };
/** Two sockets, files of the recording, and some to spare. */
const descriptorsPerCall = 6;
const warmCalls = 50;
/** Told to the process with the raised limit. */
const raised = 'raised';

process.exitCode = process.argv.includes(raised) ? await bench() : await withMoreDescriptors();

async function withMoreDescriptors(): Promise<number> {
  const limit = String(1000 + calls * descriptorsPerCall);
  const script = 'ulimit -n "$0" && exec "$@"';
  const own = [process.execPath, ...process.argv.slice(1), raised];
  const child = spawn('sh', ['-c', script, limit, ...own], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

interface Idle {
  readonly report: LoadReport;
  readonly before: Usage;
  /** With all calls up, and when they had been for a while. */
  readonly begun: Usage;
  readonly held: Usage;
  readonly descriptors: number;
}

async function bench(): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const dir = await mkdtemp(join(tmpdir(), 'reelay-idle-'));
  const bot = await LoadBot.start(null);
  try {
    const daemon = await DaemonProcess.start({
      dir,
      accounts: [{ id: '*', upstream: `ws://127.0.0.1:${bot.port}`, resumeSeconds: 0 }],
      calls: 2 * calls,
      config: { limits: { pendingStreams: calls } },
    });
    try {
      return judge(await idle(daemon));
    } finally {
      await daemon.kill();
    }
  } finally {
    await bot.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

async function idle(daemon: DaemonProcess): Promise<Idle> {
  const order = {
    port: daemon.mediaPort,
    path: '/twilio',
    dialect: 'twilio',
    core: null,
    isIdle: true,
  } as const;
  const timing = { connectMs: 10_000, settleMs: 1000, windowMs: 100, drainMs: 1000 };
  // What the code takes for itself isn't the calls'.
  await placeCalls({ ...order, ...timing, calls: warmCalls });
  const before = usageOf(daemon.pid);
  const looks: { readonly usage: Usage; readonly descriptors: number }[] = [];
  const look = (): void => {
    const descriptors = readdirSync(`/proc/${daemon.pid}/fd`).length;
    looks.push({ usage: usageOf(daemon.pid), descriptors });
  };
  const report = await placeCalls(
    { ...order, ...timing, calls, sources, together: 64, connectMs: 3 * bound.connectMs, windowMs: holdMs },
    { onBegin: look, onEnd: look },
  );
  const [begun, held] = looks;
  if (begun === undefined || held === undefined) throw new Error('the calls were not held');
  return { report, before, begun: begun.usage, held: held.usage, descriptors: held.descriptors };
}

/** @returns the exit code */
function judge({ report, before, begun, held, descriptors }: Idle): number {
  const { up, upMs, refused, cut } = report;
  const mib = (bytes: number): string => (bytes / MiB).toFixed(1);
  const perCall = (bytes: number): string => `${(bytes / up / KiB).toFixed(1)} KiB per call`;
  const beyond = Math.max(0, held.rss - bound.baseBytes);
  const cpu = held.user + held.system - begun.user - begun.system;
  const isInTime = up === calls && upMs <= bound.connectMs;
  const isSmall = beyond / up <= bound.bytesPerCall;
  console.log(
    [
      `${up} of ${calls} idle calls are up, recorded; ${refused} refused, ${cut} cut within ${holdMs / 1000} s`,
      `  set up       ${(upMs / 1000).toFixed(1)} s, ${((up * 1000) / upMs).toFixed(0)} calls a second: ${verdict(isInTime)} ${bound.connectMs / 1000} s`,
      `  memory       ${mib(before.rss)} MiB before, ${mib(begun.rss)} with all up, ${mib(held.rss)} at the end, ${mib(held.peakRss)} at most`,
      `  per call     ${perCall(beyond)} beyond ${mib(bound.baseBytes)} MiB: ${verdict(isSmall)} ${bound.bytesPerCall / KiB} KiB`,
      `               ${perCall(held.rss - before.rss)} beyond what the daemon had before`,
      `  descriptors  ${descriptors}, ${(descriptors / up).toFixed(2)} per call`,
      `  CPU          ${((cpu * 100_000) / holdMs).toFixed(1)} % of a core while nothing happens`,
    ].join('\n'),
  );
  return isInTime && isSmall && cut === 0 ? 0 : 1;
}

function verdict(isKept: boolean): string {
  return isKept ? 'within' : 'BEYOND';
}
