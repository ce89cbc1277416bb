import t from 'tap';
import { isOverloaded, rowOf } from '../../bench/peers/Row.js';
import { runOf } from './results.js';

const nginx = [8, 10, 9].map((liveUs) => runOf({ subject: 'nginx', liveUs }));

void t.test('medians, least and most of the runs', (t) => {
  const row = rowOf(
    [12, 30, 11].map((liveUs) => runOf({ subject: 'ws', liveUs })),
    nginx,
  );
  t.same(row.liveUs, { median: 12, least: 11, most: 30 });
  t.equal(row.runs, 3);
  t.end();
});

void t.test('ratios are those of the same round', (t) => {
  // Twice the base in every round, though both drift.
  const row = rowOf(
    [16, 20, 18].map((liveUs) => runOf({ subject: 'ws', liveUs })),
    nginx,
  );
  const { value, low, high } = row.cpuRatio ?? { value: NaN, low: NaN, high: NaN };
  for (const each of [value, low, high]) t.ok(Math.abs(each - 2) < 1e-9, `${each} is 2`);
  t.end();
});

void t.test('a round that either of them lacks is left out of the ratio', (t) => {
  const runs = [16, 99, 18].map((liveUs, round) => (round === 1 ? null : runOf({ subject: 'ws', liveUs })));
  t.ok(Math.abs((rowOf(runs, nginx).cpuRatio?.value ?? NaN) - 2) < 1e-9);
  const whole = [16, 99, 18].map((liveUs) => runOf({ subject: 'ws', liveUs }));
  const holed = nginx.map((run, round) => (round === 1 ? null : run));
  t.ok(Math.abs((rowOf(whole, holed).cpuRatio?.value ?? NaN) - 2) < 1e-9);
  t.end();
});

void t.test('without a base there is no ratio', (t) => {
  t.equal(rowOf([runOf({ subject: 'ws' })], []).cpuRatio, null);
  t.end();
});

void t.test('most runs decide whether it was too much', (t) => {
  const row = (...late: boolean[]) =>
    rowOf(
      late.map((isLate) => runOf({ subject: 'ws', isOverloaded: isLate })),
      [],
    );
  t.notOk(isOverloaded(row(true, false)));
  t.ok(isOverloaded(row(true, true, false)));
  t.end();
});
