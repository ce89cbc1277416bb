import { pino } from 'pino';
import t from 'tap';
import { CallTable } from '../../src/relay/CallTable.js';
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

function scene(limit = 10, lanesPerRoom = 50): Scene {
  const tap = new RecordingTap();
  const counters = new Counters();
  const log = pino({ level: 'silent' });
  const calls = new CallTable({ tap, counters, log, onChange: () => undefined });
  const posted: ToRooms[] = [];
  const whole = config([acme], { calls: limit, lanesPerRoom });
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

await t.test('what can’t be recorded is said, and not begun', (t) => {
  const full = scene();
  full.calls.isSpoolFull = true;
  t.match(full.rooms.record(asked('support', 'RM_1')), { code: 'spool_full' });
  const few = scene(1);
  few.rooms.record(asked('support', 'RM_1'));
  t.match(few.rooms.record(asked('sales', 'RM_2')), { code: 'too_many_streams' });
  const ending = scene();
  ending.rooms.isDraining = true;
  t.match(ending.rooms.record(asked('support', 'RM_1')), { code: 'draining' });
  t.same(
    [full, ending].flatMap(({ tap }) => tap.calls),
    [],
  );
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
    const { rooms, tap, posted, counters } = scene(10, 1);
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
