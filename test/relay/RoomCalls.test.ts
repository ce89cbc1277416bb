import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import type { Config } from '../../src/config/Config.js';
import { CallTable } from '../../src/relay/CallTable.js';
import { DeclinedRooms } from '../../src/relay/DeclinedRooms.js';
import { RoomCalls } from '../../src/relay/RoomCalls.js';
import { obey } from '../../src/relay/recordingDeeds.js';
import { Counters } from '../../src/tap/Counters.js';
import type { RoomOutcome } from '../../src/tap/RoomRequest.js';
import type { ToRooms } from '../../src/tap/RoomsMessage.js';
import { RecordingTap } from './fixtures/RecordingTap.js';
import { account, config } from './fixtures/Relay.js';

const livekit = {
  url: 'ws://localhost:7880',
  apiKey: 'key',
  apiSecret: 'secret',
  rooms: 'all',
  departureSeconds: 20,
  sampleRate: 48_000,
} as const;
const acme = account({ id: 'acme', livekit, store: { type: 'file', dir: '/nowhere' } });
const alice = { identity: 'alice', name: 'Alice', kind: 'STANDARD', sid: 'PA_1', source: 'microphone' };

interface Scene {
  readonly rooms: RoomCalls;
  readonly calls: CallTable;
  readonly tap: RecordingTap;
  readonly posted: ToRooms[];
  readonly counters: Counters;
  ended: number;
}

function scene(limits: Partial<Config['limits']> = {}, path: string | null = null): Scene {
  const made = unbegun(limits, path);
  made.rooms.begin();
  return made;
}

/** Before the rooms are this daemon's. @param path - of the file of rooms that aren't to be recorded again */
function unbegun(limits: Partial<Config['limits']> = {}, path: string | null = null): Scene {
  const tap = new RecordingTap();
  const counters = new Counters();
  const log = pino({ level: 'silent' });
  const calls = new CallTable({ tap, counters, log, onChange: () => undefined });
  const posted: ToRooms[] = [];
  const whole = config([acme], limits);
  const made: Scene = {
    tap,
    calls,
    posted,
    counters,
    ended: 0,
    rooms: new RoomCalls({
      config: () => whole,
      calls,
      counters,
      declined: new DeclinedRooms(path, log),
      post: (message) => posted.push(message),
      onChange: () => undefined,
      onOver: () => made.ended++,
    }),
  };
  return made;
}

function asked(name: string, sid: string, isAsked = false): Parameters<RoomCalls['record']>[0] {
  return { account: acme, name, sid, isAsked };
}

function idOf(outcome: RoomOutcome): string {
  if ('code' in outcome) throw new Error(outcome.code);
  return outcome.recordingId;
}

await t.test('a room is a call whose lanes are its streams', (t) => {
  const { rooms, calls, tap, posted, counters } = scene();
  const outcome = rooms.record(asked('support', 'RM_1'));
  t.match(outcome, { callId: 'RM_1', recording: 'running', isNew: true });
  t.match(posted, [{ type: 'join', room: 1, toJoin: { name: 'support', sid: 'RM_1', isRejoin: false } }]);
  t.match(tap.calls[0]?.facts, {
    provider: 'livekit',
    callId: 'RM_1',
    channels: 'mixed',
    sampleRate: 48_000,
    room: { name: 'support', sid: 'RM_1' },
  });
  rooms.receive({ type: 'joined', room: 1, sid: 'RM_1', arrivalMs: 1 });
  rooms.receive({ type: 'laneJoined', room: 1, lane: 1, participant: alice, arrivalMs: 2 });
  const address = tap.stream(0, 0).address;
  t.match(posted.at(-1), { type: 'lane', room: 1, lane: 1, address });
  t.match(tap.stream(0, 0).facts, {
    role: 'lane',
    lane: 'alice',
    placement: 'arrival-count',
    participant: alice,
  });
  t.match(calls.views(), [
    { provider: 'livekit', room: { name: 'support', sid: 'RM_1', presence: 'joined', lanes: ['alice'] } },
  ]);
  t.equal(counters.get('rooms'), 1);
  t.equal(counters.get('roomLanes'), 1);
  rooms.receive({ type: 'event', room: 1, lane: 1, facts: { type: 'first_audio' }, arrivalMs: 3 });
  t.match(calls.views(), [{ room: { presence: 'audible' } }]);
  rooms.receive({ type: 'laneLeft', room: 1, lane: 1, reason: 'stop', arrivalMs: 4 });
  t.match(tap.stream(0, 0).end_, { reason: 'stop' });
  rooms.receive({ type: 'ended', room: 1, reason: null, arrivalMs: 5 });
  t.same(tap.calls[0]?.end_, { ended: true });
  t.same(
    tap.calls[0]?.events.map(({ type, lane }) => [type, lane]),
    [
      ['room_joined', undefined],
      ['lane_joined', 'alice'],
      ['first_audio', 'alice'],
      ['lane_left', 'alice'],
    ],
  );
  t.same(calls.views(), []);
  t.equal(counters.get('rooms'), 0);
  t.end();
});

await t.test('a room is recorded once at a time, and told that it is there again', (t) => {
  const { rooms, posted } = scene();
  const first = rooms.record(asked('support', 'RM_1'));
  const second = rooms.record(asked('support', 'RM_2'));
  t.equal(idOf(second), idOf(first));
  t.match(second, { isNew: false });
  t.match(posted.at(-1), { type: 'hint', room: 1, sid: 'RM_2' });
  t.match(rooms.record(asked('sales', 'RM_3')), { isNew: true });
  t.end();
});

await t.test('a room that could not be joined rests, and that is what is said', (t) => {
  const { rooms } = scene();
  rooms.record(asked('support', 'RM_1'));
  rooms.receive({ type: 'ended', room: 1, reason: 'room_join_failed', arrivalMs: 2 });
  const resting = rooms.record(asked('support', 'RM_1'));
  t.match(resting, { code: 'recording_not_live', value: /could not be joined/ });
  t.match(rooms.record(asked('support', 'RM_1', true)), { isNew: true });
  t.end();
});

await t.test('a room that has begun anew is recorded when the one before has ended', (t) => {
  const { rooms, tap, posted } = scene();
  rooms.record(asked('support', 'RM_1'));
  rooms.receive({ type: 'joined', room: 1, sid: 'RM_1', arrivalMs: 1 });
  rooms.record(asked('support', 'RM_2'));
  rooms.receive({ type: 'ended', room: 1, reason: null, arrivalMs: 2 });
  t.match(posted.at(-1), { type: 'join', room: 2, toJoin: { name: 'support', sid: 'RM_2' } });
  rooms.record(asked('support', 'RM_3'));
  const facts = { type: 'room_replaced', sid: 'RM_3', was: 'RM_2' };
  rooms.receive({ type: 'event', room: 2, lane: null, facts, arrivalMs: 3 });
  rooms.receive({ type: 'ended', room: 2, reason: null, arrivalMs: 4 });
  t.equal(rooms.size, 0, 'one in which the recording went on isn’t');
  t.equal(tap.calls.length, 2);
  t.end();
});

await t.test('why a room could not be joined is the reason of its recording', (t) => {
  const { rooms, tap } = scene();
  rooms.record(asked('support', 'RM_1'));
  rooms.receive({
    type: 'event',
    room: 1,
    lane: null,
    facts: { type: 'join_failed', code: 'room_gone' },
    arrivalMs: 1,
  });
  rooms.receive({ type: 'ended', room: 1, reason: 'room_gone', arrivalMs: 2 });
  t.same(tap.calls[0]?.end_, { ended: false, reason: 'room_gone' });
  t.match(rooms.record(asked('support', 'RM_1')), { isNew: true }, 'and it may be tried again');
  t.end();
});

await t.test('a room whose processes are lost again and again isn’t begun again at once', (t) => {
  const { rooms } = scene();
  rooms.record(asked('support', 'RM_1'));
  rooms.receive({ type: 'ended', room: 1, reason: 'room_worker_lost', arrivalMs: 2 });
  t.match(rooms.record(asked('support', 'RM_1')), { code: 'recording_not_live' });
  t.match(rooms.record(asked('support', 'RM_1', true)), { isNew: true }, 'unless somebody asks for it');
  t.end();
});

await t.test('a recording that somebody has ended isn’t begun again by itself', async (t) => {
  const { rooms, calls, tap, posted } = scene();
  const recordingId = idOf(rooms.record(asked('support', 'RM_1')));
  rooms.receive({ type: 'laneJoined', room: 1, lane: 1, participant: alice, arrivalMs: 2 });
  const stopping = obey({ calls, onChange: () => undefined }, { deed: 'stop', recordingId });
  const keep = posted.at(-1);
  t.match(keep, { type: 'keep', keep: 'nothing' });
  if (keep?.type === 'keep') rooms.receive({ type: 'kept', room: 1, id: keep.id });
  t.match(await stopping, { recording: 'stopped' });
  t.match(posted.at(-1), { type: 'leave', room: 1 });
  t.same(tap.calls[0]?.end_, { ended: true });
  t.match(tap.stream(0, 0).end_, { reason: 'relay' });
  t.match(rooms.record(asked('support', 'RM_1')), { code: 'recording_not_live' });
  t.match(rooms.record(asked('support', 'RM_1', true)), { isNew: true }, 'unless somebody asks for it');
});

/** Obeys as the thread that joins rooms does. */
async function told(
  { rooms, calls, posted }: Scene,
  deed: 'pause' | 'resume' | 'stop',
  recordingId: string,
): Promise<void> {
  const request =
    deed === 'pause' ? ({ deed, recordingId, mode: 'silence' } as const) : { deed, recordingId };
  const done = obey({ calls, onChange: () => undefined }, request);
  for (const message of posted.slice(-1))
    if (message.type === 'keep') rooms.receive({ type: 'kept', room: message.room, id: message.id });
  await done;
}

await t.test('what somebody has ended or paused stays so after a restart', async (t) => {
  const path = join(t.testdir({}), 'rooms.json');
  const before = scene({}, path);
  const ids = ['stopped', 'paused', 'resumed', 'running'].map((name) =>
    idOf(before.rooms.record(asked(name, `RM_${name}`))),
  );
  await told(before, 'stop', ids[0] ?? '');
  await told(before, 'pause', ids[1] ?? '');
  await told(before, 'pause', ids[2] ?? '');
  before.rooms.tick();
  await told(before, 'resume', ids[2] ?? '');
  before.rooms.tick();
  await before.rooms.written();
  // It is killed.
  const after = scene({}, path);
  for (const name of ['stopped', 'paused'])
    t.match(after.rooms.record(asked(name, `RM_${name}`)), { code: 'recording_not_live' }, name);
  for (const name of ['resumed', 'running'])
    t.match(after.rooms.record(asked(name, `RM_${name}`)), { isNew: true }, name);
  t.match(after.rooms.record(asked('stopped', 'RM_another')), { isNew: true }, 'another room of its name');
  t.match(after.rooms.record(asked('paused', 'RM_paused', true)), { isNew: true }, 'unless somebody asks');
  await after.rooms.written();
  t.match(scene({}, path).rooms.record(asked('paused', 'RM_paused')), { isNew: true }, 'from then on');
});

await t.test(
  'whoever is taken over from leaves its rooms, and its successor begins after that',
  async (t) => {
    const path = join(t.testdir({}), 'rooms.json');
    const before = scene({}, path);
    const after = unbegun({}, path);
    before.rooms.record(asked('support', 'RM_1'));
    const paused = idOf(before.rooms.record(asked('sales', 'RM_2')));
    t.match(after.rooms.record(asked('support', 'RM_1')), { code: 'starting' });
    t.match(after.rooms.record(asked('sales', 'RM_2')), { code: 'starting' });
    t.same(after.posted, []);
    await told(before, 'pause', paused);
    await before.rooms.handOver();
    t.match(before.posted.slice(-2), [
      { type: 'leave', room: 1 },
      { type: 'leave', room: 2 },
    ]);
    t.match(before.rooms.record(asked('late', 'RM_3')), { code: 'recording_not_live' });
    after.rooms.begin();
    t.match(after.posted, [{ type: 'join', toJoin: { name: 'support' } }], 'and not what was paused');
    before.rooms.receive({ type: 'ended', room: 1, reason: null, arrivalMs: 9 });
    before.rooms.threadLost();
    const said = before.posted.length;
    before.rooms.receive({ type: 'ready' });
    t.equal(before.posted.length, said, 'nor is one joined again that could not be left');
    t.same(
      before.tap.calls.map(({ end_ }) => end_),
      [{ ended: true }, { ended: true }],
    );
    const written = readFileSync(path, 'utf8');
    await before.rooms.written();
    t.equal(readFileSync(path, 'utf8'), written, 'the file is its successor’s');
  },
);

await t.test('a pause is what is kept of what comes, when the other thread says so', async (t) => {
  const { rooms, calls, tap, posted } = scene();
  const recordingId = idOf(rooms.record(asked('support', 'RM_1')));
  for (const [deed, keep] of [
    ['pause', 'length'],
    ['resume', 'audio'],
  ] as const) {
    const request =
      deed === 'pause' ? ({ deed, recordingId, mode: 'silence' } as const) : ({ deed, recordingId } as const);
    const done = obey({ calls, onChange: () => undefined }, request);
    const message = posted.at(-1);
    t.match(message, { type: 'keep', keep });
    if (message?.type === 'keep') rooms.receive({ type: 'kept', room: 1, id: message.id });
    t.match(await done, { recording: deed === 'pause' ? 'paused' : 'running' });
  }
  t.equal(tap.calls.length, 1);
});

await t.test('when the thread is lost its lanes are, and its successor joins again what is up', async (t) => {
  const { rooms, calls, tap, posted } = scene();
  const recordingId = idOf(rooms.record(asked('support', 'RM_1')));
  rooms.receive({ type: 'joined', room: 1, sid: 'RM_1', arrivalMs: 1 });
  rooms.receive({ type: 'laneJoined', room: 1, lane: 1, participant: alice, arrivalMs: 2 });
  rooms.receive({ type: 'event', room: 1, lane: 1, facts: { type: 'first_audio' }, arrivalMs: 3 });
  const pausing = obey({ calls, onChange: () => undefined }, { deed: 'pause', recordingId, mode: 'silence' });
  rooms.threadLost();
  t.match(await pausing, { recording: 'paused' }, 'nobody waits for what can’t be said any more');
  t.match(tap.stream(0, 0).end_, { reason: 'lost' });
  t.equal(tap.calls[0]?.end_, undefined);
  rooms.receive({ type: 'ready' });
  t.match(posted.slice(-2), [
    { type: 'join', toJoin: { isRejoin: true, wasHeard: true, generation: 2, recordingId } },
    { type: 'keep', keep: 'length' },
  ]);
  rooms.receive({ type: 'laneJoined', room: 1, lane: 1, participant: alice, arrivalMs: 9 });
  t.equal(tap.stream(0, 1).facts.lane, 'alice', 'the same lane');
  t.not(tap.stream(0, 1).facts.streamId, tap.stream(0, 0).facts.streamId, 'and another stream');
});

await t.test('what is asked while there is no thread is asked of its successor', async (t) => {
  const { rooms, calls, posted } = scene();
  const recordingId = idOf(rooms.record(asked('support', 'RM_1')));
  rooms.receive({ type: 'joined', room: 1, sid: 'RM_1', arrivalMs: 1 });
  rooms.threadLost();
  const pausing = obey({ calls, onChange: () => undefined }, { deed: 'pause', recordingId, mode: 'silence' });
  // Nobody has heard of it.
  posted.length = 0;
  rooms.receive({ type: 'ready' });
  t.match(
    posted.map(({ type }) => type),
    ['join', 'keep'],
  );
  for (const message of posted)
    if (message.type === 'keep') rooms.receive({ type: 'kept', room: 1, id: message.id });
  t.match(await pausing, { recording: 'paused' });
});

await t.test('a room that is to be left when the thread is lost isn’t joined again', (t) => {
  const { rooms, tap, posted } = scene();
  rooms.record(asked('support', 'RM_1'));
  rooms.receive({ type: 'joined', room: 1, sid: 'RM_1', arrivalMs: 1 });
  rooms.threadLost();
  rooms.leaveAll();
  posted.length = 0;
  rooms.receive({ type: 'ready' });
  t.same(posted, []);
  t.same(tap.calls[0]?.end_, { ended: true });
  t.equal(rooms.size, 0);
  t.end();
});

await t.test('a room that was left while its tracks are still brought isn’t joined again', (t) => {
  const { rooms, calls, tap, posted, counters } = scene();
  const recordingId = idOf(rooms.record(asked('support', 'RM_1')));
  const call = calls.find(() => true);
  const egress = {
    streamId: 'egress',
    role: 'lane',
    upstreamState: 'none',
    comeBack: (then: () => void) => then(),
    beginRecording: () => undefined,
    endRecording: () => undefined,
  } as const;
  call?.attach(egress);
  call?.lanes.set('alice', 1);
  rooms.receive({ type: 'ended', room: 1, reason: null, arrivalMs: 1 });
  t.equal(counters.get('rooms'), 0);
  const before = posted.length;
  rooms.receive({ type: 'ready' });
  t.match(rooms.record(asked('support', 'RM_1')), { recordingId, isNew: false });
  t.equal(posted.length, before, 'nothing is said to the thread that joins rooms');
  t.match(calls.views(), [{ room: { name: 'support', presence: 'audible', lanes: ['alice'] } }]);
  call?.detach(egress, 'stop');
  t.same(tap.calls[0]?.end_, { ended: true });
  t.end();
});

await t.test('what can’t be recorded is said, and not begun', (t) => {
  const full = scene();
  full.calls.isSpoolFull = true;
  t.match(full.rooms.record(asked('support', 'RM_1')), { code: 'spool_full' });
  const ending = scene();
  ending.rooms.isDraining = true;
  t.match(ending.rooms.record(asked('support', 'RM_1')), { code: 'draining' });
  t.same(
    [full, ending].flatMap(({ tap }) => tap.calls),
    [],
  );
  t.end();
});

await t.test('rooms have places of their own, for which a bounded number of others wait', (t) => {
  const few = scene({ calls: 1, roomsPerProcess: 1, roomProcesses: 1 });
  for (let i = 1; i <= 5; i++) t.match(few.rooms.record(asked(`room-${i}`, `RM_${i}`)), { isNew: true });
  t.match(few.rooms.record(asked('room-6', 'RM_6', true)), { code: 'rooms_full' });
  t.match(few.rooms.record(asked('room-5', 'RM_5')), { isNew: false }, 'what is recorded is');
  t.equal(few.tap.calls.length, 5);
  t.equal(few.calls.live, 0, 'no phone call has lost its place');
  few.rooms.receive({ type: 'ended', room: 1, reason: null, arrivalMs: 1 });
  t.match(few.rooms.record(asked('room-6', 'RM_6')), { isNew: true });
  const many = scene({ roomsPerProcess: 3, roomProcesses: 2 });
  for (let i = 1; i <= 12; i++) many.rooms.record(asked(`room-${i}`, `RM_${i}`));
  t.match(many.rooms.record(asked('room-13', 'RM_13')), { code: 'rooms_full' });
  t.equal(many.rooms.size, 12);
  t.end();
});

await t.test('a room of an account without a store is written down as failed, once', (t) => {
  const { rooms, tap, posted } = scene();
  const storeless = { ...asked('support', 'RM_1'), account: { ...acme, store: null } };
  t.match(rooms.record(storeless), { recording: 'off' });
  t.match(tap.calls[0]?.facts, { failed: 'no_store' });
  t.same(posted, []);
  t.match(rooms.record(storeless), { code: 'recording_not_live' });
  t.end();
});

await t.test('two tracks of one source are two lanes while both are there', (t) => {
  const { rooms, tap, posted, calls } = scene();
  rooms.record(asked('support', 'RM_1'));
  rooms.receive({ type: 'joined', room: 1, sid: 'RM_1', arrivalMs: 1 });
  for (const lane of [1, 2, 3])
    rooms.receive({ type: 'laneJoined', room: 1, lane, participant: alice, arrivalMs: lane });
  const [first, second, third] = tap.calls[0]?.streams.map(({ facts }) => facts.lane) ?? [];
  t.equal(first, 'alice');
  t.match(second, /^alice-microphone-2/);
  t.match(third, /^alice-microphone-3/);
  t.match(calls.views(), [{ room: { lanes: [first, second, third] } }]);
  t.match(posted.at(-1), { type: 'lane', lane: 3, address: tap.stream(0, 2).address });
  t.equal(tap.stream(0, 0).end_, undefined, 'the first goes on');
  t.match(tap.stream(0, 1).facts.participant, { source: 'microphone' });
  rooms.receive({ type: 'laneLeft', room: 1, lane: 1, reason: 'stop', arrivalMs: 4 });
  rooms.receive({ type: 'laneJoined', room: 1, lane: 4, participant: alice, arrivalMs: 5 });
  t.equal(tap.stream(0, 3).facts.lane, 'alice', 'and who comes back alone has the one from before');
  t.end();
});

await t.test('the end of the daemon leaves every room', (t) => {
  const scened = scene();
  scened.rooms.record(asked('support', 'RM_1'));
  scened.rooms.record(asked('sales', 'RM_2'));
  scened.rooms.leaveAll();
  t.same(
    scened.posted.slice(-2).map(({ type }) => type),
    ['leave', 'leave'],
  );
  scened.rooms.receive({ type: 'ended', room: 1, reason: null, arrivalMs: 1 });
  t.equal(scened.ended, 1);
  scened.calls.cutShort();
  scened.rooms.cutAll();
  t.equal(scened.ended, 2);
  t.same(
    scened.tap.calls.map(({ end_ }) => end_?.ended),
    [true, false],
  );
  t.equal(scened.rooms.size, 0);
  t.end();
});

await t.test(
  'a recording has no more lanes than it may, however often somebody comes under another name',
  (t) => {
    const { rooms, tap, posted, counters } = scene({ lanesPerRoom: 1 });
    rooms.record(asked('support', 'RM_1'));
    rooms.receive({ type: 'joined', room: 1, sid: 'RM_1', arrivalMs: 1 });
    for (let lane = 1; lane <= 21; lane++) {
      const participant = { ...alice, identity: `visitor-${lane}` };
      rooms.receive({ type: 'laneJoined', room: 1, lane, participant, arrivalMs: lane });
      if (lane < 21) rooms.receive({ type: 'laneLeft', room: 1, lane, reason: 'stop', arrivalMs: lane });
    }
    t.equal(tap.calls[0]?.streams.length, 20);
    t.match(tap.calls[0]?.events.at(-1), { type: 'lane_failed', code: 'lanes_full', identity: 'visitor-21' });
    t.same(posted.at(-1), { type: 'lane', room: 1, lane: 21, address: { call: 0, stream: 0 } });
    t.equal(counters.get('roomLanes'), 0);
    const known = { ...alice, identity: 'visitor-3' };
    rooms.receive({ type: 'laneJoined', room: 1, lane: 22, participant: known, arrivalMs: 30 });
    t.equal(tap.calls[0]?.streams.length, 21, 'who has a lane comes back to it');
    t.end();
  },
);
