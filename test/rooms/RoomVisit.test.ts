import t, { type Test } from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { RoomRing } from '../../src/rooms/LaneWriter.js';
import { RoomVisit, type Door, type Sitter } from '../../src/rooms/RoomVisit.js';
import type { RoomInProcess } from '../../src/rooms/RoomProcess.js';
import type { FromRoomProcess } from '../../src/rooms/RoomMessage.js';
import { Counters } from '../../src/tap/Counters.js';
import { createRing } from '../../src/tap/Ring.js';
import type { FromRooms, RoomToJoin } from '../../src/tap/RoomsMessage.js';
import { SharedSequence } from '../../src/tap/Sequence.js';
import { TapReader } from '../../src/tap/TapReader.js';
import { readRecords } from '../../src/tap/RecordReader.js';
import { RecordKind } from '../../src/tap/TapRecord.js';
import { FakeClock, rest } from './fixtures/FakeClock.js';

const toJoin: RoomToJoin = {
  accountId: 'acme',
  recordingId: 'rec',
  name: 'support',
  sid: 'RM_1',
  url: 'ws://localhost:7880',
  apiKey: 'key',
  apiSecret: 'secret',
  departureSeconds: 20,
  mostLanes: 50,
  sampleRate: 48_000,
  isRejoin: false,
};
const alice = { identity: 'alice', name: 'Alice', kind: 'STANDARD', sid: 'PA_1', source: 'microphone' };

/** A process that does what the test says. */
class FakeSitter implements Sitter {
  visitor: RoomInProcess | null = null;
  readonly did: string[] = [];

  join(_room: number, _request: unknown, visitor: RoomInProcess): void {
    this.did.push('join');
    this.visitor = visitor;
  }

  leave(): void {
    this.did.push('leave');
  }

  forget(): void {
    this.visitor = null;
  }

  release(): void {
    this.did.push('release');
  }

  say(message: FromRoomProcess, lane = 0): void {
    this.visitor?.told(lane, 0, message);
  }
}

interface Scene {
  readonly clock: FakeClock;
  readonly said: FromRooms[];
  readonly sitters: FakeSitter[];
  /** Sid that the server has under the name; null: none; an error: what it answers with. */
  sid: string | null | ReelayError;
  /** Whether there is a place. */
  hasPlace: boolean;
  readonly identities: string[];
  readonly visit: RoomVisit;
  readonly reader: TapReader;
}

function scene(t: Test, change: Partial<RoomToJoin> = {}): Scene {
  const clock = new FakeClock();
  const said: FromRooms[] = [];
  const sitters: FakeSitter[] = [];
  const identities: string[] = [];
  const ring = createRing(4 * 1024 * 1024);
  const reader = new TapReader([ring]);
  const door: Door = {
    rooms: async (names) => {
      await Promise.resolve();
      t.same(names, ['support']);
      if (made.sid instanceof ReelayError) throw made.sid;
      return made.sid === null ? [] : [{ name: 'support', sid: made.sid, participants: 1 }];
    },
    token: async (_room, identity) => {
      identities.push(identity);
      return await Promise.resolve('token');
    },
  };
  const place = async (): Promise<Sitter | null> => {
    await Promise.resolve();
    if (!made.hasPlace) return null;
    const sitter = new FakeSitter();
    sitters.push(sitter);
    return sitter;
  };
  const visit = new RoomVisit(
    1,
    { ...toJoin, ...change },
    {
      sitters: { place, changed: () => undefined },
      door,
      clock,
      ring: new RoomRing(ring, new SharedSequence(), new Counters()),
      post: (message) => said.push(message),
      onMissed: () => undefined,
      onOver: () => undefined,
    },
  );
  const made: Scene = { clock, said, sitters, identities, sid: 'RM_1', hasPlace: true, visit, reader };
  return made;
}

/** What was said, in short. */
function short({ said }: Scene): string[] {
  return said.map((message) => {
    if (message.type === 'event') {
      const { type, code = '', why = '' } = message.facts as { type: string; code?: string; why?: string };
      return [type, code, why].filter((each) => each !== '').join(' ');
    }
    if (message.type === 'laneJoined') return `lane ${message.lane}`;
    if (message.type === 'laneLeft') return `lane ${message.lane} ${message.reason}`;
    return message.type === 'ended' ? `ended ${message.reason ?? 'properly'}` : message.type;
  });
}

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
  sitter?.say({ type: 'laneLeft' }, 5);
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

await t.test(
  'a process that is lost is replaced, under another identity, and its lanes are lost',
  async (t) => {
    const room = scene(t);
    room.visit.begin();
    await rest();
    room.sitters[0]?.say({ type: 'joined', sid: 'RM_1' });
    room.sitters[0]?.say({ type: 'laneJoined', participant: alice }, 1);
    room.sitters[0]?.visitor?.processLost('SIGKILL');
    await rest();
    room.sitters[1]?.say({ type: 'joined', sid: 'RM_1' });
    room.sitters[1]?.say({ type: 'laneJoined', participant: alice }, 1);
    t.same(short(room), [
      'room_joining',
      'joined',
      'lane 1',
      'lane 1 lost',
      'room_left worker_lost',
      'joined',
      'lane 2',
    ]);
    t.equal(new Set(room.identities).size, 2);
  },
);

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

await t.test(
  'whoever was thrown out as the server was started again comes back to the room that others make',
  async (t) => {
    const room = scene(t);
    room.visit.begin();
    await rest();
    room.sitters[0]?.say({ type: 'joined', sid: 'RM_1' });
    room.sid = new ReelayError('room_unreachable', { value: 'localhost' });
    room.sitters[0]?.say({ type: 'exited', why: 'lost', detail: 'SIGNAL_CLOSE' });
    await room.clock.pass(5000);
    room.sid = null;
    await room.clock.pass(10_000);
    room.sid = 'RM_2';
    room.visit.hint();
    await rest();
    room.sitters[1]?.say({ type: 'joined', sid: 'RM_2' });
    const told = short(room);
    t.same(told.slice(0, 3), ['room_joining', 'joined', 'room_left connection_lost']);
    t.ok(told.includes('join_failed room_unreachable'));
    t.ok(told.includes('join_failed room_gone'));
    t.same(told.slice(-2), ['room_replaced', 'joined']);
  },
);

await t.test(
  'lanes that end while the client reconnects are lost, and the room may be another one then',
  async (t) => {
    const room = scene(t);
    room.visit.begin();
    await rest();
    const [sitter] = room.sitters;
    sitter?.say({ type: 'joined', sid: 'RM_1' });
    sitter?.say({ type: 'laneJoined', participant: alice }, 1);
    sitter?.say({ type: 'reconnecting' });
    sitter?.say({ type: 'laneLeft' }, 1);
    sitter?.say({ type: 'reconnected', sid: 'RM_2' });
    sitter?.say({ type: 'laneJoined', participant: alice }, 2);
    sitter?.say({ type: 'laneLeft' }, 2);
    t.same(short(room).slice(2), [
      'lane 1',
      'reconnecting',
      'lane 1 lost',
      'reconnected',
      'room_replaced',
      'lane 2',
      'lane 2 stop',
    ]);
  },
);

await t.test('a room that nobody makes again is given up', async (t) => {
  const room = scene(t);
  room.visit.begin();
  await rest();
  room.sitters[0]?.say({ type: 'joined', sid: 'RM_1' });
  room.sid = null;
  room.sitters[0]?.say({ type: 'exited', why: 'lost', detail: 'SIGNAL_CLOSE' });
  await room.clock.pass(70_000);
  t.equal(short(room).at(-1), 'ended room_gone');
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

await t.test('a process that neither joins nor fails is given up', async (t) => {
  const room = scene(t);
  room.visit.begin();
  await room.clock.pass(20_000);
  t.same(room.sitters[0]?.did, ['join', 'leave']);
  await room.clock.pass(1000);
  t.equal(room.sitters.length, 2);
});
