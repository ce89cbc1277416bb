import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { CallerAudio } from '../../../src/simulators/CallerAudio.js';
import { TwilioCaller } from '../../../src/simulators/TwilioCaller.js';
import { eventually } from '../eventually.js';
import { readStoredCall } from '../StoredCall.js';
import { loudVoice } from '../voice.js';
import { apiKey, apiSecret } from './LiveKitServer.js';
import { Participant } from './Participant.js';
import { place } from './Placed.js';
import { RecordedRoom } from './RecordedRoom.js';
import { hears, live, liveRooms, scene, skip, testWhole } from './RoomScene.js';
import { rate } from './sweeps.js';

/*
 * What becomes of the recording of a room when something fails, with a real LiveKit server, which REELAY_LIVEKIT names, and real
 * participants.
 */

/** What alignment may miss, before and after a gap, ms. */
const alignmentMs = 40;
/** Until a room of which no webhook has told would be found: rooms are looked for every 15 s. */
const lookMs = 20_000;

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

await t.test('an admin removes the recorder', { skip, timeout: 120_000 }, async (t) => {
  const { daemon, server } = await scene(t, 'removed');
  const alice = await Participant.join(t, server, 'support', 'alice');
  const said = await alice.say(12, 60);
  const { recordingId } = await live(daemon, 'support', hears('alice'));
  await sleep(4000);
  // Hidden from whoever is in the room, but not from its server.
  const present = await server.client.listParticipants('support');
  const recorder = present.find(({ identity }) => identity.startsWith(`reelay-${recordingId}`));
  await server.client.removeParticipant('support', recorder?.identity ?? '');
  const recorded = await RecordedRoom.stored(daemon, recordingId);
  t.match(recorded.manifest, { state: 'interrupted', reason: 'room_removed' });
  t.equal(recorded.events('room_left')[0]?.['why'], 'removed');
  t.ok(place(await recorded.samples('alice'), said, 1, null).found > 0, 'what was heard before is kept');
  // Until the server's rooms have been looked at again.
  await sleep(lookMs);
  t.same(await liveRooms(daemon), [], 'it stays away');
});

await testWhole(t, 'refused');

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
