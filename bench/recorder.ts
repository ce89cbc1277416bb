import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { Journal } from '../src/recorder/Journal.js';
import { openJournal } from '../src/recorder/JournalReader.js';
import { progressEveryMs } from '../src/recorder/Recorder.js';
import type { RecordingSet } from '../src/recorder/RecordingSet.js';
import { WaitingRecords } from '../src/recorder/WaitingRecords.js';
import { unreadIn } from '../src/tap/RecordReader.js';
import { RingReader, createRing } from '../src/tap/Ring.js';
import { RingTap } from '../src/tap/RingTap.js';
import type { StreamTap } from '../src/tap/Tap.js';
import { Encoding, Track, type StreamFacts } from '../src/tap/TapRecord.js';

/*
 * What a frame costs behind the relay, in CPU time: `tap` on the media thread (written into the ring), `record` on the recorder's
 * (journal, timeline, chunk files; sealing's disk work left out). Prints µs per frame, medians of several runs with their spread.
 * Then what an hour of a recorded call costs, all in: syncs, seals and deletions too.
 *
 *     npm run bench:recorder [-- calls seconds runs]
 */
const isChild = process.argv[2] === 'hour';
const [calls = 100, seconds = 20, runs = 5] = process.argv.slice(isChild ? 3 : 2).map(Number);
/** Long enough for two chunks of a minute to be sealed, s. */
const hourSeconds = 130;

const stream: StreamFacts = {
  streamId: 'MZ',
  role: 'call',
  wallClockMs: 0,
  sampleRate: 8000,
  placement: 'timestamp',
  tracks: ['caller'],
  playout: 'queue',
  returnSampleRate: 8000,
  legSampleRate: 8000,
  amendMs: 1500,
  marksTellPlayout: true,
  overrunFingerprint: false,
};

/** Calls that begin at once, and the recorder that takes what they say. Time is what the calls say it is. */
class Bench {
  readonly journal: Journal;
  readonly recordings: RecordingSet;
  readonly #dir = mkdtempSync(join(tmpdir(), 'reelay-bench-'));
  readonly #reader: RingReader;
  readonly #waiting = new WaitingRecords((record) => this.recordings.applyOne(record));
  readonly #streams: StreamTap[];
  readonly #frame = new Uint8Array(160).map((_, i) => i);
  #last = 0;

  constructor(count: number) {
    const ring = createRing(64 * 1024 * 1024);
    const tap = new RingTap(ring);
    this.#reader = new RingReader(ring);
    const home = {
      spoolDir: this.#dir,
      run: <T>(job: () => Promise<T>): Promise<T> => job(),
      started: () => undefined,
      sealed: () => undefined,
      ended: () => undefined,
      failed: () => undefined,
    };
    const daemonDir = join(this.#dir, '.reelay', 'd');
    const opened = openJournal(daemonDir, home, pino({ level: 'silent' })).next();
    if (opened.done !== true) throw new Error('a new journal has nothing to replay');
    ({ journal: this.journal, recordings: this.recordings } = opened.value);
    this.#streams = Array.from({ length: count }, (_, index) => startCall(tap, index));
  }

  /** Both parties of every call say 20 ms, which end at `ms`. */
  say(ms: number): void {
    for (const each of this.#streams) {
      each.audio(Track.caller, Encoding.mulaw, this.#frame, ms - 20, ms);
      each.audio(Track.botSent, Encoding.mulaw, this.#frame, NaN, ms);
    }
  }

  /** What the recorder does at each of its turns. */
  drain(): void {
    const { pieces, first, last } = unreadIn(this.#reader.peek(), this.#last);
    if (pieces.length === 0) return;
    this.journal.append(pieces, first, last);
    for (const records of pieces) this.#waiting.add(records);
    this.#last = last;
    this.#reader.release();
  }

  /** What the recorder does now and then, and at the end: the timelines get what waits for them. */
  flush(): void {
    this.#waiting.flush();
  }

  progress(): void {
    this.flush();
    for (const recording of this.recordings.live) recording.progress();
  }

  async release(): Promise<void> {
    await this.journal.release(this.recordings.neededAfter(this.#last) + 1);
    this.recordings.forget(this.journal.firstSequence);
  }

  remove(): void {
    this.journal.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

function startCall(tap: RingTap, index: number): StreamTap {
  const facts = {
    recordingId: `r${index}`,
    accountId: 'AC',
    provider: 'twilio',
    callId: `CA${index}`,
    wallClockMs: 0,
    sampleRate: 8000,
    channels: 'dual' as const,
    chunkSeconds: 60,
    from: null,
    to: null,
    direction: null,
    parameters: {},
  };
  return tap.startCall(facts, 0).startStream(stream, 0);
}

/** How often growing chunks are written, in whole frames, ms. */
function paceOf(count: number): number {
  return Math.ceil(progressEveryMs(count) / 20) * 20;
}

/** CPU time of all threads of this process, ms. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function framesIn(count: number, duration: number): number {
  return (2 * count * duration * 1000) / 20;
}

/** @returns µs per frame */
function run(): { tap: number; record: number } {
  const bench = new Bench(calls);
  const spent = { tap: 0, record: 0 };
  for (let ms = 20; ms <= seconds * 1000; ms += 20) {
    const begin = cpuMs();
    bench.say(ms);
    const tapped = cpuMs();
    spent.tap += tapped - begin;
    if (ms % 60 === 0) bench.drain();
    if (ms % 500 === 0) bench.flush();
    if (ms % paceOf(calls) === 0) bench.progress();
    spent.record += cpuMs() - tapped;
  }
  bench.drain();
  bench.flush();
  setTimeout(() => bench.remove(), 0);
  const frames = framesIn(calls, seconds);
  return { tap: (spent.tap / frames) * 1000, record: (spent.record / frames) * 1000 };
}

interface Spent {
  readonly tapMs: number;
  readonly recordMs: number;
  /** Given to `write(2)` and its like, and what of it dirtied pages of a disk; null where the kernel doesn't tell. */
  readonly writtenBytes: number | null;
  readonly diskBytes: number | null;
}

/** Calls of {@link hourSeconds}, with everything that the recorder does for them. */
async function hour(count: number): Promise<Spent> {
  const bench = new Bench(count);
  let tapMs = 0;
  const begin = cpuMs();
  const before = ioOfProcess();
  for (let ms = 20; ms <= hourSeconds * 1000; ms += 20) {
    const saying = cpuMs();
    bench.say(ms);
    tapMs += cpuMs() - saying;
    if (ms % 60 === 0) bench.drain();
    if (ms % 500 === 0) bench.flush();
    if (ms % paceOf(count) === 0) bench.progress();
    // As often as the daemon does it, half of `syncMs` apart: each waits for the disk.
    if (ms % 260 === 0) await bench.journal.sync();
    if (ms % 500 === 0) await bench.release();
    if (ms % 100 === 0) await turn();
  }
  bench.drain();
  bench.flush();
  bench.recordings.finish('process_ended');
  await bench.recordings.settled();
  await bench.release();
  const after = ioOfProcess();
  const recordMs = cpuMs() - begin - tapMs;
  bench.remove();
  const between = (key: string): number | null => {
    const [from, to] = [before?.get(key), after?.get(key)];
    return from === undefined || to === undefined ? null : to - from;
  };
  return { tapMs, recordMs, writtenBytes: between('wchar'), diskBytes: between('write_bytes') };
}

/** What Linux counts for this process; undefined elsewhere. */
function ioOfProcess(): Map<string, number> | undefined {
  try {
    const lines = readFileSync('/proc/self/io', 'latin1').trim().split('\n');
    return new Map(lines.map((line) => [line.split(':')[0] ?? '', Number(line.split(':')[1])]));
  } catch {
    return undefined;
  }
}

/** System calls of a process that does it for so many calls, as strace counts them; null where it can't. */
function systemCalls(count: number): number | null {
  const table = join(mkdtempSync(join(tmpdir(), 'reelay-strace-')), 'table');
  const traced = [process.execPath, fileURLToPath(import.meta.url), 'hour', String(count)];
  const { error, status } = spawnSync('strace', ['-f', '-c', '-o', table, ...traced], { stdio: 'ignore' });
  if (error !== undefined || status !== 0) return null;
  // % time, seconds, usecs/call, calls, errors where there were any, name
  const rows = readFileSync(table, 'latin1').split('\n');
  const counts = rows.map((row) => /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*(?<!total)$/.exec(row)?.[1]);
  rmSync(dirname(table), { recursive: true });
  return counts.reduce((sum, each) => sum + Number(each ?? 0), 0);
}

function printFrame(): void {
  run();
  const all = Array.from({ length: runs }, run);
  for (const stage of ['tap', 'record'] as const) {
    const sorted = all.map((each) => each[stage]).sort((a, b) => a - b);
    const [least, median, most] = [sorted[0], sorted[runs >> 1], sorted.at(-1)].map((us) =>
      (us ?? 0).toFixed(2),
    );
    console.log(
      `${stage.padEnd(7)} ${String(median)} µs of CPU per frame (${String(least)} to ${String(most)}, ${runs} runs)`,
    );
  }
}

async function printHour(): Promise<void> {
  const { tapMs, recordMs, writtenBytes, diskBytes } = await hour(calls);
  const share = 3600 / (calls * hourSeconds);
  const [with_, without] = [systemCalls(calls), systemCalls(0)];
  const counted =
    with_ === null || without === null
      ? 'not counted: strace is not installed, or may not trace here'
      : ((with_ - without) * share).toFixed(0);
  const megabytes = (bytes: number | null): string =>
    bytes === null ? 'not told' : ((bytes * share) / 1e6).toFixed(0);
  console.log(`\nfor an hour of one call among ${calls}, of which ${hourSeconds} s were recorded:`);
  console.log(
    `CPU      ${((recordMs * share) / 1000).toFixed(2)} s, and ${((tapMs * share) / 1000).toFixed(2)} s of the tap`,
  );
  console.log(`written  ${megabytes(writtenBytes)} MB, ${megabytes(diskBytes)} MB of them to the disk`);
  console.log(`system   ${counted} calls`);
}

if (isChild) await hour(calls);
else {
  printFrame();
  await printHour();
}
