/*
 * Many calls that are up and silent: how long they take to be set up, and what they hold of the daemon's memory and descriptors.
 *
 *     npm run bench:idle -- [calls=10000] [hold=20] [sources=8]
 *
 * Each call is set up whole, to the bot and back: one frame of audio returns. All are recorded. Callers come from several addresses
 * 127.0.0.x, because one has some 28,000 ports. `hold` is how long they stay, in s. Descriptors beyond the usual limit are asked for by
 * a shell's `ulimit -n`. A machine that doesn't give so many has as many calls as they suffice for.
 *
 * Exit 1 when a call isn't up, or a bound isn't kept: 30 s for 10,000 calls, 64 KiB for each beyond 150 MiB. Else 2 when there were
 * fewer calls than asked for.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { argument } from './argument.js';
import { LoadBot } from './load/LoadBot.js';
import { type LoadReport, placeCalls } from './load/placeCalls.js';
import { type Usage, usageOf } from './ProcessUsage.js';

const wantedCalls = argument('calls', 10_000);
/** Two sockets and a chunk's file; and what the daemon has anyway. */
const descriptors = { perCall: 3, spare: 1000 };
const calls = Math.min(
  wantedCalls,
  Math.floor((allowedDescriptors() - descriptors.spare) / descriptors.perCall),
);
const holdMs = argument('hold', 20) * 1000;
const sources = argument('sources', 8);
const KiB = 2 ** 10;
const MiB = 2 ** 20;
/** A few calls have some time for the machine to get going, too. */
const bound = { connectMs: Math.max(5000, calls * 3), baseBytes: 150 * MiB, bytesPerCall: 64 * KiB };
const warmCalls = 50;
/** Told to the process with the raised limit. */
const raised = 'raised';

process.exitCode = process.argv.includes(raised) ? await bench() : await withMoreDescriptors();

async function withMoreDescriptors(): Promise<number> {
  const limit = String(descriptors.spare + wantedCalls * descriptors.perCall);
  const script =
    '[ "$(ulimit -n)" -ge "$0" ] || ulimit -n "$0" 2>/dev/null || ulimit -n "$(ulimit -H -n)"; exec "$@"';
  const own = [process.execPath, ...process.argv.slice(1), raised];
  const child = spawn('sh', ['-c', script, limit, ...own], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

/** Of this process, and so of those that it starts (proc(5)). */
function allowedDescriptors(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
}

interface Idle {
  readonly report: LoadReport;
  readonly before: Usage;
  /** With all calls up, and when they had been for a while. */
  readonly begun: Usage;
  readonly held: Usage;
  readonly open: number;
  /** Daemon's main thread, which has the process's id. */
  readonly pid: number;
}

async function bench(): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const bot = await LoadBot.start(null);
  const dir = await mkdtemp(join(tmpdir(), 'reelay-idle-'));
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
  const looks: { readonly usage: Usage; readonly open: number }[] = [];
  const look = (): void => {
    looks.push({ usage: usageOf(daemon.pid), open: readdirSync(`/proc/${daemon.pid}/fd`).length });
  };
  const report = await placeCalls(
    { ...order, ...timing, calls, sources, together: 64, connectMs: 3 * bound.connectMs, windowMs: holdMs },
    { onBegin: look, onEnd: look },
  );
  const [begun, held] = looks;
  if (begun === undefined || held === undefined) throw new Error('the calls were not held');
  return { report, before, begun: begun.usage, held: held.usage, open: held.open, pid: daemon.pid };
}

/** @returns the exit code */
function judge({ report, before, begun, held, open, pid }: Idle): number {
  const { up, upMs, refused, cut } = report;
  const mib = (bytes: number): string => (bytes / MiB).toFixed(1);
  const perCall = (bytes: number): string => `${(bytes / up / KiB).toFixed(1)} KiB per call`;
  const beyond = Math.max(0, held.rss - bound.baseBytes);
  const percent = (seconds: number): string => `${((seconds * 100_000) / holdMs).toFixed(1)} %`;
  const cpu = held.user + held.system - begun.user - begun.system;
  const media = (held.threads.get(pid) ?? 0) - (begun.threads.get(pid) ?? 0);
  const isInTime = up === calls && upMs <= bound.connectMs;
  const isSmall = beyond / up <= bound.bytesPerCall;
  if (calls < wantedCalls) {
    console.log(
      `${wantedCalls} calls take more descriptors than the ${allowedDescriptors()} that a process may have here`,
    );
  }
  console.log(
    [
      `${up} of ${calls} idle calls are up, recorded; ${refused} refused, ${cut} cut within ${holdMs / 1000} s`,
      `  set up       ${(upMs / 1000).toFixed(1)} s, ${((up * 1000) / upMs).toFixed(0)} calls a second: ${verdict(isInTime)} ${bound.connectMs / 1000} s`,
      `  memory       ${mib(before.rss)} MiB before, ${mib(begun.rss)} with all up, ${mib(held.rss)} at the end, ${mib(held.peakRss)} at most`,
      `  per call     ${perCall(beyond)} beyond ${mib(bound.baseBytes)} MiB: ${verdict(isSmall)} ${bound.bytesPerCall / KiB} KiB`,
      `               ${perCall(held.rss - before.rss)} beyond what the daemon had before`,
      `  descriptors  ${open}, ${(open / up).toFixed(2)} per call`,
      `  CPU          ${percent(cpu)} of a core while nothing happens, ${percent(media)} on the media thread`,
    ].join('\n'),
  );
  if (!isInTime || !isSmall || cut > 0) return 1;
  return calls < wantedCalls ? 2 : 0;
}

function verdict(isKept: boolean): string {
  return isKept ? 'within' : 'BEYOND';
}
