import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Bot } from '../../../src/simulators/Bot.js';
import type { Caller } from '../../../src/simulators/Caller.js';
import { CallerAudio } from '../../../src/simulators/CallerAudio.js';
import { JambonzCaller } from '../../../src/simulators/JambonzCaller.js';
import { TwilioCaller } from '../../../src/simulators/TwilioCaller.js';
import { DaemonProcess, type AccountEntry, type DaemonOptions } from '../DaemonProcess.js';
import { eventually } from '../eventually.js';
import { NumberedCall } from '../NumberedCall.js';
import { SchedulingDelay } from '../SchedulingDelay.js';
import { callerVoice, loudVoice } from '../voice.js';
import { type FileOperation, readOperations } from './FileOperation.js';
import { heardOf, type HeardCall, numberedCall } from './HeardCall.js';

export type Layout = 'chunks' | 'single' | 'both';

/** What one daemon did to its disk, and what it heard meanwhile. */
export interface PowerRecording {
  readonly layout: Layout;
  /** Holds the spool and the store; empty when the first operation came. */
  readonly dir: string;
  /** Number of `dir`. */
  readonly inode: number;
  readonly operations: readonly FileOperation[];
  readonly calls: readonly HeardCall[];
  /** When the recorder's thread was ended, ms of `performance.now()`: until its successor works, audio waits in memory. */
  readonly faultMs: number;
  /** What may be missing of what came before a loss of power, ms; {@link boundOf} says why. */
  readonly boundMs: number;
  readonly delayMs: number;
  /** Longest sync of a journal, ms. */
  readonly slowestSyncMs: number;
}

const [flushMs, syncMs, frameMs] = [100, 500, 20];
/** When the daemon is killed under the calls that are up, after they began, ms. */
const killedMs = 6500;
/** Small, so that segments come and go in a few seconds. */
const segmentBytes = 64 * 1024;

const source = fileURLToPath(
  new URL('../../../../test/acceptance/power/recordFileOperations.c', import.meta.url),
);

/**
 * Compiles what writes the file operations down.
 *
 * @returns path of the library
 * @throws Error when there is no C compiler
 */
export async function compileShim(dir: string): Promise<string> {
  const library = join(dir, 'recordFileOperations.so');
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-o', library, source];
  await promisify(execFile)('cc', [...flags, '-ldl', '-lpthread']).catch((cause: unknown) => {
    const { code } = cause as { code?: unknown };
    if (code !== 'ENOENT') throw cause;
    throw new Error('There is no C compiler: install one that is found as cc, such as gcc.', { cause });
  });
  return library;
}

/** How the daemon is set up, when its operations are recorded and when it starts after a loss of power. */
export function optionsFor(layout: Layout, dir: string, upstream: AccountEntry['upstream']): DaemonOptions {
  return {
    dir,
    accounts: [{ id: '*', resumeSeconds: 0, ...(upstream === undefined ? {} : { upstream }) }],
    chunkSeconds: 1,
    flushMs,
    config: { recording: { layout }, spool: { syncMs } },
    env: { REELAY_FAULTS: '1', REELAY_SEGMENT_BYTES: String(segmentBytes), UV_USE_IO_URING: '0' },
  };
}

/**
 * Lets a daemon record calls of every kind: some end, some are up when its recorder's thread is ended and when it is killed; a
 * second life takes up what the first left, hears a call more, and is stopped.
 *
 * @param dir - made here; the log lies beside it
 */
export async function recordLife(layout: Layout, dir: string, shim: string): Promise<PowerRecording> {
  const bot = new Bot({ echo: true });
  const delay = new SchedulingDelay();
  const { url } = await bot.listen();
  const log = `${dir}.operations`;
  const options = optionsFor(layout, dir, { twilio: `${url}/twilio`, jambonz: `${url}/jambonz` });
  mkdirSync(dir, { recursive: true });
  const env = { ...options.env, LD_PRELOAD: shim, REELAY_POWER_LOG: log, REELAY_POWER_DIR: dir };
  const daemon = await DaemonProcess.start({ ...options, env });
  try {
    delay.take();
    const live = new LiveCalls(daemon, layout);
    const { faultMs, cutMs } = await live.firstLife();
    await daemon.restart();
    await live.secondLife();
    await eventually('the spool is empty', async () => (await daemon.spooled()).length === 0);
    const { code } = await daemon.kill('SIGTERM');
    if (code !== 0) throw new Error(`the daemon ended with ${code}`);
    const operations = readOperations(log);
    const slowestSyncMs = slowestJournalSync(operations);
    const delayMs = delay.take();
    const boundMs = boundOf(slowestSyncMs, delayMs);
    const calls = live.heard(cutMs);
    const { ino: inode } = statSync(dir);
    return { layout, dir, inode, operations, calls, faultMs, boundMs, delayMs, slowestSyncMs };
  } catch (error) {
    for (const line of daemon.logged(40)) console.log(JSON.stringify(line));
    throw error;
  } finally {
    await daemon.kill();
    await delay.close();
    await bot.close();
  }
}

/**
 * What arrives waits for the recorder's next look (half of `flushMs`), then for the next sync (half of `syncMs`, and again half of
 * `flushMs`, because it is begun by a look), then until that sync ends. On a disk that takes up to half of `syncMs` for it that is
 * `syncMs` and `flushMs`; on a slower one a sync has to wait for the one before it: two of them, and `flushMs`. A frame may be cut
 * in two, and each of the threads is late by as much as the machine lets it wait.
 */
function boundOf(slowestSyncMs: number, delayMs: number): number {
  return Math.max(syncMs, 2 * slowestSyncMs) + flushMs + frameMs + delayMs;
}

function slowestJournalSync(operations: readonly FileOperation[]): number {
  const journals = new Set<number>();
  let slowest = 0;
  for (const { kind, path, inode, beginNs, endNs } of operations) {
    if (kind === 'open' && path.endsWith('.journal')) journals.add(inode);
    if (kind === 'sync' && journals.has(inode)) slowest = Math.max(slowest, (endNs - beginNs) / 1e6);
  }
  return slowest;
}

/** The calls of the two lives. */
class LiveCalls {
  readonly #daemon: DaemonProcess;
  readonly #layout: Layout;
  readonly #callers: Caller[] = [];
  readonly #numbered: NumberedCall[] = [];
  readonly #calls: Promise<unknown>[] = [];

  constructor(daemon: DaemonProcess, layout: Layout) {
    this.#daemon = daemon;
    this.#layout = layout;
  }

  async firstLife(): Promise<{ faultMs: number; cutMs: number }> {
    const beganMs = performance.now();
    const until = async (ms: number) => await sleep(beganMs + ms - performance.now());
    await Promise.all([this.#twilio(20), this.#jambonz(20, 16_000, 'stereo'), this.#twilio(3.3)]);
    await until(700);
    await Promise.all([this.#jambonz(2.2, 8000, 'mono'), this.#twilio(0.5)]);
    // Long enough for a part of its own, where the whole call is stored in parts.
    if (this.#layout !== 'chunks') this.#speakNumbered(48_000, 29, 6);
    await until(3500);
    const faultMs = performance.now();
    if (this.#layout === 'chunks') await this.#daemon.fault('recorder', 'exit');
    await until(4800);
    await Promise.all([this.#twilio(0.7), this.#twilio(20)]);
    await until(killedMs);
    // A thread that waits for the disk keeps the process, and its sockets, until the disk has answered; what is said to them is lost.
    const cutMs = performance.now();
    await this.#daemon.kill('SIGKILL');
    await Promise.all(this.#calls);
    return { faultMs: this.#layout === 'chunks' ? faultMs : -Infinity, cutMs };
  }

  async secondLife(): Promise<void> {
    await this.#twilio(1.4);
    await Promise.all(this.#calls);
  }

  /** @param cutMs - when the first life ended */
  heard(cutMs: number): HeardCall[] {
    return [
      ...this.#callers.map((caller) => heardOf(caller.result(), cutMs)),
      ...this.#numbered.map((call) => numberedCall(call, cutMs)),
    ];
  }

  async #twilio(seconds: number): Promise<void> {
    const audio = this.#voice('twilio', 8000, Math.min(seconds, 8));
    const url = this.#daemon.media('/twilio');
    await this.#begin(new TwilioCaller({ url, audio, seconds, accountSid: 'acme' }));
  }

  async #jambonz(seconds: number, sampleRate: number, mixType: 'mono' | 'stereo'): Promise<void> {
    const audio = this.#voice('jambonz', sampleRate, Math.min(seconds, 8));
    const url = this.#daemon.media('/jambonz');
    await this.#begin(new JambonzCaller({ url, audio, seconds, sampleRate, mixType, accountSid: 'acme' }));
  }

  async #begin(caller: Caller): Promise<void> {
    this.#callers.push(caller);
    this.#calls.push(caller.call());
    await once(caller, 'open');
  }

  #speakNumbered(sampleRate: number, seconds: number, speed: number): void {
    const url = this.#daemon.media('/jambonz');
    const options = { url, accountSid: 'acme', callSid: randomUUID(), seed: 1, sampleRate, seconds, speed };
    const call = new NumberedCall(options);
    this.#numbered.push(call);
    this.#calls.push(call.speak());
  }

  /** Another one for each call, so that no call's audio can be taken for another's. */
  #voice(provider: 'twilio' | 'jambonz', sampleRate: number, seconds: number): CallerAudio {
    const seed = this.#callers.length + 1;
    const pcm = (provider === 'twilio' ? loudVoice : callerVoice)(seed, Math.round(seconds * sampleRate));
    return new CallerAudio(pcm, { sampleRate });
  }
}
