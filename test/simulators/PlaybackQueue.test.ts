import fc from 'fast-check';
import t from 'tap';
import { PlaybackQueue } from '../../src/simulators/PlaybackQueue.js';

const rate = 8000;

function counted(samples: number, from = 0): Int16Array {
  return Int16Array.from({ length: samples }, (_none, index) => from + index);
}

await t.test('audio starts when it arrives, or when the queue before it ends', (t) => {
  const queue = new PlaybackQueue<Int16Array>({ sampleRate: rate });
  t.equal(queue.append(counted(160), 100), 800);
  t.equal(queue.append(counted(160), 110), 960, 'it waits for the first');
  t.equal(queue.append(counted(160), 500), 4000, 'the queue had run empty');
  t.same(
    queue.heard(1000).map(({ sampleStart, atMs, audio }) => [sampleStart, atMs, audio.length]),
    [
      [800, 100, 160],
      [960, 120, 160],
      [4000, 500, 160],
    ],
  );
  t.end();
});

await t.test('only what has played so far counts as heard, to the sample', (t) => {
  const queue = new PlaybackQueue<Int16Array>({ sampleRate: rate });
  queue.append(counted(160), 0);
  const [piece] = queue.heard(10);
  t.same(piece?.audio, counted(80));
  t.equal(queue.pending(10), 80);
  t.same(queue.heard(0), []);
  t.end();
});

await t.test('a mark is echoed when playout reaches it, at once on an empty queue', (t) => {
  const queue = new PlaybackQueue<Int16Array>({ sampleRate: rate });
  queue.mark('empty');
  t.same(queue.advance(5), [{ name: 'empty', dueMs: 0, cleared: false }]);
  queue.append(counted(800), 50);
  queue.mark('end');
  t.equal(queue.dueMs, 150);
  t.same(queue.advance(149.9), []);
  t.same(queue.advance(150), [{ name: 'end', dueMs: 150, cleared: false }]);
  t.equal(queue.dueMs, Infinity);
  t.end();
});

await t.test('a clear drops what has not played and echoes all marks in a burst', (t) => {
  const queue = new PlaybackQueue<Int16Array>({ sampleRate: rate });
  for (let index = 0; index < 500; index += 1) {
    queue.append(counted(160, index), index / 10);
    queue.mark(`m${index}`);
  }
  const played = queue.advance(1500);
  t.equal(played.length, 75);
  t.notOk(played.some(({ cleared }) => cleared));
  queue.clear(1510);
  const flushed = queue.advance(1510);
  t.equal(flushed.length, 425);
  t.ok(flushed.every(({ cleared, dueMs }) => cleared && dueMs === 1510));
  t.same([flushed[0]?.name, flushed.at(-1)?.name], ['m75', 'm499']);
  const heard = queue.heard(20_000).reduce((sum, { audio }) => sum + audio.length, 0);
  t.equal(heard, 1510 * 8);
  t.equal(queue.append(counted(160), 1510), 1510 * 8, 'new audio starts at the cut');
  t.end();
});

await t.test('audio beyond ten minutes is refused and counted', (t) => {
  const queue = new PlaybackQueue<Uint8Array>({ sampleRate: rate });
  t.equal(queue.append(new Uint8Array(4_800_000), 0), 0);
  t.equal(queue.append(new Uint8Array(160), 10), null);
  t.equal(queue.append(new Uint8Array(160), 20), 4_800_000, 'there is room again');
  t.same([queue.appended, queue.refused], [4_800_160, 160]);
  t.end();
});

await t.test('a grid starts and cuts playout at ticks only', (t) => {
  const queue = new PlaybackQueue<Int16Array>({ sampleRate: rate, tickMs: 20 });
  t.equal(queue.append(counted(240), 5), 160, 'the next tick');
  t.equal(queue.append(counted(80), 40), 400, 'the tick of 40 ms takes it along');
  t.equal(queue.append(counted(800), 61), 640, 'the tick of 60 ms is over');
  queue.clear(101);
  t.equal(queue.end, 960);
  t.equal(queue.append(counted(160), 101), 960);
  t.end();
});

await t.test('read copies what plays in a stretch and leaves silence alone', (t) => {
  const queue = new PlaybackQueue<Int16Array>({ sampleRate: rate });
  queue.append(counted(4, 1), 1);
  queue.append(counted(4, 5), 1);
  queue.append(counted(4, 9), 3);
  const target = new Int16Array(20).fill(-1);
  queue.read(6, target);
  t.same([...target], [-1, -1, 1, 2, 3, 4, 5, 6, 7, 8, -1, -1, -1, -1, -1, -1, -1, -1, 9, 10]);
  t.end();
});

type Step =
  | { kind: 'append'; samples: number }
  | { kind: 'mark' }
  | { kind: 'clear' }
  | { kind: 'wait'; ms: number }
  | { kind: 'advance' };

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('append' as const), samples: fc.integer({ min: 0, max: 3000 }) }),
    fc.record({ kind: fc.constant('mark' as const) }),
    fc.record({ kind: fc.constant('clear' as const) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.double({ min: 0, max: 400, noNaN: true }) }),
    fc.record({ kind: fc.constant('advance' as const) }),
  ),
  { maxLength: 80 },
);

/** Runs the steps; every sample carries its own number, so that what was heard can be told apart. */
function play(script: readonly Step[], tickMs: number) {
  const queue = new PlaybackQueue<Int16Array>({ sampleRate: rate, tickMs, maxQueueMs: 1500 });
  const echoes: { name: string; cleared: boolean }[] = [];
  let [nowMs, marks, number] = [0, 0, 0];
  for (const step of script) {
    if (step.kind === 'append') {
      const audio = counted(step.samples, number % 30_000);
      number += step.samples;
      queue.append(audio, nowMs);
    } else if (step.kind === 'mark') queue.mark(String(marks++));
    else if (step.kind === 'clear') queue.clear(nowMs);
    else if (step.kind === 'wait') nowMs += step.ms;
    else echoes.push(...queue.advance(nowMs));
  }
  return { queue, echoes, nowMs, marks, number };
}

await t.test('property: heard + cleared + pending = appended, and pieces never overlap', (t) => {
  fc.assert(
    fc.property(steps, fc.constantFrom(0, 20), (script, tickMs) => {
      const { queue, nowMs, number } = play(script, tickMs);
      const heard = queue.heard(nowMs);
      const samples = heard.reduce((sum, { audio }) => sum + audio.length, 0);
      let end = 0;
      for (const { sampleStart, audio } of heard) {
        if (sampleStart < end || audio.length === 0) return false;
        end = sampleStart + audio.length;
      }
      return (
        samples + queue.cleared + queue.pending(nowMs) === queue.appended &&
        queue.appended + queue.refused === number &&
        end <= queue.sampleAt(nowMs)
      );
    }),
    { numRuns: 500 },
  );
  t.end();
});

await t.test('property: every mark is echoed once, in order, and the queue runs dry', (t) => {
  fc.assert(
    fc.property(steps, (script) => {
      const { queue, echoes, nowMs, marks } = play(script, 0);
      const all = [...echoes, ...queue.advance(nowMs + 2000)].map(({ name }) => name);
      return (
        all.join() === Array.from({ length: marks }, (_none, index) => String(index)).join() &&
        queue.pending(nowMs + 2000) === 0
      );
    }),
    { numRuns: 500 },
  );
  t.end();
});

await t.test('property: finish leaves only what was heard', (t) => {
  fc.assert(
    fc.property(steps, (script) => {
      const { queue, nowMs } = play(script, 0);
      const before = JSON.stringify(queue.heard(nowMs));
      queue.finish(nowMs);
      return JSON.stringify(queue.heard(nowMs + 60_000)) === before && queue.advance(nowMs).length === 0;
    }),
  );
  t.end();
});
