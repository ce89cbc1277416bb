import t from 'tap';
import { RoomSession } from '../../src/rooms/RoomSession.js';
import type { FromRoomProcess } from '../../src/rooms/RoomMessage.js';
import type { BufferReport } from '../../src/rooms/RoomSdk.js';
import { FakeClock, rest } from './fixtures/FakeClock.js';
import { FakeSdk, FakeTrack } from './fixtures/FakeSdk.js';

const request = {
  type: 'join',
  url: 'ws://localhost:7880',
  token: 'token',
  sampleRate: 48_000,
  departureMs: 20_000,
  mostLanes: 50,
} as const;

interface Scene {
  readonly sdk: FakeSdk;
  readonly clock: FakeClock;
  readonly session: RoomSession;
  readonly told: { readonly lane: number; readonly timeMs: number; readonly message: FromRoomProcess }[];
  readonly heard: { readonly lane: number; readonly timeMs: number; readonly samples: Int16Array }[];
  over: number;
}

function scene(sdk = new FakeSdk()): Scene {
  const clock = new FakeClock();
  const told: Scene['told'] = [];
  const heard: Scene['heard'] = [];
  const made: Scene = { sdk, clock, told, heard, over: 0, session: null as never };
  const session = new RoomSession(request, {
    sdk,
    clock,
    out: {
      audio: (lane, timeMs, samples) => heard.push({ lane, timeMs, samples }),
      tell: (lane, timeMs, message) => told.push({ lane, timeMs, message }),
    },
    onOver: () => made.over++,
    onLeaving: () => undefined,
  });
  return Object.assign(made, { session });
}

function kinds({ told }: Scene): string[] {
  return told.map(({ lane, message }) => (lane === 0 ? message.type : `${message.type} ${lane}`));
}

/** What a jitter buffer tells that has held everything for so long, ms, and made up so many samples. */
function report(emitted: number, delayMs: number, concealed = 0): BufferReport {
  const waitedSeconds = (emitted * delayMs) / 1000;
  return { emitted, played: emitted, waitedSeconds, stretched: 0, madeUp: 0, concealed };
}

await t.test('who is heard becomes a lane, with the time at which each frame was due', async (t) => {
  const room = scene();
  room.sdk.others = 1;
  await room.session.join();
  t.same(room.sdk.joined, [{ url: request.url, token: 'token', sampleRate: 48_000, mostLanes: 50 }]);
  const alice = new FakeTrack('TR_a', 'alice');
  room.sdk.events?.trackHeard(alice);
  const bob = new FakeTrack('TR_b', 'bob', true);
  room.sdk.events?.trackHeard(bob);
  // Bob's line is worse.
  alice.report = report(4800, 20);
  bob.report = report(4800, 90);
  for (let frame = 1; frame <= 6; frame++) {
    await room.clock.pass(100);
    alice.say(new Int16Array(4800).fill(frame));
    bob.say(new Int16Array(4800).fill(-frame));
    await rest();
    if (frame < 5) t.same(room.heard, []);
  }
  t.same(kinds(room).slice(0, 4), ['joined', 'laneJoined 1', 'laneJoined 2', 'laneMuted 2']);
  t.same(
    room.told.slice(4).map(({ lane, message }) => [lane, message]),
    [
      [1, { type: 'laneDelay', ms: 20 }],
      [2, { type: 'laneDelay', ms: 90 }],
    ],
  );
  const heard = (lane: number): number[][] =>
    room.heard.filter((each) => each.lane === lane).map(({ timeMs, samples }) => [timeMs, samples[0] ?? 0]);
  t.same(
    heard(1),
    [1, 2, 3, 4, 5, 6].map((frame) => [980 + frame * 100, frame]),
  );
  t.same(
    heard(2),
    [1, 2, 3, 4, 5, 6].map((frame) => [910 + frame * 100, -frame]),
  );
  room.sdk.events?.trackMuted('TR_b', false);
  alice.end();
  await rest();
  t.same(kinds(room).slice(6), ['laneMuted 2', 'laneLeft 1']);
  room.sdk.events?.trackHeard(new FakeTrack('TR_a2', 'alice'));
  t.equal(kinds(room).at(-1), 'laneJoined 3', 'one that comes again is another lane');
  await room.session.leave();
});

await t.test('what was said is kept, however early a track or the room ends', async (t) => {
  const room = scene();
  await room.session.join();
  const alice = new FakeTrack('TR_a', 'alice');
  const bob = new FakeTrack('TR_b', 'bob');
  room.sdk.events?.trackHeard(alice);
  room.sdk.events?.trackHeard(bob);
  await room.clock.pass(100);
  alice.say(new Int16Array(4800).fill(1));
  alice.end();
  bob.say(new Int16Array(4800).fill(2));
  await rest();
  t.same(
    room.heard.map(({ lane, timeMs }) => [lane, timeMs]),
    [[1, 1100]],
  );
  await room.session.leave();
  t.same(
    room.heard.map(({ lane, timeMs }) => [lane, timeMs]),
    [
      [1, 1100],
      [2, 1100],
    ],
  );
  t.same(kinds(room).slice(3), ['laneLeft 1', 'laneLeft 2', 'exited']);
});

await t.test(
  'a track that is heard anew under the same sid is another lane, and the one before is over',
  async (t) => {
    const room = scene();
    await room.session.join();
    const former = new FakeTrack('TR_a', 'alice');
    room.sdk.events?.trackHeard(former);
    former.say(new Int16Array(4800).fill(1));
    await rest();
    const latter = new FakeTrack('TR_a', 'alice');
    room.sdk.events?.trackHeard(latter);
    t.same(kinds(room), ['joined', 'laneJoined 1', 'laneLeft 1', 'laneJoined 2']);
    former.say(new Int16Array(4800).fill(2));
    former.end();
    latter.say(new Int16Array(4800).fill(3));
    await rest();
    await room.session.leave();
    t.same(kinds(room).slice(4), ['laneLeft 2', 'exited']);
    t.same(
      room.heard.map(({ lane, samples }) => [lane, samples[0]]),
      [
        [1, 1],
        [2, 3],
      ],
    );
  },
);

await t.test('a track that isn’t heard is told with the reason', async (t) => {
  const room = scene();
  await room.session.join();
  const { participant } = new FakeTrack('TR_a', 'alice');
  room.sdk.events?.trackFailed(participant, 'no permission');
  room.sdk.events?.trackFailed(participant, '50 tracks are heard already', 'lanes_full');
  t.match(
    room.told.flatMap(({ message }) => (message.type === 'laneFailed' ? [message] : [])),
    [
      { participant: { identity: 'alice' }, code: null, message: 'no permission' },
      { code: 'lanes_full', message: '50 tracks are heard already' },
    ],
  );
  await room.session.leave();
});

await t.test('it is told once that nobody publishes anything', async (t) => {
  const room = scene();
  await room.session.join();
  await room.clock.pass(4999);
  t.same(kinds(room), ['joined']);
  await room.clock.pass(60_000);
  t.same(kinds(room), ['joined', 'nobodyPublished']);
});

await t.test('somebody who publishes first takes that back', async (t) => {
  const room = scene();
  await room.session.join();
  await room.clock.pass(4000);
  room.sdk.events?.trackHeard(new FakeTrack('TR_a', 'alice'));
  await room.clock.pass(60_000);
  t.same(kinds(room), ['joined', 'laneJoined 1']);
});

await t.test(
  'a room from which everybody has gone is left after a while, and not before anybody was there',
  async (t) => {
    const room = scene();
    await room.session.join();
    await room.clock.pass(3_600_000);
    t.equal(room.over, 0, 'it waits for the first');
    room.sdk.events?.othersChanged(2);
    room.sdk.events?.othersChanged(0);
    await room.clock.pass(19_999);
    room.sdk.events?.othersChanged(1);
    await room.clock.pass(60_000);
    t.equal(room.over, 0, 'somebody has come back');
    room.sdk.events?.othersChanged(0);
    room.sdk.events?.othersChanged(0);
    await room.clock.pass(20_000);
    t.same(room.told.at(-1)?.message, { type: 'exited', why: 'empty', detail: '' });
    t.equal(room.over, 1);
    t.equal(room.sdk.left, 1);
  },
);

await t.test('a room that can’t be joined is told with the reason, and nothing else', async (t) => {
  const sdk = new FakeSdk();
  sdk.refusal = new Error('401 Unauthorized');
  const room = scene(sdk);
  await room.session.join();
  t.same(
    room.told.map(({ message }) => message),
    [{ type: 'joinFailed', message: '401 Unauthorized' }],
  );
  t.equal(room.over, 1);
});

await t.test('whoever leaves while it is still joining leaves all the same', async (t) => {
  const room = scene();
  const joining = room.session.join();
  await room.session.leave();
  await joining;
  t.same(kinds(room), ['exited']);
  t.equal(room.sdk.left, 1);
  t.equal(room.over, 1);
});

await t.test(
  'whoever leaves before it is known which room that is says nothing after its last word',
  async (t) => {
    const sdk = new FakeSdk();
    const join = sdk.join.bind(sdk);
    let tellSid: (sid: string) => void = () => undefined;
    const sid = async (): Promise<string> => await new Promise((resolve) => (tellSid = resolve));
    sdk.join = async (...how) => ({ ...(await join(...how)), sid });
    const room = scene(sdk);
    const joining = room.session.join();
    await rest();
    await room.session.leave();
    tellSid('RM_1');
    await joining;
    await room.clock.pass(60_000);
    t.same(kinds(room), ['exited']);
    t.equal(sdk.left, 1);
  },
);

await t.test('the end of the room ends its lanes, and what comes later is nobody’s', async (t) => {
  const room = scene();
  await room.session.join();
  const alice = new FakeTrack('TR_a', 'alice');
  room.sdk.events?.trackHeard(alice);
  room.sdk.events?.exited('finished', 'ROOM_DELETED');
  room.sdk.events?.exited('lost', 'again');
  room.sdk.events?.reconnecting();
  alice.say(new Int16Array(4800));
  alice.end();
  await room.clock.pass(60_000);
  t.same(kinds(room), ['joined', 'laneJoined 1', 'laneLeft 1', 'exited']);
  t.same(room.told.at(-1)?.message, { type: 'exited', why: 'finished', detail: 'ROOM_DELETED' });
  t.same(room.heard, []);
  t.equal(room.over, 1);
});

/** Of the lanes that were left, in order: number, and whether it was lost. */
function lost({ told }: Scene): [number, boolean][] {
  return told.flatMap(({ lane, message }) => (message.type === 'laneLeft' ? [[lane, message.isLost]] : []));
}

await t.test('a track whose frames can’t be read any more is lost, with a word', async (t) => {
  const room = scene();
  await room.session.join();
  const alice = new FakeTrack('TR_a', 'alice');
  const bob = new FakeTrack('TR_b', 'bob');
  room.sdk.events?.trackHeard(alice);
  room.sdk.events?.trackHeard(bob);
  alice.say(new Int16Array(4800).fill(1));
  alice.fail(new Error('the stream is broken'));
  await rest();
  t.same(kinds(room).slice(3), ['laneFailed', 'laneLeft 1']);
  t.same(
    room.heard.map(({ lane, samples }) => [lane, samples[0]]),
    [[1, 1]],
    'what was said before is kept',
  );
  bob.end();
  await rest();
  t.same(lost(room), [
    [1, true],
    [2, false],
  ]);
  await room.session.leave();
});

await t.test(
  'lanes of a room that is lost are lost, and of one that is left or ended they aren’t',
  async (t) => {
    for (const why of ['lost', 'left', 'finished', 'removed'] as const) {
      const room = scene();
      await room.session.join();
      room.sdk.events?.trackHeard(new FakeTrack('TR_a', 'alice'));
      if (why === 'left') await room.session.leave();
      else room.sdk.events?.exited(why, '');
      t.same(lost(room), [[1, why === 'lost']], why);
    }
  },
);

await t.test('what the jitter buffer has made up is told, when it is worth it, and once', async (t) => {
  const room = scene();
  await room.session.join();
  const alice = new FakeTrack('TR_a', 'alice');
  room.sdk.events?.trackHeard(alice);
  alice.report = report(4800, 0, 4800);
  await room.clock.pass(10_000);
  alice.report = report(9600, 0, 4900);
  await room.clock.pass(10_000);
  alice.report = report(19_200, 0, 14_400);
  await room.clock.pass(10_000);
  t.same(
    room.told.flatMap(({ message }) => (message.type === 'concealed' ? [message.samples] : [])),
    [4800, 9600],
  );
  alice.report = report(24_000, 0, 20_000);
  await room.clock.pass(2000);
  alice.end();
  await rest();
  t.same(
    room.told.slice(-2).map(({ lane, message }) => [lane, message]),
    [
      [1, { type: 'concealed', samples: 5600 }],
      [1, { type: 'laneLeft', isLost: false }],
    ],
    'before a lane ends, too',
  );
  await room.session.leave();
});
