import t from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { rest } from './fixtures/FakeClock.js';
import { alice, scene, short, type Scene } from './fixtures/VisitScene.js';

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

await t.test('a room whose server throws it out again and again shares its process as before', async (t) => {
  const room = scene(t);
  room.visit.begin();
  await rest();
  for (let number = 0; number < 4; number++) {
    room.sitters[number]?.say({ type: 'joined', sid: 'RM_1' });
    room.sitters[number]?.say({ type: 'exited', why: 'lost', detail: 'SIGNAL_CLOSE' });
    await room.clock.pass(2000);
  }
  t.same(room.alone, [false, false, false, false, false]);
});

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
