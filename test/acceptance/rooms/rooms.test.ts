import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Participant, type Said } from './Participant.js';
import { place, type Placed } from './Placed.js';
import { RecordedRoom } from './RecordedRoom.js';
import { hears, live, scene, skip, testWhole } from './RoomScene.js';
import { rate } from './sweeps.js';

/*
 * Rooms of a real LiveKit server, with real participants. Needs the server that `.ci/livekit` builds, in REELAY_LIVEKIT:
 *
 *     REELAY_LIVEKIT=$(.ci/livekit) npm run test:rooms
 *
 * What becomes of a recording when something fails is in failures.test.ts. Whether anything drifts in ten minutes,
 * `npm run bench:rooms -- measure=alignment minutes=10` measures.
 */

/** What alignment may miss, of participants among each other and over time, ms. */
const alignmentMs = 40;
const driftMs = 20;
/** How late a recording may begin of which no webhook has told: rooms are looked for every 15 s. */
const mostLateMs = 20_000;

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
  await sleep(16_000);
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
  // The jitter buffer of a track that begins, or is unmuted, looks for its delay for some seconds: from then on it is judged what drifts, and
  // throughout who lies where.
  for (const [who, track, seconds] of [
    ['alice', tracks.alice, [2, 11, 19, Math.floor(lengthOf('alice')) - 5]],
    ['bob', tracks.bob, [2]],
    ['carol', tracks.carol, [2, 8, Math.floor(lengthOf('carol')) - 5]],
    ['again', tracks.bob, [1, Math.floor(lengthOf('again')) - 5]],
  ] as const) {
    const one = said[who];
    if (one === undefined) continue;
    offsets[who] = seconds.map((second) => place(track, one, second, first.offsetMs));
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
  for (const [who, all] of Object.entries(offsets)) {
    for (const { found } of all) t.ok(found > 0, `${who} is found again (${found} pieces)`);
    const [early, late] = all.slice(-2).map(({ offsetMs }) => offsetMs);
    if (early === undefined || late === undefined || all.length < 3) continue;
    t.ok(Math.abs(late - early) <= driftMs, `${who} drifts by ${(late - early).toFixed(1)} ms`);
  }
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
  const { sinceMs } = await alice.say(5, 60);
  const { recordingId } = await live(daemon, 'quiet', hears('alice'));
  const lateMs = Number(process.hrtime.bigint()) / 1e6 - sinceMs;
  t.comment(`heard ${(lateMs / 1000).toFixed(1)} s after the first audio was published`);
  t.ok(lateMs <= mostLateMs, 'the next look at the server finds the room');
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

await t.test('a room has more tracks than are recorded', { skip, timeout: 120_000 }, async (t) => {
  const { daemon, server } = await scene(t, 'full', { limits: { lanesPerRoom: 1 } });
  const alice = await Participant.join(t, server, 'support', 'alice');
  await alice.say(13, 60);
  const { recordingId } = await live(daemon, 'support', hears('alice'));
  const bob = await Participant.join(t, server, 'support', 'bob');
  const said = await bob.say(14, 60);
  await sleep(3000);
  t.same((await live(daemon, 'support')).room.lanes, ['alice']);
  await alice.leave();
  await live(daemon, 'support', hears('bob'));
  await sleep(5000);
  const heardSeconds = (Number(process.hrtime.bigint()) / 1e6 - said.sinceMs) / 1000;
  await bob.leave();
  const recorded = await RecordedRoom.stored(daemon, recordingId);
  t.match(recorded.manifest, { state: 'complete', reason: null });
  t.match(recorded.events('lane_failed'), [{ code: 'lanes_full', identity: 'bob' }]);
  const { found } = place(await recorded.samples('bob'), said, Math.floor(heardSeconds) - 3, null);
  t.ok(found > 0, 'heard when another has gone');
});

await testWhole(t);
