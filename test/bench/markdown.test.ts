import t from 'tap';
import { markdown, table } from '../../bench/peers/markdown.js';
import { rowOf } from '../../bench/peers/Row.js';
import { capacity, result, row, runOf } from './results.js';

/** Cells of the line of a subject below a heading. */
function cells(text: string, heading: string, subject: string): string[] {
  const section = text.split(/^## /m).find((each) => each.startsWith(heading)) ?? '';
  const line = section.split('\n').find((each) => each.startsWith(`| ${subject}`)) ?? '';
  return line
    .split('|')
    .map((cell) => cell.trim())
    .slice(1, -1);
}

void t.test('all lines of a table are as wide as its widest cells', (t) => {
  const lines = table(['a', 'bb'], [['long cell', ''], ['x']]);
  t.same(lines, ['| a         | bb  |', '| --------- | --- |', '| long cell |     |', '| x         |     |']);
  t.end();
});

void t.test('a row has the figures and the ratio to the base', (t) => {
  const text = markdown(
    result({
      rows: [row({ subject: 'nginx' }), row({ subject: 'reelay', liveUs: 17.2, allUs: 20, p99: 0.4 })],
    }),
  );
  t.same(cells(text, 'twilio, 500 calls', 'nginx'), [
    'nginx',
    '8.6',
    '1.00',
    '8.6',
    '0.10',
    '0.20',
    '1.00',
    '0.50',
  ]);
  t.same(cells(text, 'twilio, 500 calls', 'reelay'), [
    ...['reelay', '17.2', '2.00', '20.0', '0.10', '0.40', '2.00', '0.50'],
  ]);
  t.match(text, /Every frame came back/);
  t.end();
});

void t.test('a subject that is missing is named in every table', (t) => {
  const rows = [row({ subject: 'nginx', calls: 50 }), row({ subject: 'nginx', calls: 200 })];
  const subjects = [
    { name: 'nginx', about: '', traffic: 'relay', missing: null },
    { name: 'haproxy', about: '', traffic: 'relay', missing: 'haproxy is not installed' },
  ] as const;
  const text = markdown(
    result({ rows, subjects, capacities: [capacity({ subject: 'nginx', holds: 1238 })] }),
  );
  for (const heading of ['twilio, 50 calls', 'twilio, 200 calls', 'Calls that are held']) {
    t.match(cells(text, heading, 'haproxy').join(' '), /MISSING: haproxy is not installed/, heading);
  }
  t.end();
});

void t.test('too many calls are told, and what is left out because of them', (t) => {
  const rows = [
    row({ subject: 'nginx', calls: 200 }),
    row({ subject: 'ws', calls: 200, isOverloaded: true, notes: ['5 frames had not come back in time'] }),
    row({ subject: 'nginx', calls: 500 }),
  ];
  const leftOut = [{ subject: 'ws', dialect: 'twilio', calls: 500, overloadedAt: 200 }] as const;
  const text = markdown(result({ rows, leftOut }));
  t.equal(cells(text, 'twilio, 200 calls', 'ws')[0], 'ws (overloaded)');
  t.equal(cells(text, 'twilio, 500 calls', 'ws')[1], 'not run: overloaded at 200 calls');
  t.match(text, /ws, twilio, 200 calls: 5 frames had not come back in time/);
  t.end();
});

void t.test('a machine that others use, and a load that is late, are told once for a row', (t) => {
  const nginx = [0.02, 0.4].map((others) => runOf({ subject: 'nginx', others, lateness: 6 }));
  const text = markdown(result({ rows: [rowOf(nginx, nginx), row({ subject: 'ws' })] }));
  t.same(text.match(/^- .*calls: .*$/gm), [
    "- nginx, twilio, 500 calls: others took up to 40 % of the live path's processor",
    '- nginx, twilio, 500 calls: the load itself was up to 6.0 ms late at p99',
  ]);
  t.match(text, /Every frame came back/);
  t.end();
});

void t.test('problems and failures are told, and then not everything is well', (t) => {
  const rows = [row({ subject: 'ws', problems: ['3 frames were lost'] })];
  const text = markdown(result({ rows, failures: ['haproxy: it ended'] }));
  t.match(text, /PROBLEM: ws, twilio, 500 calls: 3 frames were lost/);
  t.match(text, /FAILED: haproxy: it ended/);
  t.notMatch(text, /Every frame came back/);
  t.end();
});

void t.test('calls that are held stand beside the base', (t) => {
  const capacities = [
    capacity({ subject: 'nginx', holds: 1200 }),
    capacity({ subject: 'reelay', holds: 600, relays: 900, perCoreOfAll: 450 }),
  ];
  const text = markdown(result({ capacities }));
  t.same(cells(text, 'Calls that are held', 'reelay'), [
    ...['reelay', 'twilio', '600 (600–610)', '0.50', '900', '0.75', '450'],
  ]);
  t.end();
});
