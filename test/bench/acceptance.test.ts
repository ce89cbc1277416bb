import t from 'tap';
import type { Capacity } from '../../bench/peers/Row.js';
import { acceptance } from '../../bench/peers/acceptance.js';
import { capacity, result, row } from './results.js';

void t.test('what was not measured is not judged', (t) => {
  t.same(acceptance(result({ rows: [row({ subject: 'nginx' })] })), []);
  t.end();
});

void t.test('with one path alone, its bound is that of the reference path', (t) => {
  const judged = (liveUs: number) =>
    acceptance(result({ rows: [row({ subject: 'reelay', liveUs })] }))[0]?.isMet;
  t.equal(judged(1.9 * 8.6), true);
  t.equal(judged(2.1 * 8.6), false);
  t.end();
});

void t.test('with both, each has its own', (t) => {
  const judged = (fast: number, reference: number) =>
    acceptance(
      result({
        rows: [
          row({ subject: 'reelay', liveUs: fast * 8.6 }),
          row({ subject: 'reelay-ws', liveUs: reference * 8.6 }),
        ],
      }),
    )
      .filter(({ what }) => what.includes('CPU'))
      .map(({ isMet }) => isMet);
  t.same(judged(0.99, 1.9), [true, true]);
  t.same(judged(1.05, 2.1), [false, false]);
  t.end();
});

void t.test('round trips have a bound for each number of calls', (t) => {
  const judged = (calls: number, times: number) =>
    acceptance(result({ rows: [row({ subject: 'reelay', calls, p99: times * 0.2 })] }))
      .filter(({ what }) => what.includes('p99'))
      .map(({ isMet }) => isMet);
  t.same([judged(200, 1.1), judged(500, 0.9), judged(1000, 2.9)], [[true], [true], [true]]);
  t.same([judged(200, 1.3), judged(500, 1.1), judged(1000, 3.1)], [[false], [false], [false]]);
  t.end();
});

void t.test('in real time it is judged by the same, beside', (t) => {
  const rows = ['reelay', 'reelay-realtime'].map((subject, index) =>
    row({ subject, calls: 500, liveUs: 8, p99: (index === 0 ? 1.5 : 0.9) * 0.2 }),
  );
  const judged = acceptance(result({ rows }));
  const late = judged.filter(({ what }) => what.includes('p99'));
  t.strictSame(
    late.map(({ what, isMet }) => [what.split(',')[0], isMet]),
    [
      ['reelay', false],
      ['reelay-realtime', true],
    ],
  );
  t.ok(judged.some(({ what }) => what.startsWith('reelay-realtime, 500 calls: CPU')));
  t.end();
});

void t.test('calls are counted against the base, and per core against recorders', (t) => {
  const capacities = [
    capacity({ subject: 'nginx', holds: 1000 }),
    capacity({ subject: 'reelay', holds: 900, relays: 1100, perCoreOfAll: 800 }),
    capacity({ subject: 'record-wav', holds: 500, perCoreOfAll: 500 }),
    capacity({ subject: 'record-mp3', holds: 30, perCoreOfAll: 30 }),
  ];
  const judged = (more: readonly Capacity[]) =>
    acceptance(result({ capacities: [...capacities, ...more] })).map(({ isMet }) => isMet);
  t.same(
    judged([]),
    [true, false, true, true],
    'what it relays and what it records are judged each for itself',
  );
  const onOne = (holds: number) => [capacity({ subject: 'reelay-one-core', holds })];
  t.same(judged(onOne(760)), [true, false, true, true], 'what one core held counts, where it was asked');
  t.same(judged(onOne(740)), [true, false, false, true]);
  t.same(judged(onOne(590)), [true, false, false, false]);
  t.end();
});
