import t from 'tap';
import { capacityOf, perCoreOfAll } from '../../bench/peers/capacity.js';
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

/** @param relays - the most calls that come back in time. @param records - the most of which nothing is dropped */
function search(relays: number, records: number) {
  const run = (calls: number) =>
    Promise.resolve(
      runOf({
        ...{ subject: 'reelay', calls, isOverloaded: calls > relays, isRelayed: calls <= relays },
        problems: calls > records && calls <= relays ? ['frames were dropped in front of the recorder'] : [],
      }),
    );
  return capacityOf('reelay', { dialect: 'twilio', run, searches: 1, most: 4000, rows: [] });
}

void t.test('what is relayed in time is looked for beyond what is recorded', async (t) => {
  const { holds, relays } = await search(1400, 900);
  t.ok(holds <= 900 && holds > 900 / 1.05, String(holds));
  t.ok(relays <= 1400 && relays > 1400 / 1.05, String(relays));
});

void t.test('where all is recorded, what is held is what is relayed', async (t) => {
  const { holds, relays } = await search(1400, 4000);
  t.ok(holds <= 1400 && holds > 1400 / 1.05, String(holds));
  t.equal(relays, holds);
});

void t.test('what held nothing carries nothing that is known', (t) => {
  t.ok(Number.isNaN(perCoreOfAll([], [])));
  t.end();
});
