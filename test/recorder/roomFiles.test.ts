import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { verdictOn } from '../../src/cli/verify.js';
import { Journal } from '../../src/recorder/Journal.js';
import { openJournal } from '../../src/recorder/JournalReader.js';
import type { Sidecar } from '../../src/spool/Manifest.js';
import { RecordingFolder } from '../../src/spool/RecordingFolder.js';
import { wavOf } from '../fixtures/recording.js';
import { numbered } from './CallScript.js';
import { encodeRecords } from './encodeRecords.js';
import { folderOf, homeOf, journalOf, manifestIn, render, spoolIn } from './journalledSpool.js';
import { RoomScript } from './RoomScript.js';

const log = pino({ level: 'silent' });
const frame = 800;

/** 23 s: alice is there all the time but loses frames; bob from 6 to 8 s; carol from 9.5 s on, drops at 16 s and comes back at 18 s. */
function room(facts: { readonly chunkSeconds: number; readonly layout?: 'single' }): RoomScript {
  const script = new RoomScript({ recordingId: 'rec-1', ...facts }).at(0).event('room_joined');
  const alice = script.enter('alice');
  let [bob, carol] = [0, 0];
  for (let ms = 0; ms < 23_000; ms += 100) {
    script.at(ms);
    if (ms === 6000) bob = script.event('lane_joined', { lane: 'bob' }).enter('bob');
    if (ms === 8000) script.leave(bob).event('lane_left', { lane: 'bob' });
    if (ms === 9500) carol = script.enter('carol');
    if (ms === 16_000) script.leave(carol, 'lost');
    if (ms === 18_000) carol = script.enter('carol');
    script.at(ms + 100);
    if (ms < 12_000 || ms >= 12_500) script.say(alice, numbered(ms * 8, frame));
    if (ms >= 6000 && ms < 8000) script.say(bob, numbered(ms * 8 + 7, frame));
    if ((ms >= 9500 && ms < 16_000) || ms >= 18_000) script.say(carol, numbered(ms * 8 + 13, frame));
    if (ms % 1000 === 0) script.clock();
  }
  return script.at(23_000).leave(alice).leave(carol).end();
}

/** What the file of a lane has to be. */
function laneWav(
  from: number,
  to: number,
  first: number,
  there: readonly (readonly [number, number])[],
): Buffer {
  const pcm = new Int16Array(to - from);
  for (const [low, high] of there) {
    const [start, end] = [Math.max(low, from), Math.min(high, to)];
    if (start < end) pcm.set(numbered(start + first, end - start), start - from);
  }
  return wavOf(pcm, 8000, 1);
}

void t.test('each lane has a file of every chunk in which it was there, as long as the chunk', async (t) => {
  const script = room({ chunkSeconds: 5 });
  const spool = spoolIn(t.testdir(), 'spool');
  await journalOf(spool.daemonDir, script.records, 50);
  await render(spool);
  const folder = folderOf(spool, script);
  const names = readdirSync(folder).filter((name) => name.endsWith('.wav'));
  t.strictSame(names.sort(), [
    ...['0-alice.wav', '0-audio.wav'],
    ...['1-alice.wav', '1-audio.wav', '1-bob.wav', '1-carol.wav'],
    ...['2-alice.wav', '2-audio.wav', '2-carol.wav'],
    ...['3-alice.wav', '3-audio.wav', '3-carol.wav'],
    ...['4-alice.wav', '4-audio.wav', '4-carol.wav'],
  ]);
  const alice = [
    [0, 96_000],
    [100_000, 184_000],
  ] as const;
  const carol = [
    [76_000, 128_000],
    [144_000, 184_000],
  ] as const;
  for (const index of [0, 1, 2, 3, 4]) {
    const [from, to] = [index * 40_000, Math.min(184_000, (index + 1) * 40_000)];
    t.ok(
      readFileSync(join(folder, `${index}-alice.wav`)).equals(laneWav(from, to, 0, alice)),
      `${index}-alice`,
    );
    if (index > 0)
      t.ok(
        readFileSync(join(folder, `${index}-carol.wav`)).equals(laneWav(from, to, 13, carol)),
        `${index}-carol`,
      );
  }
  t.ok(readFileSync(join(folder, '1-bob.wav')).equals(laneWav(40_000, 80_000, 7, [[48_000, 64_000]])));
  const verdict = await verdictOn(new RecordingFolder([folder]));
  t.strictSame(verdict.findings, []);
});

void t.test('sidecars and manifest tell of the lanes, their gaps, and who was there when', async (t) => {
  const script = room({ chunkSeconds: 5 });
  const spool = spoolIn(t.testdir(), 'spool');
  await journalOf(spool.daemonDir, script.records, 50);
  await render(spool);
  const folder = folderOf(spool, script);
  const manifest = manifestIn(folder);
  t.match(manifest, {
    provider: 'livekit',
    room: { name: 'stand-up', sid: 'RM_1' },
    channels: [{ role: 'mixed' }],
  });
  const lost = { channel: 0, startSample: 96_000, samples: 4000, cause: 'lost_by_provider' };
  const away = { channel: 0, startSample: 128_000, samples: 16_000, cause: 'room_left' };
  t.match(manifest.lanes, [
    { lane: 'alice', identity: 'alice', name: 'ALICE', kind: 'STANDARD', source: 'microphone', gaps: [lost] },
    { lane: 'bob', gaps: [], presence: [{ joinedSample: 48_000, leftSample: 64_000, endReason: 'stop' }] },
    {
      lane: 'carol',
      gaps: [away],
      presence: [
        { joinedSample: 76_000, leftSample: 128_000, endReason: 'lost' },
        { joinedSample: 144_000, leftSample: 184_000, endReason: 'stop' },
      ],
    },
  ]);
  t.same(manifest.gaps, [lost, away]);
  t.match(manifest, { state: 'interrupted', reason: 'room_left' });
  t.strictSame(manifest.completeness, [1 - 20_000 / 184_000]);
  const sidecar = JSON.parse(readFileSync(join(folder, '3-metadata.json'), 'utf8')) as Sidecar;
  t.match(sidecar.lanes, [
    { lane: 'alice', identity: 'alice', source: 'microphone', samples: 40_000, bytes: 80_044, gaps: [] },
    { lane: 'carol', gaps: [away] },
  ]);
  t.strictSame(
    sidecar.lanes?.map(({ lane, bytes, sha256 }) => ({ lane, bytes, sha256 })),
    manifest.chunks[3]?.lanes,
  );
});

void t.test('however it is cut into chunks and batches, each lane has the same samples', async (t) => {
  const dir = t.testdir();
  const samples = async (chunkSeconds: number, batch: number): Promise<Map<string, Buffer>> => {
    const script = room({ chunkSeconds });
    const spool = spoolIn(dir, `${chunkSeconds}-${batch}`);
    await journalOf(spool.daemonDir, script.records, batch);
    await render(spool);
    const folder = folderOf(spool, script);
    const found = new Map<string, Buffer>();
    for (const { index, samples } of manifestIn(folder).chunks)
      for (const lane of ['audio', 'alice', 'bob', 'carol']) {
        const there = readdirSync(folder).includes(`${index}-${lane}.wav`);
        const pcm = there
          ? readFileSync(join(folder, `${index}-${lane}.wav`)).subarray(44)
          : Buffer.alloc(samples * 2);
        found.set(lane, Buffer.concat([found.get(lane) ?? Buffer.alloc(0), pcm]));
      }
    return found;
  };
  const whole = await samples(3600, 1000);
  for (const [chunkSeconds, batch] of [
    [5, 50],
    [1, 7],
  ] as const)
    for (const [lane, pcm] of await samples(chunkSeconds, batch))
      t.ok(whole.get(lane)?.equals(pcm), `${lane} in chunks of ${chunkSeconds} s`);
});

void t.test(
  'a recorder that goes on after a crash gives the same files, and changes none that is sealed',
  async (t) => {
    const dir = t.testdir();
    const script = room({ chunkSeconds: 5 });
    const straight = spoolIn(dir, 'straight');
    await journalOf(straight.daemonDir, script.records, 40);
    await render(straight);
    const { length } = script.records;
    for (const kept of [0.3, 0.6, 0.9].map((share) => Math.round(length * share))) {
      const spool = spoolIn(dir, `first-${kept}`);
      await journalOf(spool.daemonDir, script.records.slice(0, kept), 40);
      const opening = openJournal(spool.daemonDir, homeOf(spool), log);
      let step = opening.next();
      while (step.done !== true) step = opening.next();
      for (const recording of step.value.recordings.live) recording.progress();
      await step.value.recordings.settled();
      const again = spoolIn(dir, `again-${kept}`);
      cpSync(spool.spoolDir, again.spoolDir, { recursive: true });
      const journal = new Journal(join(again.daemonDir, 'journal'), 200_000);
      for (const batch of journal.replay(() => t.fail('the journal is whole')))
        t.ok(batch.last >= batch.first);
      const late = script.records.slice(kept);
      journal.append([encodeRecords(late)], late[0]?.sequence ?? 0, late.at(-1)?.sequence ?? 0);
      journal.close();
      await render(again);
      const [one, other] = [folderOf(again, script), folderOf(straight, script)];
      t.strictSame(manifestIn(one), manifestIn(other));
      t.strictSame(readdirSync(one).sort(), readdirSync(other).sort(), 'nothing that grew is left');
      for (const name of readdirSync(one))
        t.ok(readFileSync(join(one, name)).equals(readFileSync(join(other, name))), name);
      t.strictSame((await verdictOn(new RecordingFolder([one]))).findings, []);
    }
  },
);

void t.test('a room that was up when the process was killed is ended, marked and whole', async (t) => {
  const script = room({ chunkSeconds: 5 });
  const spool = spoolIn(t.testdir(), 'spool');
  const kept = script.records.findIndex(({ arrivalMs }) => arrivalMs > 1_013_000);
  await journalOf(spool.daemonDir, script.records.slice(0, kept), 17);
  await render(spool);
  const folder = folderOf(spool, script);
  const manifest = manifestIn(folder);
  t.match(manifest, { state: 'interrupted', reason: 'process_ended' });
  t.equal(manifest.samples, 13_000 * 8);
  t.match(manifest.lanes?.find(({ lane }) => lane === 'carol')?.presence, [
    { leftSample: 104_000, endReason: 'lost' },
  ]);
  t.strictSame((await verdictOn(new RecordingFolder([folder]))).findings, []);
});

void t.test('a room where nobody ever was is recorded silence, with a manifest that says so', async (t) => {
  const script = new RoomScript({ recordingId: 'rec-2', chunkSeconds: 5 }).at(0).event('room_joined');
  for (let ms = 0; ms <= 12_000; ms += 1000) script.at(ms).clock();
  script.at(7000).event('nobody_published').at(12_000).end();
  const spool = spoolIn(t.testdir(), 'spool');
  await journalOf(spool.daemonDir, script.records, 5);
  await render(spool);
  const folder = folderOf(spool, script);
  t.match(manifestIn(folder), {
    state: 'uploading',
    reason: null,
    samples: 96_000,
    lanes: [],
    completeness: [1],
    gaps: [],
  });
  t.strictSame(
    readdirSync(folder)
      .filter((name) => name.endsWith('.wav'))
      .sort(),
    ['0-audio.wav', '1-audio.wav', '2-audio.wav'],
  );
  t.strictSame((await verdictOn(new RecordingFolder([folder]))).findings, []);
});

void t.test('a sidecar says how much of each lane a jitter buffer has made up', async (t) => {
  const script = new RoomScript({ recordingId: 'rec-1', chunkSeconds: 5 }).at(0).event('room_joined');
  const alice = script.enter('alice');
  const bob = script.enter('bob');
  for (let ms = 0; ms < 12_000; ms += 100) {
    script.at(ms);
    if (ms === 3000) script.event('concealed', { lane: 'alice', samples: 480 });
    if (ms === 4500) script.event('concealed', { lane: 'alice', samples: 20 });
    if (ms === 11_000) script.event('concealed', { lane: 'bob', samples: 960 });
    script.at(ms + 100);
    for (const each of [alice, bob]) script.say(each, numbered(ms * 8, frame));
    if (ms % 1000 === 0) script.clock();
  }
  script.at(12_000).leave(alice).leave(bob).end();
  const spool = spoolIn(t.testdir(), 'spool');
  await journalOf(spool.daemonDir, script.records, 50);
  await render(spool);
  const sidecars = [0, 1, 2].map(
    (index) =>
      JSON.parse(readFileSync(join(folderOf(spool, script), `${index}-metadata.json`), 'utf8')) as Sidecar,
  );
  t.strictSame(
    sidecars.map(({ lanes }) => lanes?.map(({ lane, concealedSamples }) => [lane, concealedSamples])),
    [
      [
        ['alice', 500],
        ['bob', 0],
      ],
      [
        ['alice', 0],
        ['bob', 0],
      ],
      [
        ['alice', 0],
        ['bob', 960],
      ],
    ],
  );
});
