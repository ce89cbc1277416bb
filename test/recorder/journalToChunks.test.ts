import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { readWavHeader } from '../../src/audio/wav.js';
import { mergeRecording } from '../../src/cli/merge.js';
import { verdictOn } from '../../src/cli/verify.js';
import { Journal } from '../../src/recorder/Journal.js';
import { openJournal, recover } from '../../src/recorder/JournalReader.js';
import type { RecordingSet } from '../../src/recorder/RecordingSet.js';
import { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { RecordKind, Track, type TapRecord } from '../../src/tap/TapRecord.js';
import { keepWav } from '../fixtures/keepWav.js';
import { CallScript, numbered } from './CallScript.js';
import { folderOf, homeOf, journalOf, manifestIn, render, spoolIn } from './journalledSpool.js';
import { encodeRecords } from './encodeRecords.js';

const log = pino({ level: 'silent' });

/** A 23 s call: both parties talk, the caller's frames are lost for a second, the bot is interrupted twice. */
function call(facts: { chunkSeconds: number; recordingId: string }): CallScript {
  const script = new CallScript(facts).at(0).stream();
  for (let ms = 0; ms < 23_000; ms += 20) {
    if (ms % 6000 === 1000) script.at(ms).bot(numbered(ms, 32_000)).mark('m');
    if (ms === 8500 || ms === 14_900) script.at(ms).clear();
    if (ms < 9500 || ms >= 10_500) script.at(ms + 20).caller(numbered(ms * 8, 160), ms);
    if (ms % 1000 === 0) script.at(ms).clock();
  }
  return script.at(23_000).stop().end();
}

function pcmOf(file: string): Buffer {
  const bytes = readFileSync(file);
  const { dataOffset, dataBytes } = readWavHeader(bytes);
  return bytes.subarray(dataOffset, dataOffset + dataBytes);
}

async function merged(folder: string, file: string): Promise<Buffer> {
  await mergeRecording(new RecordingFolder([folder]), file);
  return pcmOf(file);
}

void t.test('a 23 s call in chunks of 5 s and in one: the same, bit for bit', async (t) => {
  const dir = t.testdir();
  const short = spoolIn(dir, 'short');
  const long = spoolIn(dir, 'long');
  const shortCall = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  const longCall = call({ chunkSeconds: 3600, recordingId: 'rec-1' });
  await journalOf(short.daemonDir, shortCall.records, 50);
  await journalOf(long.daemonDir, longCall.records, 50);
  await render(short);
  await render(long);
  const manifest = manifestIn(folderOf(short, shortCall));
  t.strictSame(
    manifest.chunks.map((chunk) => [chunk.startSample, chunk.samples]),
    [
      [0, 40_000],
      [40_000, 40_000],
      [80_000, 40_000],
      [120_000, 40_000],
      [160_000, 24_000],
    ],
  );
  const one = manifestIn(folderOf(long, longCall));
  t.equal(one.chunks.length, 1);
  t.strictSame(one.gaps, manifest.gaps);
  t.strictSame(one.completeness, manifest.completeness);
  t.equal(manifest.state, 'uploading');
  const chunks = await merged(folderOf(short, shortCall), join(dir, 'short.wav'));
  const whole = await merged(folderOf(long, longCall), join(dir, 'long.wav'));
  t.equal(chunks.length, 23 * 8000 * 4);
  t.equal(Buffer.compare(chunks, whole), 0);
  t.equal((await verdictOn(new RecordingFolder([folderOf(short, shortCall)]))).whole, true);
  for (const index of [0, 1, 2, 3, 4]) await keepWav(join(folderOf(short, shortCall), `${index}-audio.wav`));
});

void t.test('what is missing on both sides of a pause that was left out is two gaps', async (t) => {
  const script = new CallScript({ chunkSeconds: 5, recordingId: 'rec-1' }).at(0).stream();
  for (let ms = 0; ms < 8000; ms += 20) {
    // A frame is on its way then, and nothing is known of the bot up to the pause.
    if (ms === 2000) script.at(2010).add(RecordKind.pause, { paused: true, mode: 'skip' });
    // It is heard up to half a second behind the pause.
    if (ms === 3000) script.at(3000).muted(12_000, NaN, Track.botSent);
    if (ms === 4000) script.at(4000).add(RecordKind.pause, { paused: false });
    script.at(ms + 20);
    if (ms >= 2000 && ms < 4000) script.muted(160, ms);
    else script.caller(numbered(ms * 8, 160), ms);
  }
  script.at(8000).stop().end();
  const spool = spoolIn(t.testdir(), 'spool');
  await journalOf(spool.daemonDir, script.records, 50);
  await render(spool);
  const folder = folderOf(spool, script);
  const skipped = { startSample: 16_080, samples: 0, cause: 'paused', skippedSamples: 15_920 };
  const wanted = [
    { channel: 0, startSample: 16_000, samples: 80, cause: 'paused' },
    { channel: 0, ...skipped },
    { channel: 1, startSample: 16_000, samples: 80, cause: 'paused' },
    { channel: 1, ...skipped },
    { channel: 1, startSample: 16_080, samples: 4000, cause: 'paused' },
  ];
  t.same(manifestIn(folder).gaps, wanted);
  t.same(spool.sealed[0]?.gaps, wanted);
  t.strictSame((await verdictOn(new RecordingFolder([folder]))).findings, []);
});

void t.test(
  'wherever the process is killed, what the journal holds is recovered, marked and whole',
  async (t) => {
    const dir = t.testdir();
    const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
    const complete = spoolIn(dir, 'complete');
    await journalOf(complete.daemonDir, script.records, 40);
    await render(complete);
    const reference = await merged(folderOf(complete, script), join(dir, 'complete.wav'));
    for (const kept of [3, 20, 260, 700, 1000]) {
      const spool = spoolIn(dir, `killed-${kept}`);
      await journalOf(spool.daemonDir, script.records.slice(0, kept), 17);
      await render(spool);
      const folder = folderOf(spool, script);
      const manifest = manifestIn(folder);
      t.equal(manifest.state, 'interrupted');
      t.equal(manifest.reason, 'process_ended');
      const verdict = await verdictOn(new RecordingFolder([folder]));
      t.strictSame(verdict.findings, []);
      const audio = await merged(folder, join(dir, `killed-${kept}.wav`));
      const callers = script.records.slice(0, kept).filter((record) => record.track === 1);
      const end = Math.max(0, ...callers.map((record) => (record.providerMs + 20) * 8));
      t.equal(audio.length, end * 4, `everything up to the last frame is there (${kept} records)`);
      t.equal(Buffer.compare(audio, reference.subarray(0, audio.length)), 0);
    }
  },
);

void t.test('a second start after a crash in the middle of recovery gives the same', async (t) => {
  const dir = t.testdir();
  const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  const spool = spoolIn(dir, 'spool');
  const early = script.records.slice(0, 800);
  await journalOf(spool.daemonDir, early, 40);
  // A first successor renders and seals some chunks, and is killed before the call ends.
  const opening = openJournal(spool.daemonDir, homeOf(spool), log);
  let step = opening.next();
  while (step.done !== true) step = opening.next();
  for (const recording of step.value.recordings.live) recording.progress();
  await step.value.recordings.settled();
  t.ok(spool.sealed.length >= 2, 'chunks were sealed');
  const again = spoolIn(dir, 'again');
  cpSync(spool.spoolDir, again.spoolDir, { recursive: true });
  const journal = new Journal(join(again.daemonDir, 'journal'), 200_000);
  for (const batch of journal.replay(() => t.fail('the journal is whole'))) t.ok(batch.last >= batch.first);
  const late = script.records.slice(800);
  journal.append([encodeRecords(late)], late[0]?.sequence ?? 0, late.at(-1)?.sequence ?? 0);
  journal.close();
  await render(again);
  const straight = spoolIn(dir, 'straight');
  await journalOf(straight.daemonDir, script.records, 40);
  await render(straight);
  const one = await merged(folderOf(again, script), join(dir, 'again.wav'));
  const other = await merged(folderOf(straight, script), join(dir, 'straight.wav'));
  t.equal(Buffer.compare(one, other), 0);
  t.strictSame(manifestIn(folderOf(again, script)), manifestIn(folderOf(straight, script)));
  const first = spool.sealed.map((sidecar) => sidecar.sha256);
  t.strictSame(
    first,
    manifestIn(folderOf(again, script))
      .chunks.slice(0, first.length)
      .map((chunk) => chunk.sha256),
    'a sealed chunk never changes',
  );
});

void t.test('a recording that is finished is not rendered again', async (t) => {
  const dir = t.testdir();
  const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  const spool = spoolIn(dir, 'spool');
  await journalOf(spool.daemonDir, script.records, 40);
  await render(spool);
  const sealed = spool.sealed.length;
  await render(spool);
  t.equal(spool.sealed.length, sealed);
});

void t.test('a torn or damaged end of the journal costs only itself', async (t) => {
  const dir = t.testdir();
  const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  for (const damage of ['torn', 'garbage', 'flipped']) {
    const spool = spoolIn(dir, damage);
    await journalOf(spool.daemonDir, script.records.slice(0, 300), 10);
    const folder = join(spool.daemonDir, 'journal');
    const last = join(folder, readdirSync(folder).sort().at(-1) ?? '');
    if (damage === 'torn') truncateSync(last, statSync(last).size - 100);
    if (damage === 'garbage') appendFileSync(last, Buffer.alloc(777, 0x5a));
    if (damage === 'flipped') {
      truncateSync(last, statSync(last).size - 1);
      appendFileSync(last, Buffer.of(0x99));
    }
    await render(spool);
    const manifest = manifestIn(folderOf(spool, script));
    t.equal(manifest.state, 'interrupted');
    const lost = damage === 'garbage' ? 0 : 10;
    const frames = script.records.slice(0, 300 - lost).filter((record) => record.track === 1).length;
    t.equal(manifest.samples, frames * 160, damage);
  }
});

void t.test('recovery forgets the journals of daemons that are gone, and only then', async (t) => {
  const dir = t.testdir();
  const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  const spool = spoolIn(dir, 'spool');
  const adopted = join(spool.daemonDir, 'adopted', 'old');
  await journalOf(adopted, script.records.slice(0, 500), 40);
  const recovery = recover(spool.daemonDir, homeOf(spool), log);
  while ((await recovery.next()).done !== true) t.ok(existsSync(adopted));
  t.notOk(existsSync(adopted));
  t.equal(manifestIn(folderOf(spool, script)).state, 'interrupted');
});

void t.test('the journal keeps only what unsealed chunks need', async (t) => {
  const dir = t.testdir();
  const spool = spoolIn(dir, 'spool');
  const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  await journalOf(spool.daemonDir, script.records.slice(0, -2), 40);
  const opening = openJournal(spool.daemonDir, homeOf(spool), log);
  let step = opening.next();
  while (step.done !== true) step = opening.next();
  const { recordings, journal, lastSequence } = step.value;
  const before = readdirSync(journal.folder).length;
  for (const recording of recordings.live) recording.progress();
  await recordings.settled();
  await journal.release(recordings.neededAfter(lastSequence) + 1);
  t.ok(readdirSync(journal.folder).length < before);
  t.ok(journal.firstSequence > 1);
  recordings.finish('process_ended');
  await recordings.settled();
  await journal.release(recordings.neededAfter(lastSequence) + 1);
  recordings.forget(journal.firstSequence);
  t.ok(readdirSync(journal.folder).length <= 1);
});

void t.test('what cannot be recovered neither stops the rest nor is deleted', async (t) => {
  const dir = t.testdir();
  const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  const spool = spoolIn(dir, 'spool');
  const adopted = join(spool.daemonDir, 'adopted');
  // One is no folder at all, one has lost its beginning, as with a checkpoint that can't be read.
  mkdirSync(adopted, { recursive: true });
  writeFileSync(join(adopted, '0-file'), 'not a journal');
  await journalOf(join(adopted, '1-headless'), script.records.slice(300, 600), 40);
  await journalOf(join(adopted, '2-whole'), script.records.slice(0, 500), 40);
  for (let start = 0; start < 2; start++) {
    const recovery = recover(spool.daemonDir, homeOf(spool), log);
    while ((await recovery.next()).done !== true);
    t.strictSame(readdirSync(adopted), []);
  }
  const quarantine = join(dir, 'spool', '.reelay', 'quarantine');
  const [when = ''] = readdirSync(quarantine);
  const kept = join(quarantine, when, '.reelay', 'd', 'adopted');
  t.strictSame(readdirSync(quarantine), [when], 'it was set aside once');
  t.strictSame(readdirSync(kept).sort(), ['0-file', '1-headless']);
  t.ok(readdirSync(join(kept, '1-headless', 'journal')).length > 0);
  t.equal(manifestIn(folderOf(spool, script)).state, 'interrupted');
});

void t.test(
  'what lies where a checkpoint is to be written is set aside, and hinders no recovery',
  async (t) => {
    const dir = t.testdir();
    const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
    const spool = spoolIn(dir, 'spool');
    const old = join(spool.daemonDir, 'adopted', 'old');
    await journalOf(old, script.records.slice(0, 500), 40);
    mkdirSync(join(old, 'checkpoints', 'rec-1.checkpoint.tmp', 'something'), { recursive: true });
    const recovery = recover(spool.daemonDir, homeOf(spool), log);
    while ((await recovery.next()).done !== true);
    t.notOk(existsSync(old));
    t.equal(manifestIn(folderOf(spool, script)).state, 'interrupted');
    const quarantine = join(dir, 'spool', '.reelay', 'quarantine');
    const [when = ''] = readdirSync(quarantine);
    const kept = join(quarantine, when, '.reelay', 'd', 'adopted', 'old', 'checkpoints');
    t.strictSame(readdirSync(kept), ['rec-1.checkpoint.tmp']);
  },
);

void t.test('a recording that failed holds no journal back while its call goes on', async (t) => {
  const dir = t.testdir();
  const spool = spoolIn(dir, 'spool');
  const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  const failed = { ...script.facts, failed: 'no_store' };
  const start = { ...(script.records[0] ?? fail()), payload: Buffer.from(JSON.stringify(failed)) };
  const records = [start, ...script.records.slice(1)];
  const journal = new Journal(join(spool.daemonDir, 'journal'), 50_000);
  const open = (): RecordingSet => {
    const opening = openJournal(spool.daemonDir, homeOf(spool), log);
    let step = opening.next();
    while (step.done !== true) step = opening.next();
    return step.value.recordings;
  };
  const set = open();
  const feed = (part: TapRecord[], into: RecordingSet): void => {
    journal.append([encodeRecords(part)], part[0]?.sequence ?? 0, part.at(-1)?.sequence ?? 0);
    into.apply(encodeRecords(part));
  };
  feed(records.slice(0, 400), set);
  await set.settled();
  feed(records.slice(400, 1000), set);
  const last = records[999]?.sequence ?? 0;
  t.equal(set.neededAfter(last), last);
  t.match(manifestIn(folderOf(spool, script)), { state: 'failed', endTime: null });
  feed(records.slice(1000, -1), set);
  await journal.sync();
  await journal.release(set.neededAfter(last) + 1);
  // A successor knows the call by its checkpoint, and notes its end.
  const successor = open();
  t.equal(successor.live.length, 1);
  feed(records.slice(-1), successor);
  t.equal(successor.live.length, 0);
  t.equal(
    successor.neededAfter(records.length) < records.length,
    true,
    'until it is written down, the end is needed',
  );
  await successor.settled();
  t.equal(successor.neededAfter(records.length), records.length);
  const ms = (records.at(-1)?.arrivalMs ?? 0) - start.arrivalMs;
  t.match(manifestIn(folderOf(spool, script)), {
    state: 'failed',
    endTime: new Date(script.facts.wallClockMs + ms).toISOString(),
  });
  journal.close();
});

void t.test('until a call is noted as ended, its end stays in the journal', async (t) => {
  const dir = t.testdir();
  const spool = spoolIn(dir, 'spool');
  const script = call({ chunkSeconds: 5, recordingId: 'rec-1' });
  const end = script.records.length;
  const seen: number[] = [];
  const home = homeOf(spool);
  const opening = openJournal(
    spool.daemonDir,
    { ...home, sealed: () => seen.push(opened.recordings.neededAfter(end)) },
    log,
  );
  let step = opening.next();
  while (step.done !== true) step = opening.next();
  const opened = step.value;
  opened.recordings.apply(encodeRecords(script.records));
  await opened.recordings.settled();
  t.equal(seen.length, 5);
  t.ok(seen.every((needed) => needed < end));
  t.equal(opened.recordings.neededAfter(end), end);
});

function fail(): never {
  throw new Error('there is none');
}
