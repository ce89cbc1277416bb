import t from 'tap';
import { perCoreOfAll } from '../../bench/peers/capacity.js';
import { row, runOf } from './results.js';

const share = (all: number) => ({ live: 0.1, all });

void t.test('the largest row that was held says what a core of everything carries', (t) => {
  const rows = [
    row({ subject: 'reelay', calls: 200, share: share(0.5) }),
    row({ subject: 'reelay', calls: 500, share: share(1) }),
    row({ subject: 'reelay', calls: 800, share: share(1.1), problems: ['audio was dropped'] }),
    row({ subject: 'reelay', calls: 1000, share: share(1.2), isOverloaded: true }),
  ];
  t.equal(perCoreOfAll(rows, [runOf({ subject: 'reelay', calls: 800, share: share(1) })]), 500);
  t.end();
});

void t.test('without such a row the largest run of the search does', (t) => {
  const rows = [row({ subject: 'record-mp3', calls: 50, isOverloaded: true })];
  const held = [25, 30, 20].map((calls) => runOf({ subject: 'record-mp3', calls, share: share(0.75) }));
  t.equal(perCoreOfAll(rows, held), 40);
  t.end();
});

void t.test('what held nothing carries nothing that is known', (t) => {
  t.ok(Number.isNaN(perCoreOfAll([], [])));
  t.end();
});
