import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Journal } from '../src/recorder/Journal.js';
import { openJournal } from '../src/recorder/JournalReader.js';
import type { RecordingSet } from '../src/recorder/RecordingSet.js';
import { unreadIn } from '../src/tap/RecordReader.js';
import { RingReader, createRing } from '../src/tap/Ring.js';
import { RingTap } from '../src/tap/RingTap.js';
import { Encoding, Track, type StreamFacts } from '../src/tap/TapRecord.js';

/*
 * What a frame costs behind the relay: `tap` on the media thread (written into the ring), `record` on the recorder's (journal,
 * timeline, chunk files; sealing's disk work left out). Prints µs per frame, medians of several runs with their spread.
 *
 *     npm run bench:recorder [-- calls seconds runs]
 */
const [calls = 100, seconds = 20, runs = 5] = process.argv.slice(2).map(Number);

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

function run(): { tap: number; record: number } {
  const dir = mkdtempSync(join(tmpdir(), 'reelay-bench-'));
  const ring = createRing(64 * 1024 * 1024);
  const tap = new RingTap(ring);
  const reader = new RingReader(ring);
  const home = {
    spoolDir: dir,
    run: <T>(job: () => Promise<T>): Promise<T> => job(),
    started: () => undefined,
    sealed: () => undefined,
    ended: () => undefined,
    failed: () => undefined,
  };
  const opened = openJournal(join(dir, '.reelay', 'd'), home, pino({ level: 'silent' })).next();
  if (opened.done !== true) throw new Error('a new journal has nothing to replay');
  const { journal, recordings } = opened.value;
  const streams = Array.from({ length: calls }, (_, index) => {
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
  });
  const frame = new Uint8Array(160).map((_, i) => i);
  const spent = { tap: 0, record: 0 };
  let last = 0;
  for (let ms = 0; ms < seconds * 1000; ms += 20) {
    const begin = performance.now();
    for (const each of streams) {
      each.audio(Track.caller, Encoding.mulaw, frame, ms, ms + 20);
      each.audio(Track.botSent, Encoding.mulaw, frame, NaN, ms + 20);
    }
    const tapped = performance.now();
    spent.tap += tapped - begin;
    if (ms % 60 === 0) last = drain(reader, journal, recordings, last);
    if (ms % 500 === 0) for (const recording of recordings.live) recording.progress();
    spent.record += performance.now() - tapped;
  }
  journal.close();
  setTimeout(() => rmSync(dir, { recursive: true, force: true }), 0);
  const frames = (2 * calls * seconds * 1000) / 20;
  return { tap: (spent.tap / frames) * 1000, record: (spent.record / frames) * 1000 };
}

/** As the recorder does it at each of its turns. */
function drain(reader: RingReader, journal: Journal, recordings: RecordingSet, after: number): number {
  const { pieces, first, last } = unreadIn(reader.peek(), after);
  if (pieces.length === 0) return after;
  journal.append(pieces, first, last);
  for (const records of pieces) recordings.apply(records);
  reader.release();
  return last;
}

run();
const all = Array.from({ length: runs }, run);
for (const stage of ['tap', 'record'] as const) {
  const sorted = all.map((each) => each[stage]).sort((a, b) => a - b);
  const [least, median, most] = [sorted[0], sorted[runs >> 1], sorted.at(-1)].map((us) =>
    (us ?? 0).toFixed(2),
  );
  console.log(
    `${stage.padEnd(7)} ${String(median)} µs per frame (${String(least)} to ${String(most)}, ${runs} runs)`,
  );
}
