import t from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { RecordKind } from '../../src/tap/TapRecord.js';
import { readRecords } from '../../src/tap/RecordReader.js';
import { rest } from './fixtures/FakeClock.js';
import { alice, scene, short } from './fixtures/VisitScene.js';

await t.test('a room is looked for, joined, heard and left', async (t) => {
  const room = scene(t);
  room.visit.begin();
  await rest();
  const [sitter] = room.sitters;
  sitter?.say({ type: 'joined', sid: 'RM_1' });
  sitter?.say({ type: 'laneJoined', participant: alice }, 5);
  room.visit.audio(5, 1234, new Uint8Array(960).fill(1));
  room.visit.open(1, { call: 3, stream: 9 });
  room.visit.audio(5, 1334, new Uint8Array(960).fill(2));
  room.visit.keep = 'length';
  room.visit.audio(5, 1434, new Uint8Array(960).fill(3));
  room.visit.keep = 'nothing';
  room.visit.audio(5, 1534, new Uint8Array(960).fill(4));
  room.visit.leave();
  t.same(sitter?.did, ['join', 'leave']);
  sitter?.say({ type: 'laneLeft', isLost: false }, 5);
  sitter?.say({ type: 'exited', why: 'left', detail: '' });
  t.same(short(room), ['room_joining', 'joined', 'lane 1', 'first_audio', 'lane 1 stop', 'ended properly']);
  const records: unknown[] = [];
  for (const piece of room.reader.peek(0).pieces)
    readRecords(piece, ({ kind, call, stream, arrivalMs, payload }) =>
      records.push([kind, call, stream, arrivalMs, payload.length, payload[0]]),
    );
  t.same(records, [
    [RecordKind.audio, 3, 9, 1234, 960, 1],
    [RecordKind.audio, 3, 9, 1334, 960, 2],
    [RecordKind.muted, 3, 9, 1434, 4, 960 & 255],
  ]);
});

await t.test('a lane that its process has lost is lost, and another one isn’t', async (t) => {
  const room = scene(t);
  room.visit.begin();
  await rest();
  const [sitter] = room.sitters;
  sitter?.say({ type: 'joined', sid: 'RM_1' });
  sitter?.say({ type: 'laneJoined', participant: alice }, 1);
  sitter?.say({ type: 'laneJoined', participant: { ...alice, identity: 'bob' } }, 2);
  sitter?.say({ type: 'laneLeft', isLost: true }, 1);
  sitter?.say({ type: 'laneLeft', isLost: false }, 2);
  t.same(short(room).slice(2), ['lane 1', 'lane 2', 'lane 1 lost', 'lane 2 stop']);
  sitter?.say({ type: 'laneJoined', participant: alice }, 3);
  sitter?.say({ type: 'reconnecting' });
  sitter?.say({ type: 'laneLeft', isLost: false }, 3);
  t.equal(short(room).at(-1), 'lane 3 lost', 'nor is anybody who goes while the server is away');
});

await t.test('a room that is gone before it was joined is not made anew', async (t) => {
  const room = scene(t);
  room.sid = null;
  room.visit.begin();
  await rest();
  t.same(short(room), ['room_joining', 'join_failed room_gone', 'ended room_gone']);
  t.same(room.sitters, []);
});

await t.test('another room of the same name is not the one that was meant', async (t) => {
  const room = scene(t);
  room.sid = 'RM_2';
  room.visit.begin();
  await rest();
  t.same(short(room), ['room_joining', 'join_failed room_gone', 'ended room_gone']);
});

await t.test(
  'a server that can’t be reached is asked again, with a word each time, and given up in the end',
  async (t) => {
    const room = scene(t);
    room.sid = new ReelayError('room_unreachable', { value: 'localhost' });
    room.visit.begin();
    await room.clock.pass(25_000);
    t.notOk(short(room).some((each) => each.startsWith('ended')));
    await room.clock.pass(20_000);
    const told = short(room);
    t.ok(told.filter((each) => each === 'join_failed room_unreachable').length > 3);
    t.equal(told.at(-1), 'ended room_unreachable');
  },
);

await t.test('wrong keys are no matter of patience', async (t) => {
  const room = scene(t);
  room.sid = new ReelayError('room_denied', { value: 'localhost' });
  room.visit.begin();
  await rest();
  t.same(short(room), ['room_joining', 'join_failed room_denied', 'ended room_denied']);
});

await t.test('a recorder that was removed stays away', async (t) => {
  const room = scene(t);
  room.visit.begin();
  await rest();
  room.sitters[0]?.say({ type: 'joined', sid: 'RM_1' });
  room.sitters[0]?.say({ type: 'exited', why: 'removed', detail: 'PARTICIPANT_REMOVED' });
  await room.clock.pass(100_000);
  t.same(short(room).slice(-2), ['room_left removed', 'ended room_removed']);
  t.equal(room.sitters.length, 1);
});

await t.test('a room without a place waits for one, and says so once', async (t) => {
  const room = scene(t);
  room.hasPlace = false;
  room.visit.begin();
  await room.clock.pass(120_000);
  t.same(short(room), ['room_joining', 'join_failed rooms_full']);
  room.hasPlace = true;
  await room.clock.pass(6000);
  t.equal(room.sitters.length, 1);
});

await t.test('whoever leaves at once leaves, wherever it is', async (t) => {
  const looking = scene(t);
  looking.visit.begin();
  looking.visit.leave();
  await rest();
  t.same(short(looking), ['room_joining', 'ended properly']);
  t.same(looking.sitters, []);

  const joining = scene(t);
  joining.visit.begin();
  await rest();
  joining.visit.leave();
  t.same(joining.sitters[0]?.did, ['join', 'leave']);
  await joining.clock.pass(3000);
  t.same(short(joining), ['room_joining', 'ended properly'], 'a process that says nothing isn’t waited for');
});
