import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LoadBot } from '../load/LoadBot.js';
import { type LoadDialect, type LoadReport, placeCalls } from '../load/placeCalls.js';
import type { Cores } from './cores.js';
import { busyShare, coreTime, type CoreTime } from './coreTime.js';
import type { Complaints, RunningSubject, Subject } from './Subject.js';
import { cpuShare, type CpuShare, type ThreadTime, threadTimes } from './threadTimes.js';

/** The length of a frame: whose frames come later than that at p99 has too many calls. */
export const mostMs = 20;

/** Calls that begin in a second, at most: what begins with each takes a processor some ms, which others want at the same time. */
export const callsPerSecond = 100;

export interface Timing {
  /** From when all calls are up to the window, ms: what is compiled while it runs, and what begins with a call, is over then. */
  readonly settleMs: number;
  readonly windowMs: number;
  readonly drainMs: number;
}

/** One subject under so many calls, once. */
export interface Run {
  readonly subject: string;
  readonly dialect: 'twilio' | 'jambonz';
  readonly calls: number;
  /** µs of CPU for each frame that it took in, in both directions. */
  readonly liveUs: number;
  readonly allUs: number;
  readonly share: CpuShare;
  /** Share of the live path's processor that something else took. */
  readonly others: number;
  /** ms; of a recorder, the answers to pings that follow frames. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** p99 of by how much the load itself was late, ms. */
  readonly lateness: number;
  /** p99 has reached the length of a frame, or frames or calls stayed away: more than it holds. */
  readonly isOverloaded: boolean;
  /** All calls were up and every frame came back in time, as it was sent: recording may have lost some. */
  readonly isRelayed: boolean;
  /** Frames lost, out of order or changed, and calls refused or cut. */
  readonly problems: readonly string[];
  /** What is no problem under too many calls. */
  readonly notes: readonly string[];
  readonly report: Omit<LoadReport, 'roundTrip' | 'lateness'>;
}

export interface Order {
  readonly dialect: 'twilio' | 'jambonz';
  readonly calls: number;
  readonly cores: Cores;
  readonly timing: Timing;
}

/** Starts a subject and a bot, has the calls, and ends both. */
export async function measure(subject: Subject, order: Order): Promise<Run> {
  const { cores } = order;
  const bot = await LoadBot.start(cores.rest, true);
  const dir = await mkdtemp(join(tmpdir(), 'reelay-bench-'));
  try {
    const stage = { core: cores.live, otherCore: cores.rest, botPort: bot.port, dir };
    const running = await subject.start(stage);
    try {
      return await underLoad(subject, running, order);
    } finally {
      await running.stop();
    }
  } finally {
    await bot.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

async function underLoad(subject: Subject, running: RunningSubject, order: Order): Promise<Run> {
  const { dialect, calls, cores, timing } = order;
  const traffic: LoadDialect = subject.traffic === 'record' ? 'record' : dialect;
  const looks: Look[] = [];
  const look = (): void => {
    looks.push({
      atMs: performance.now(),
      threads: threadTimes(running.pids),
      core: coreTime(cores.live),
    });
  };
  const report = await placeCalls(
    {
      port: running.port,
      path: traffic === 'record' ? '/record/aws_s3' : `/${dialect}`,
      ...{ dialect: traffic, calls, core: cores.rest, isFirst: true, ...timing },
      rate: callsPerSecond,
      connectMs: 10_000 + calls * 20,
    },
    { onUp: () => running.pin(), onBegin: look, onEnd: look },
  );
  const [before, after] = looks;
  if (before === undefined || after === undefined) throw new Error('there was no window');
  const isLive = (thread: ThreadTime): boolean => running.isLive(thread);
  const windowMs = after.atMs - before.atMs;
  const share = cpuShare(before.threads, after.threads, isLive, windowMs);
  const others = Math.max(0, busyShare(before.core, after.core) - share.live);
  const facts = { subject: subject.name, dialect, calls, share, others, windowMs };
  return runOf(facts, report, await running.complaints());
}

interface Look {
  readonly atMs: number;
  readonly threads: readonly ThreadTime[];
  readonly core: CoreTime;
}

function runOf(
  what: Pick<Run, 'subject' | 'dialect' | 'calls' | 'share' | 'others'> & { readonly windowMs: number },
  report: LoadReport,
  { live, beside }: Complaints,
): Run {
  const { windowMs, ...facts } = what;
  const { roundTrip, lateness, ...counts } = report;
  const frames = counts.windowSent + counts.windowReceived;
  const us = (share: number): number => (share * windowMs * 1000) / frames;
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map((part) => roundTrip.quantile(part));
  const isLate = !((p99 ?? NaN) < mostMs);
  const missing = [
    ...(counts.up < facts.calls ? [`${counts.up} of ${facts.calls} calls were up`] : []),
    ...(counts.outstanding > 0 ? [`${counts.outstanding} frames had not come back in time`] : []),
    ...(counts.skipped > 0 ? [`${counts.skipped} frames were not taken`] : []),
    ...live,
  ];
  const damaged = damage(counts);
  return {
    ...facts,
    liveUs: us(facts.share.live),
    allUs: us(facts.share.all),
    p50: p50 ?? NaN,
    p99: p99 ?? NaN,
    p999: p999 ?? NaN,
    lateness: lateness.quantile(0.99),
    isOverloaded: isLate,
    isRelayed: !isLate && damaged.length === 0 && missing.length === 0,
    // What overload explains is none; what went missing or astray never has to.
    problems: [...damaged, ...(isLate ? [] : [...missing, ...beside])],
    notes: isLate ? [...missing, ...beside] : [],
    report: counts,
  };
}

function damage(counts: Run['report']): string[] {
  const found: (readonly [number, string])[] = [
    [counts.lost, 'frames were lost'],
    [counts.misplaced, 'frames came out of order'],
    [counts.foreign, 'frames were not as they were sent'],
    [counts.refused, 'calls were refused'],
    [counts.cut, 'calls were cut'],
  ];
  return found.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
}
