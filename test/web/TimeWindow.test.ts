import fc from 'fast-check';
import t from 'tap';
import { TimeWindow } from '../../src/web/TimeWindow.js';

const total = fc.integer({ min: 0, max: 10_000_000 });
const windows = fc
  .tuple(total, fc.double({ min: -1, max: 2, noNaN: true }), fc.double({ min: -1, max: 2, noNaN: true }))
  .map(([length, from, to]) => new TimeWindow(length, from * length, to * length));

function isSound({ from, to, total: length }: TimeWindow): boolean {
  return from >= 0 && to <= length + 1e-6 && from <= to;
}

void t.test('a window lies within its recording, whatever is done with it', (t) => {
  fc.assert(
    fc.property(
      windows,
      fc.double({ min: 0.001, max: 1000, noNaN: true }),
      fc.double({ min: -2, max: 2, noNaN: true }),
      (window, factor, share) => {
        const at = share * window.total;
        const all = [
          window.zoomed(factor, at),
          window.moved(at),
          window.including(Math.min(Math.max(0, at), window.total)),
          window.grown(window.total + 8000),
        ];
        return all.every(isSound);
      },
    ),
  );
  t.end();
});

void t.test('a pixel leads to the sample that is drawn there', (t) => {
  fc.assert(
    fc.property(
      windows,
      fc.integer({ min: 1, max: 4000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (window, width, share) => {
        const x = share * width;
        const sample = window.sampleAt(x, width);
        return window.length === 0 || Math.abs(window.xOf(sample, width) - x) <= width / window.length + 1e-6;
      },
    ),
  );
  t.end();
});

void t.test('what is zoomed at keeps its place', (t) => {
  const window = new TimeWindow(1_000_000, 200_000, 600_000);
  const at = 300_000;
  const closer = window.zoomed(4, at);
  t.equal(closer.length, 100_000);
  t.equal(closer.xOf(at, 1000), window.xOf(at, 1000));
  t.same(closer.zoomed(0.25, at), window);
  t.ok(closer.zoomed(1e9, at).length >= 800, 'no closer than a tenth of a second');
  t.ok(closer.zoomed(1e-9, at).isWhole);
  t.end();
});

void t.test('a window follows what leaves it, and shows all of what it showed all of', (t) => {
  const window = new TimeWindow(1_000_000, 0, 100_000);
  t.equal(window.including(50_000), window);
  const moved = window.including(150_000);
  t.ok(moved.from < 150_000 && moved.to > 150_000);
  t.equal(moved.length, 100_000);
  t.ok(new TimeWindow(8000).grown(16_000).isWhole);
  t.same(window.grown(2_000_000), new TimeWindow(2_000_000, 0, 100_000));
  t.end();
});

void t.test('ticks are round times, and no more than have room', (t) => {
  const window = new TimeWindow(8000 * 600, 8000 * 61, 8000 * 121);
  const { samples, stepSeconds } = window.ticks(8000, 6);
  t.equal(stepSeconds, 10);
  t.same(
    samples.map((sample) => sample / 8000),
    [70, 80, 90, 100, 110, 120],
  );
  fc.assert(
    fc.property(windows, fc.integer({ min: 1, max: 40 }), (each, most) => {
      const ticks = each.ticks(8000, most);
      return (
        ticks.samples.length <= most + 1 &&
        ticks.samples.every((tick) => tick >= each.from - 1 && tick <= each.to + 1)
      );
    }),
  );
  t.end();
});
