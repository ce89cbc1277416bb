import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { CallerAudio } from '../../../src/simulators/CallerAudio.js';
import { TwilioCaller } from '../../../src/simulators/TwilioCaller.js';
import { freePort } from '../../fixtures/freePort.js';
import { DaemonProcess, type AccountEntry } from '../DaemonProcess.js';
import { eventually } from '../eventually.js';
import { readStoredCall } from '../StoredCall.js';
import { loudVoice } from '../voice.js';
import { apiKey, apiSecret, LiveKitServer } from './LiveKitServer.js';
import { Participant, type Said } from './Participant.js';
import { place, type Placed } from './Placed.js';
import { RecordedRoom } from './RecordedRoom.js';
import { rate } from './sweeps.js';

/*
 * Rooms of a real LiveKit server, with real participants. Needs the server that `.ci/livekit` builds, in REELAY_LIVEKIT:
 *
 *     REELAY_LIVEKIT=$(.ci/livekit) npm run test:rooms
 *
 * Whether anything drifts in ten minutes, `npm run bench:rooms -- minutes=10` measures.
 */
const binary = process.env['REELAY_LIVEKIT'] ?? '';
const skip = binary === '' ? 'no LiveKit server: REELAY_LIVEKIT names what .ci/livekit builds' : false;
const home = t.testdir();

/** What alignment may miss, of participants among each other and over time, ms. */
const alignmentMs = 40;
const driftMs = 20;
interface Scene {
  readonly daemon: DaemonProcess;
  readonly server: LiveKitServer;
}

/** A server and a daemon that it tells what happens. */
async function scene(
  t: Test,
  name: string,
  options: {
    readonly rooms?: 'all' | 'none';
    readonly accounts?: (url: string) => readonly AccountEntry[];
    readonly limits?: Readonly<Record<string, unknown>>;
    readonly hasWebhooks?: boolean;
  } = {},
): Promise<Scene> {
  const dir = join(home, name);
  const mediaPort = await freePort();
  const { rooms = 'all', accounts, limits = {}, hasWebhooks = true } = options;
  const webhook = hasWebhooks ? `http://127.0.0.1:${mediaPort}/livekit/webhook` : null;
  const server = await LiveKitServer.open(binary, join(dir, 'livekit'), webhook);
  const acme = { id: 'acme', livekit: { url: server.url, apiKey, apiSecret, rooms, departureSeconds: 5 } };
  const daemon = await DaemonProcess.start({
    dir,
    chunkSeconds: 5,
    accounts: accounts?.(server.url) ?? [acme],
    config: { media: { port: mediaPort }, limits },
    env: { REELAY_FAULTS: '1' },
  });
  t.teardown(async () => {
    await daemon.kill();
    await server.kill();
  });
  return { daemon, server };
}

interface LiveRoom {
  readonly recordingId: string;
  readonly samples: number;
  readonly room: { readonly name: string; readonly presence: string; readonly lanes: readonly string[] };
}

async function liveRooms(daemon: DaemonProcess): Promise<LiveRoom[]> {
  const { calls } = await daemon.json<{ calls: (LiveRoom | { room?: undefined })[] }>('/v1/calls');
  return calls.filter((call): call is LiveRoom => call.room !== undefined);
}

async function live(
  daemon: DaemonProcess,
  name: string,
  isIt: (room: LiveRoom) => boolean = () => true,
): Promise<LiveRoom> {
  return await eventually(`room ${name} is being recorded as expected`, async () =>
    (await liveRooms(daemon)).find((each) => each.room.name === name && isIt(each)),
  );
}

function hears(...lanes: readonly string[]) {
  return ({ room }: LiveRoom): boolean => lanes.every((lane) => room.lanes.includes(lane));
}

await t.test('three participants, each on its lane, aligned', { skip, timeout: 900_000 }, async (t) => {
  const { daemon, server } = await scene(t, 'three');
  const long = 21;
  const alice = await Participant.join(t, server, 'support', 'alice');
  const said: Record<string, Said> = {};
  said['alice'] = await alice.say(1, long + 20);
  const { recordingId } = await live(daemon, 'support', hears('alice'));
  const bob = await Participant.join(t, server, 'support', 'bob');
  said['bob'] = await bob.say(2, long + 20);
  await sleep(3000);
  // Late, and under a name that no file may have.
  const carol = await Participant.join(t, server, 'support', 'Carol/ä');
  said['carol'] = await carol.say(3, long + 20);
  await sleep(3000);
  const { trackSid } = said['alice'];
  await server.client.mutePublishedTrack('support', 'alice', trackSid, true);
  await sleep(2000);
  await server.client.mutePublishedTrack('support', 'alice', trackSid, false);
  await bob.kill();
  await sleep(1000);
  const again = await Participant.join(t, server, 'support', 'bob');
  said['again'] = await again.say(4, long + 20);
  await sleep(12_000);
  const { room } = await live(daemon, 'support', hears('alice', 'bob'));
  t.equal(
    room.lanes.filter((lane) => lane.startsWith('carol-')).length,
    1,
    'a lane that may be a file’s name',
  );
  const endMs = Number(process.hrtime.bigint()) / 1e6;
  await Promise.all([alice.leave(), again.leave(), carol.leave()]);

  const recorded = await RecordedRoom.stored(daemon, recordingId);
  const { manifest } = recorded;
  t.match(manifest, { state: 'complete', provider: 'livekit', reason: null });
  const carolsLane = manifest.lanes?.find(({ identity }) => identity === 'Carol/ä')?.lane ?? '';
  const tracks = {
    alice: await recorded.samples('alice'),
    bob: await recorded.samples('bob'),
    carol: await recorded.samples(carolsLane),
  };
  const offsets: Record<string, Placed[]> = {};
  const first = place(tracks.alice, said['alice'], 2, null);
  const lengthOf = (who: string): number => (endMs - (said[who]?.sinceMs ?? 0)) / 1000;
  // The jitter buffer of a track that begins looks for its delay for some seconds: from then on it is judged what drifts, and throughout who lies where.
  for (const [who, track, seconds] of [
    ['alice', tracks.alice, [2, 11, Math.floor(lengthOf('alice')) - 5]],
    ['bob', tracks.bob, [2]],
    ['carol', tracks.carol, [2, 8, Math.floor(lengthOf('carol')) - 5]],
    ['again', tracks.bob, [1, Math.floor(lengthOf('again')) - 5]],
  ] as const) {
    const one = said[who];
    if (one === undefined) continue;
    offsets[who] = seconds.map((second) => place(track, one, second, first.offsetMs));
  }
  for (const [who, all] of Object.entries(offsets)) {
    for (const { found } of all) t.ok(found > 0, `${who} is found again (${found} pieces)`);
    const [early, late] = all.slice(-2).map(({ offsetMs }) => offsetMs);
    if (early === undefined || late === undefined || all.length < 3) continue;
    t.ok(Math.abs(late - early) <= driftMs, `${who} drifts by ${(late - early).toFixed(1)} ms`);
  }
  const all = Object.values(offsets).flatMap((placed) => placed.map(({ offsetMs }) => offsetMs));
  const spread = Math.max(...all) - Math.min(...all);
  const told = Object.entries(offsets).map(
    ([who, placed]) =>
      `${who} ${placed.map(({ offsetMs }) => (offsetMs - first.offsetMs).toFixed(1)).join(', ')}`,
  );
  t.comment(`offsets from the first, ms: ${told.join('; ')}; spread ${spread.toFixed(1)}`);
  const buffers = recorded.events('lane_delay', 'lane_adjusted');
  t.comment(
    `jitter buffers: ${buffers.map(({ type, lane, ms, samples }) => `${type} ${String(lane)} ${String(ms ?? samples)}`).join(', ')}`,
  );
  t.ok(spread <= alignmentMs, `participants lie within ${alignmentMs} ms of each other`);

  const heardAt = tracks.alice.findIndex((sample) => Math.abs(sample) > 500);
  const missedMs = (heardAt * 1000) / rate - first.offsetMs - said['alice'].sinceMs;
  t.comment(`of the first audio published ${missedMs.toFixed(0)} ms are not recorded`);
  t.ok(missedMs <= 1000, 'recording starts within 1 s of the first published audio');

  const muted = recorded.events('lane_muted', 'lane_unmuted').filter(({ lane }) => lane === 'alice');
  t.same(
    muted.map(({ type }) => type),
    ['lane_muted', 'lane_unmuted'],
  );
  const [from = 0, to = 0] = muted.map(({ sample }) => sample);
  const whileMuted = tracks.alice.subarray(from + rate / 2, to - rate / 10);
  t.ok(whileMuted.length > rate && whileMuted.every((sample) => Math.abs(sample) < 300), 'muted is silent');
  t.equal(recorded.events('first_audio').length, 1);
  t.equal(manifest.lanes?.find(({ lane }) => lane === 'bob')?.presence.length, 2, 'bob was there twice');
  const overlap = recorded.secondsOf(recorded.events('lane_joined')[2]) + 1;
  const at = Math.round(overlap * rate);
  const mix = await recorded.samples();
  const sum = [tracks.alice, tracks.bob, tracks.carol].map((track) => track[at] ?? 0);
  t.equal(
    mix[at],
    Math.max(
      -32_768,
      Math.min(
        32_767,
        sum.reduce((a, b) => a + b, 0),
      ),
    ),
    'the sum of all lanes',
  );
  t.notOk(manifest.gaps.some(({ cause }) => cause === 'dropped_by_reelay'));
});

await t.test('a webhook that nobody sends costs seconds', { skip, timeout: 120_000 }, async (t) => {
  const { daemon, server } = await scene(t, 'unhooked', { hasWebhooks: false });
  const alice = await Participant.join(t, server, 'quiet', 'alice');
  await alice.say(5, 60);
  const { recordingId } = await live(daemon, 'quiet', hears('alice'));
  await alice.leave();
  const { manifest } = await RecordedRoom.stored(daemon, recordingId);
  t.equal(manifest.state, 'complete');
});

await t.test(
  'nobody publishes, and somebody stops a second after the start',
  { skip, timeout: 120_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'stopped', { rooms: 'none' });
    await Participant.join(t, server, 'silent', 'alice');
    const asked = await daemon.post('/v1/livekit/rooms/silent/record');
    t.equal(asked.status, 201);
    const { recordingId } = (await asked.json()) as { recordingId: string };
    t.equal((await daemon.post('/v1/livekit/rooms/silent/record')).status, 200, 'it is recorded already');
    await live(daemon, 'silent', ({ room }) => room.presence === 'silent');
    t.equal((await daemon.post(`/v1/recordings/${recordingId}/stop`)).status, 200);
    const silent = await RecordedRoom.stored(daemon, recordingId);
    t.match(silent.manifest, { state: 'complete', reason: null });
    t.equal(silent.events('nobody_published').length, 1);
    t.ok(silent.manifest.durationSeconds >= 5, 'silence from the join on');
    t.ok((await silent.samples()).every((sample) => sample === 0));

    const other = await daemon.post('/v1/livekit/rooms/made/record', { create: true });
    t.equal(other.status, 201);
    const made = (await other.json()) as { recordingId: string };
    await sleep(1000);
    t.equal((await daemon.post(`/v1/recordings/${made.recordingId}/stop`)).status, 200);
    const stopped = await RecordedRoom.stored(daemon, made.recordingId);
    t.match(stopped.manifest, { state: 'complete', reason: null });
    t.equal(stopped.events('room_joining').length, 1);
    t.ok(stopped.manifest.durationSeconds < 4);
  },
);

await t.test(
  'a server that can’t be reached, wrong keys, no such room',
  { skip, timeout: 120_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'refused', {
      accounts: (url) => [
        { id: 'acme', livekit: { url, apiKey, apiSecret, rooms: 'all' } },
        {
          id: 'wrong',
          livekit: { url, apiKey, apiSecret: 'this is not the secret of anybody', rooms: 'all' },
        },
      ],
    });
    const codeOf = async (account: string, name = 'nowhere'): Promise<[number, string]> => {
      const answer = await daemon.post(`/v1/livekit/rooms/${name}/record`, { account });
      return [answer.status, ((await answer.json()) as { code: string }).code];
    };
    t.same(await codeOf('acme'), [404, 'room_unknown']);
    t.same(await codeOf('wrong'), [502, 'room_denied']);
    await eventually('the wrong keys are an alert', () =>
      daemon.logs.some((line) => line['alert'] === true && line['code'] === 'room_denied'),
    );
    await server.kill();
    t.same(await codeOf('acme'), [503, 'room_unreachable']);
    await eventually('the server that is away is an alert', () =>
      daemon.logs.some((line) => line['alert'] === true && line['code'] === 'room_unreachable'),
    );
  },
);

await t.test('a room that is deleted before it could be joined', { skip, timeout: 120_000 }, async (t) => {
  // One place, which is taken.
  const limits = { roomsPerProcess: 1, roomProcesses: 1 };
  const { daemon, server } = await scene(t, 'deleted', { rooms: 'none', limits });
  const record = async (name: string): Promise<string> => {
    const answer = await daemon.post(`/v1/livekit/rooms/${name}/record`, { create: true });
    return ((await answer.json()) as { recordingId: string }).recordingId;
  };
  await record('first');
  await live(daemon, 'first', ({ room }) => room.presence !== 'joining');
  const recordingId = await record('second');
  await eventually('it waits for a place', () =>
    daemon.logs.some((line) => line['recordingId'] === recordingId && line['code'] === 'rooms_full'),
  );
  await server.client.deleteRoom('second');
  const { manifest } = await RecordedRoom.stored(daemon, recordingId);
  t.match(manifest, { state: 'interrupted', reason: 'room_gone' });
  t.same(
    manifest.events.filter(({ type }) => type === 'join_failed').map(({ code }) => code),
    ['rooms_full', 'room_gone'],
  );
});

await t.test(
  'a process that is killed with -9 in the middle of a room',
  { skip, timeout: 180_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'killed', {
      accounts: (url) => [
        { id: 'acme', livekit: { url, apiKey, apiSecret, rooms: 'all', departureSeconds: 5 } },
        { id: 'AC1', resumeSeconds: 0 },
      ],
    });
    const audio = new CallerAudio(loudVoice(7, 30 * 8000), { sampleRate: 8000 });
    const caller = new TwilioCaller({ url: daemon.media('/twilio'), accountSid: 'AC1', audio });
    const call = caller.call();
    const alice = await Participant.join(t, server, 'support', 'alice');
    const said = await alice.say(8, 60);
    const { recordingId } = await live(daemon, 'support', hears('alice'));
    await sleep(5000);
    process.kill(workerOf(daemon.pid), 'SIGKILL');
    await eventually('the loss is noticed', () =>
      daemon.logs.some(({ code }) => code === 'room_worker_lost'),
    );
    await live(daemon, 'support', ({ room }) => room.presence === 'audible');
    await sleep(8000);
    await alice.leave();
    caller.hangUp();
    await call;
    const recorded = await RecordedRoom.stored(daemon, recordingId);
    t.match(recorded.manifest, { state: 'interrupted', reason: 'room_left' });
    const gaps = recorded.manifest.lanes?.[0]?.gaps.filter(({ cause }) => cause === 'room_left') ?? [];
    t.ok(gaps.length > 0, 'the gap has a name');
    const lostMs = (gaps.reduce((sum, { samples }) => sum + samples, 0) * 1000) / rate;
    t.comment(`the process was away for ${lostMs.toFixed(0)} ms`);
    t.ok(lostMs < 3000);
    const track = await recorded.samples('alice');
    const before = place(track, said, 2, null);
    const after = place(track, said, 9, before.offsetMs);
    t.ok(before.found > 0 && after.found > 0, 'both sides are there');
    t.ok(Math.abs(after.offsetMs - before.offsetMs) <= alignmentMs, 'and in their places');
    t.equal(recorded.events('room_left')[0]?.['why'], 'worker_lost');
    const phone = await readStoredCall(await daemon.stored(caller.callSid));
    t.match(phone.manifest, { state: 'complete', gaps: [] }, 'the phone call notices nothing');
  },
);

await t.test('the thread that reads the processes is lost', { skip, timeout: 180_000 }, async (t) => {
  const { daemon, server } = await scene(t, 'threadless');
  const alice = await Participant.join(t, server, 'support', 'alice');
  const said = await alice.say(11, 60);
  const { recordingId } = await live(daemon, 'support', hears('alice'));
  await sleep(5000);
  await daemon.fault('rooms', 'exit');
  await eventually(
    'the loss is noticed',
    async () => (await daemon.metric('reelay_rooms_restarts_total')) === 1,
  );
  await live(daemon, 'support', ({ room }) => room.presence === 'audible');
  await sleep(8000);
  await alice.leave();
  const recorded = await RecordedRoom.stored(daemon, recordingId);
  t.match(recorded.manifest, { state: 'interrupted', reason: 'room_left' });
  t.equal(recorded.events('room_left')[0]?.['why'], 'thread_lost');
  const track = await recorded.samples('alice');
  const before = place(track, said, 2, null);
  const after = place(track, said, 9, before.offsetMs);
  t.ok(before.found > 0 && after.found > 0, 'both sides are there');
  t.ok(Math.abs(after.offsetMs - before.offsetMs) <= alignmentMs, 'and in their places');
});

await t.test(
  'a server that is started again in the middle of a room',
  { skip, timeout: 180_000 },
  async (t) => {
    const { daemon, server } = await scene(t, 'restarted');
    const alice = await Participant.join(t, server, 'support', 'alice');
    const said = await alice.say(9, 150);
    const { recordingId } = await live(daemon, 'support', hears('alice'));
    await sleep(4000);
    await server.kill();
    await sleep(500);
    await server.start();
    await alice.kill();
    const again = await Participant.join(t, server, 'support', 'alice');
    await again.say(10, 60);
    await eventually('the room is heard again', async () =>
      (await liveRooms(daemon)).some(({ room }) => room.name === 'support' && room.presence === 'audible'),
    );
    await sleep(3000);
    await again.leave();
    const recorded = await RecordedRoom.stored(daemon, recordingId);
    const { manifest } = recorded;
    t.match(manifest, { state: 'interrupted', reason: 'room_left' });
    t.comment(
      `${manifest.state} ${String(manifest.reason)}: ${manifest.events.map(({ type }) => type).join(', ')}`,
    );
    t.ok(recorded.events('reconnecting', 'room_left').length > 0, 'it says what has happened');
    const { found } = place(await recorded.samples('alice'), said, 1, null);
    t.ok(found > 0, 'what was heard before is kept');
    t.ok(
      manifest.gaps.some(({ cause, startSample }) => cause === 'room_left' && startSample > 0),
      'and the gap has a name',
    );
  },
);

await t.test('everything kept is whole', { skip, timeout: 120_000 }, (t) => {
  const reelay = new URL('../../../src/cli/reelay.cjs', import.meta.url).pathname;
  for (const name of readdirSync(home)) {
    const store = join(home, name, 'recordings', 'acme');
    for (const path of recordingsIn(store)) {
      const said = execFileSync(process.execPath, [reelay, 'verify', path, '--json'], { encoding: 'utf8' });
      t.ok(said !== '', path);
    }
  }
  t.end();
});

/** The only process that a daemon with one room has for rooms. */
function workerOf(daemon: number): number {
  const workers = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return parent === daemon && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('roomWorker');
      } catch {
        return false;
      }
    });
  const [worker] = workers;
  if (worker === undefined) throw new Error('there is no process for rooms');
  return Number(worker);
}

/** Folders of recordings below an account's: `<day>/<call>/<recording>`. */
function recordingsIn(store: string): string[] {
  const below = (folder: string): string[] => {
    try {
      return readdirSync(folder, { withFileTypes: true })
        .filter((each) => each.isDirectory())
        .map(({ name }) => join(folder, name));
    } catch {
      return [];
    }
  };
  return below(store).flatMap(below).flatMap(below);
}
