import * as fc from 'fast-check';
import t from 'tap';
import { FrameQueue } from '../../src/relay/FrameQueue.js';
import type { QueuedFrame } from '../../src/relay/FrameQueue.js';

const frames = fc.array(
  fc.record({ audioMs: fc.constantFrom(0, 20, 100), bytes: fc.integer({ min: 1, max: 400 }) }),
  { maxLength: 200 },
);

await t.test(
  'whatever comes, the order holds, audio is bounded, control stays and nothing is lost uncounted',
  (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(frames, (messages) => {
          const queue = new FrameQueue(500);
          const all: QueuedFrame[] = messages.map(({ audioMs, bytes }) => ({
            data: Buffer.alloc(bytes),
            isBinary: false,
            audioMs,
          }));
          const dropped = all.reduce((sum, frame) => sum + queue.push(frame), 0);
          const audioMs = queue.audioMs;
          const kept = queue.drain();
          const positions = kept.map((frame) => all.indexOf(frame));
          const control = (list: readonly QueuedFrame[]): number =>
            list.filter((frame) => frame.audioMs === 0).length;
          return (
            audioMs <= 500 &&
            kept.length + dropped === all.length &&
            control(kept) === control(all) &&
            positions.every((position, index) => index === 0 || position > (positions[index - 1] ?? -1))
          );
        }),
      ),
    );
    t.end();
  },
);

await t.test('the audio that stays is the newest', (t) => {
  const queue = new FrameQueue(100);
  const all = Array.from({ length: 20 }, (_, index) => ({
    data: Buffer.of(index),
    isBinary: true,
    audioMs: 20,
  }));
  for (const frame of all) queue.push(frame);
  t.same(queue.drain(), all.slice(15));
  t.equal(queue.length, 0);
  t.end();
});

await t.test('a flood of control messages is bounded too', (t) => {
  const queue = new FrameQueue(100);
  let dropped = 0;
  for (let index = 0; index < 2000; index++) {
    dropped += queue.push({ data: Buffer.alloc(1024), isBinary: false, audioMs: 0 });
  }
  t.equal(dropped, 2000 - 1024);
  t.end();
});
