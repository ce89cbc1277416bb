import t, { type Test } from 'tap';
import { RecordKind } from '../../src/tap/TapRecord.js';
import { rest } from './fixtures/FakeClock.js';
import { alice, scene, short, written, type Scene } from './fixtures/VisitScene.js';

/** A room in which Alice was heard, too shortly for anybody to say meanwhile where her audio belongs. */
async function shortlyHeard(t: Test): Promise<Scene> {
  const room = scene(t);
  room.visit.begin();
  await rest();
  room.sitters[0]?.say({ type: 'joined', sid: 'RM_1' });
  room.sitters[0]?.say({ type: 'laneJoined', participant: alice }, 1);
  room.visit.audio(1, 1100, new Uint8Array(960).fill(1));
  room.visit.audio(1, 1200, new Uint8Array(960).fill(2));
  room.sitters[0]?.say({ type: 'laneLeft', isLost: false }, 1);
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

  const stopped = await shortlyHeard(t);
  stopped.visit.keep = 'nothing';
  await stopped.clock.pass(5000);
  t.match(stopped.said.slice(4), [{ type: 'laneLeft', lane: 1 }], 'unless nothing is kept any more');
});

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
    sitter?.say({ type: 'laneLeft', isLost: false }, 1);
    sitter?.say({ type: 'reconnected', sid: 'RM_2' });
    sitter?.say({ type: 'laneJoined', participant: alice }, 2);
    sitter?.say({ type: 'laneLeft', isLost: false }, 2);
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
