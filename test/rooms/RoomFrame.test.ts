import fc from 'fast-check';
import t from 'tap';
import { FrameKind, FrameReader, frameOf, maxFrameBytes, type RoomFrame } from '../../src/rooms/RoomFrame.js';

const frames: RoomFrame[] = [
  { kind: FrameKind.message, lane: 0, room: 7, timeMs: 12.5, payload: Buffer.from('{"type":"left"}') },
  {
    kind: FrameKind.audio,
    lane: 4_294_967_294,
    room: 4_294_967_295,
    timeMs: 1e12 + 0.25,
    payload: Buffer.alloc(960, 3),
  },
  { kind: FrameKind.beat, lane: 0, room: 0, timeMs: 0, payload: Buffer.alloc(0) },
];
const bytes = Buffer.concat(frames.map(frameOf));

function read(pieces: readonly Buffer[]): RoomFrame[] {
  const seen: RoomFrame[] = [];
  const reader = new FrameReader((frame) => seen.push({ ...frame, payload: Buffer.from(frame.payload) }));
  for (const piece of pieces) reader.push(piece);
  return seen;
}

await t.test('frames are read whole wherever the pipe cuts them', (t) => {
  for (let at = 0; at <= bytes.length; at++)
    t.strictSame(read([bytes.subarray(0, at), bytes.subarray(at)]), frames, `cut at ${at}`);
  t.strictSame(read([...bytes].map((byte) => Buffer.of(byte))), frames, 'byte by byte');
  t.end();
});

await t.test('any frames in any pieces', (t) => {
  const frame = fc.record({
    kind: fc.constantFrom(...Object.values(FrameKind)),
    lane: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    room: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    timeMs: fc.double({ noNaN: true, min: 0, max: 1e15 }),
    payload: fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each)),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 20 }), (all, cuts) => {
      const whole = Buffer.concat(all.map(frameOf));
      const edges = [
        0,
        ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b),
        whole.length,
      ];
      const pieces = edges.slice(1).map((edge, index) => whole.subarray(edges[index], edge));
      return JSON.stringify(read(pieces)) === JSON.stringify(all);
    }),
  );
  t.end();
});

await t.test('what claims to be longer than any frame is none', (t) => {
  const wrong = Buffer.alloc(24);
  wrong.writeUInt32LE(maxFrameBytes + 1, 0);
  t.throws(() => read([wrong]), RangeError);
  t.end();
});
