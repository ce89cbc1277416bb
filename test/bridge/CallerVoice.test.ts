import t from 'tap';
import { CallerVoice } from '../../src/bridge/CallerVoice.js';
import { facts, silence, tone } from './fixtures/bridgedCall.js';
import { FakeRooms, type FakeRoom } from './fixtures/FakeRooms.js';
import { settled, VirtualClock } from './fixtures/VirtualClock.js';

async function speaking(lineRate = 8000): Promise<{
  readonly room: FakeRoom;
  readonly clock: VirtualClock;
  readonly caller: CallerVoice;
}> {
  const [rooms, clock] = [new FakeRooms(), new VirtualClock()];
  const caller = new CallerVoice(lineRate, clock);
  await rooms.join({ call: facts(), callerRate: caller.rate, voiceRate: 8000, owner: {} as never });
  caller.enter(rooms.last);
  return { room: rooms.last, clock, caller };
}

await t.test('what is said is heard in frames of 20 ms, whatever it comes in', async (t) => {
  const { room, clock, caller } = await speaking();
  const spoken = tone(400, 8000);
  for (let at = 0; at < spoken.length;) {
    const length = [160, 37, 801, 160][at % 4] ?? 160;
    caller.hear(spoken.subarray(at, at + length));
    at += length;
    clock.step(length / 8);
    await settled();
  }
  t.ok(room.said.every(({ length }) => length === 160));
  t.strictSame(room.heard, spoken);
  t.equal(room.mostAtOnce, 1);
  t.equal(caller.droppedMs, 0);
});

await t.test('captures follow one another, however slow the room is', async (t) => {
  const { room, clock, caller } = await speaking();
  let open = (): void => undefined;
  room.gate = new Promise((resolve) => (open = resolve));
  for (let i = 0; i < 6; i++) {
    caller.hear(tone(20, 8000));
    clock.step(20);
  }
  await settled();
  t.equal(room.said.length, 0);
  open();
  await settled();
  t.equal(room.said.length, 6);
  t.equal(room.mostAtOnce, 1);
});

await t.test('what comes late and at once never makes the call slower than 240 ms', async (t) => {
  const { room, clock, caller } = await speaking();
  for (let i = 0; i < 100; i++) caller.hear(tone(20, 8000, 300 + i));
  await settled();
  t.ok(room.clears >= 1, 'what waited was dropped');
  t.ok(caller.droppedMs >= 2000 - 320, `${caller.droppedMs} ms of 2 s were dropped`);
  const [newest] = room.said.slice(-1);
  t.strictSame(newest, tone(20, 8000, 399), 'and the newest is said');
  const before = room.said.length;
  clock.step(1000);
  caller.hear(tone(20, 8000));
  await settled();
  t.equal(room.said.length, before + 1);
});

await t.test('a delay is made up for while the caller says nothing', async (t) => {
  const { room, clock, caller } = await speaking();
  for (let i = 0; i < 10; i++) caller.hear(tone(20, 8000));
  await settled();
  t.equal(room.said.length, 10, '200 ms may wait');
  for (let i = 0; i < 50; i++) {
    clock.step(20);
    caller.hear(silence(20, 8000));
    await settled();
  }
  t.equal(caller.droppedMs, 120, 'down to 60 ms');
  t.equal(room.clears, 0);
});

await t.test('a rate that rooms do not take is made one that they do', async (t) => {
  const { room, clock, caller } = await speaking(11_025);
  t.equal(caller.rate, 48_000);
  for (let i = 0; i < 50; i++) {
    caller.hear(tone(20, 11_025).slice(0, 220));
    clock.step(20);
    await settled();
  }
  t.ok(room.said.every(({ length }) => length === 960));
  t.ok(Math.abs(room.said.length - 50) <= 2, `${room.said.length} frames`);
});

await t.test('the caller talks while there is speech, and a moment longer', async (t) => {
  const { clock, caller } = await speaking();
  const say = (ms: number, samples: (ms: number, rate: number) => Int16Array): void => {
    for (let at = 0; at < ms; at += 20) {
      caller.hear(samples(20, 8000));
      clock.step(20);
    }
  };
  say(1000, silence);
  t.notOk(caller.isTalking);
  say(20, tone);
  t.notOk(caller.isTalking, 'a click is no speech');
  say(200, tone);
  t.ok(caller.isTalking);
  say(400, silence);
  t.ok(caller.isTalking);
  say(400, silence);
  t.notOk(caller.isTalking);
});

await t.test('what is said while there is no room is said to nobody, also not later', async (t) => {
  const { room, clock, caller } = await speaking();
  caller.leave();
  caller.hear(tone(500, 8000));
  clock.step(500);
  caller.enter(room);
  caller.hear(tone(20, 8000, 700));
  await settled();
  t.strictSame(room.said, [tone(20, 8000, 700)]);
  t.equal(caller.droppedMs, 0);
});

await t.test('a capture that is never done keeps nobody in the next room from hearing', async (t) => {
  const { room, clock, caller } = await speaking();
  room.gate = new Promise(() => undefined);
  caller.hear(tone(40, 8000));
  await settled();
  const rooms = new FakeRooms();
  await rooms.join({ call: facts(), callerRate: 8000, voiceRate: 8000, owner: {} as never });
  caller.enter(rooms.last);
  clock.step(20);
  caller.hear(tone(20, 8000));
  await settled();
  t.equal(room.said.length, 0);
  t.strictSame(rooms.last.said, [tone(20, 8000)]);
});

await t.test('a capture that is refused costs one frame', async (t) => {
  const { room, clock, caller } = await speaking();
  room.gate = Promise.reject(new Error('InvalidState'));
  caller.hear(tone(20, 8000));
  await settled();
  room.gate = Promise.resolve();
  clock.step(20);
  caller.hear(tone(20, 8000));
  await settled();
  t.equal(room.said.length, 1);
  t.equal(caller.droppedMs, 20);
});
