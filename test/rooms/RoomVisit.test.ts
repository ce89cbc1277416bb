import t, { type Test } from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { RoomRing } from '../../src/rooms/LaneWriter.js';
import { RoomVisit, type Door, type Sitter } from '../../src/rooms/RoomVisit.js';
import type { RoomInProcess } from '../../src/rooms/RoomProcess.js';
import type { FromRoomProcess } from '../../src/rooms/RoomMessage.js';
import { Counters } from '../../src/tap/Counters.js';
import { createRing } from '../../src/tap/Ring.js';
import type { FromRooms, RoomToJoin } from '../../src/tap/RoomsMessage.js';
import { OwnSequence } from '../../src/tap/Sequence.js';
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
  wasHeard: false,
  generation: 1,
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
  /** Of each place that was asked for, whether it was to be for nobody else. */
  readonly alone: boolean[];
  /** Sid that the server has under the name; null: none; an error: what it answers with. */
  sid: string | null | ReelayError;
  /** Whether there is a place; null: there will be, once a process is ready, and none ever is. */
  hasPlace: boolean | null;
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
  const alone: boolean[] = [];
  const place = async (signal: AbortSignal, isAlone: boolean): Promise<Sitter | null> => {
    alone.push(isAlone);
    await Promise.resolve();
    if (made.hasPlace === null)
      return await new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
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
      ring: new RoomRing(ring, new OwnSequence(), new Counters()),
      post: (message) => said.push(message),
      onMissed: () => undefined,
      onOver: () => undefined,
    },
  );
  const made: Scene = {
    ...{ clock, said, sitters, alone, identities, visit, reader },
    sid: 'RM_1',
    hasPlace: true,
  };
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

/** Lets the process be lost into which it comes next, so long after it is inside; ms. @returns when that was */
async function crash(room: Scene, number: number, afterMs: number): Promise<number> {
  for (let ms = 0; room.sitters.length < number && ms < 20_000; ms += 50) await room.clock.pass(50);
  const beganMs = room.clock.now();
  room.sitters[number - 1]?.say({ type: 'joined', sid: 'RM_1' });
  await room.clock.pass(afterMs);
  room.sitters[number - 1]?.visitor?.processLost('SIGABRT');
  await rest();
  return beganMs;
}

await t.test(
  'a room that breaks each of its processes is joined less and less often, and in the end no more',
  async (t) => {
    const room = scene(t);
    room.visit.begin();
    const began: number[] = [];
    for (let number = 1; number <= 20; number++) {
      if (short(room).at(-1)?.startsWith('ended')) break;
      began.push(await crash(room, number, 1000));
      // What the server says of it changes nothing.
      room.visit.hint();
      await rest();
    }
    const pauses = began.slice(1).map((ms, index) => ms - (began[index] ?? 0) - 1000);
    t.equal(pauses[0], 0, 'the first time it goes back at once');
    t.same(room.alone.slice(0, 4), [false, false, true, true], 'and then into a process of its own');
    t.ok((pauses[1] ?? 0) >= 250);
    t.ok((pauses[5] ?? 0) >= 4000, pauses.join(', '));
    t.equal(short(room).at(-1), 'ended room_worker_lost');
    t.ok(room.clock.now() < 80_000);
  },
);

await t.test(
  'a room that was stayed in for a while between two losses is gone back to at once',
  async (t) => {
    const room = scene(t);
    room.visit.begin();
    await rest();
    for (let number = 1; number <= 10; number++) {
      const beforeMs = room.clock.now();
      t.equal((await crash(room, number, 11_000)) - beforeMs, 0);
    }
    t.equal(room.sitters.length, 11);
  },
);

/** Of the records in the ring: kind, stream, first byte. */
function written({ reader }: Scene): number[][] {
  const records: number[][] = [];
  for (const piece of reader.peek(0).pieces)
    readRecords(piece, ({ kind, stream, payload }) => records.push([kind, stream, payload[0] ?? 0]));
  return records;
}

/** A room in which Alice was heard, too shortly for anybody to say meanwhile where her audio belongs. */
async function shortlyHeard(t: Test): Promise<Scene> {
  const room = scene(t);
  room.visit.begin();
  await rest();
  room.sitters[0]?.say({ type: 'joined', sid: 'RM_1' });
  room.sitters[0]?.say({ type: 'laneJoined', participant: alice }, 1);
  room.visit.audio(1, 1100, new Uint8Array(960).fill(1));
  room.visit.audio(1, 1200, new Uint8Array(960).fill(2));
  room.sitters[0]?.say({ type: 'laneLeft' }, 1);
  t.same(short(room).slice(2), ['lane 1', 'first_audio'], 'its end comes after its audio');
  return room;
}

await t.test(
  'what a lane has said that has left already is kept until it is known where it belongs',
  async (t) => {
    const room = await shortlyHeard(t);
    room.visit.open(1, { call: 3, stream: 9 });
    t.same(written(room), [
      [RecordKind.audio, 9, 1],
      [RecordKind.audio, 9, 2],
    ]);
    t.same(short(room).slice(4), ['lane 1 stop']);
    await room.clock.pass(10_000);
    room.visit.open(1, { call: 3, stream: 9 });
    t.equal(written(room).length, 2, 'once');
    t.equal(short(room).length, 5);
  },
);

await t.test(
  'what was said during a pause stays out, though it is known after it where it belongs',
  async (t) => {
    const room = scene(t);
    room.visit.begin();
    await rest();
    room.sitters[0]?.say({ type: 'joined', sid: 'RM_1' });
    room.sitters[0]?.say({ type: 'laneJoined', participant: alice }, 1);
    room.visit.keep = 'length';
    room.visit.audio(1, 1100, new Uint8Array(960).fill(1));
    room.visit.keep = 'audio';
    room.visit.audio(1, 1200, new Uint8Array(960).fill(2));
    room.visit.open(1, { call: 3, stream: 9 });
    t.same(written(room), [
      [RecordKind.muted, 9, 960 & 255],
      [RecordKind.audio, 9, 2],
    ]);
  },
);

await t.test('where that never becomes known, it is told that it is missing', async (t) => {
  const waited = await shortlyHeard(t);
  await waited.clock.pass(5000);
  t.match(waited.said.slice(4), [
    { type: 'missed', lane: 1, records: 2, sinceMs: 1100 },
    { type: 'laneLeft', lane: 1 },
  ]);

  const ended = await shortlyHeard(t);
  ended.sitters[0]?.say({ type: 'exited', why: 'finished', detail: '' });
  t.match(ended.said.slice(5), [
    { type: 'missed', lane: 1, records: 2, sinceMs: 1100 },
    { type: 'laneLeft', lane: 1 },
    { type: 'ended' },
  ]);
  await ended.clock.pass(10_000);
  t.equal(ended.said.length, 8, 'and once');
  t.same(written(ended), []);
});

await t.test(
  'what a successor of the thread joins it joins under another identity, and hears nobody first',
  async (t) => {
    const rooms = [scene(t), scene(t, { isRejoin: true, wasHeard: true, generation: 2 })];
    for (const room of rooms) {
      room.visit.begin();
      await rest();
      room.sitters[0]?.say({ type: 'joined', sid: 'RM_1' });
      room.sitters[0]?.say({ type: 'laneJoined', participant: alice }, 1);
      room.visit.audio(1, 1100, new Uint8Array(960));
    }
    const identities = rooms.flatMap((room) => room.identities);
    t.same(identities, ['reelay-rec-1-1', 'reelay-rec-2-1']);
    t.same(
      rooms.map((room) => short(room).includes('first_audio')),
      [true, false],
    );
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

await t.test(
  'processes that never get as far as joining are waited for with a word, and not for ever',
  async (t) => {
    const room = scene(t);
    room.hasPlace = null;
    room.visit.begin();
    await room.clock.pass(11_000);
    t.same(short(room), ['room_joining', 'join_failed room_worker_lost']);
    room.visit.leave();
    await room.clock.pass(60_000);
    t.equal(short(room).at(-1), 'ended properly', 'whoever leaves meanwhile leaves');

    const hopeless = scene(t);
    hopeless.hasPlace = null;
    hopeless.visit.begin();
    await hopeless.clock.pass(45_000);
    t.equal(short(hopeless).at(-1), 'ended room_worker_lost');

    const healed = scene(t);
    healed.hasPlace = null;
    healed.visit.begin();
    await healed.clock.pass(9000);
    healed.hasPlace = true;
    await healed.clock.pass(2000);
    t.same(healed.sitters[0]?.did, ['join']);
  },
);

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

await t.test(
  'what a process says late of a try that was given up doesn’t end the one after it',
  async (t) => {
    const room = scene(t);
    room.visit.begin();
    await room.clock.pass(21_000);
    const late = room.sitters[1];
    late?.say({ type: 'exited', why: 'left', detail: '' });
    t.same(late?.did, ['join', 'leave'], 'what it may have joined nevertheless is left');
    await room.clock.pass(2000);
    room.sitters[2]?.say({ type: 'joined', sid: 'RM_1' });
    room.sitters[2]?.say({ type: 'laneJoined', participant: alice }, 1);
    room.sitters[2]?.say({ type: 'exited', why: 'left', detail: '' });
    await rest();
    room.sitters[3]?.say({ type: 'joined', sid: 'RM_1' });
    t.same(short(room), [
      'room_joining',
      'join_failed room_join_failed',
      'join_failed room_worker_lost',
      'joined',
      'lane 1',
      'lane 1 lost',
      'room_left worker_lost',
      'joined',
    ]);
  },
);

await t.test('a process that neither joins nor fails is given up', async (t) => {
  const room = scene(t);
  room.visit.begin();
  await room.clock.pass(20_000);
  t.same(room.sitters[0]?.did, ['join', 'leave']);
  await room.clock.pass(1000);
  t.equal(room.sitters.length, 2);
});
