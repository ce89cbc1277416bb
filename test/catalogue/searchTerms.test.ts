import t from 'tap';
import { beginningsOf, isFound, termsOf } from '../../src/catalogue/searchTerms.js';
import { entry } from './fixtures/entry.js';

void t.test('a number is found by its digits from either end, a name by its beginning', (t) => {
  const one = entry('r1', 1, { callId: 'CA1', from: '+49 (30) 12-34', to: 'sip:Alice@example.com' });
  for (const search of ['+4930', '4930 12', '234', '(30) 1234', 'sip:al', 'ca1'])
    t.ok(isFound(one, beginningsOf(search)), search);
  for (const search of ['3012', 'alice', '+()']) t.notOk(isFound(one, beginningsOf(search)), search);
  t.end();
});

void t.test('however much somebody has written for a number, it is read in one go', (t) => {
  // Where every character is tried with every other one, this takes hours.
  for (const from of [
    `${' '.repeat(1_000_000)}x`,
    `${'1'.repeat(1_000_000)}x`,
    `${'+1 '.repeat(300_000)}x`,
  ]) {
    for (const term of termsOf(entry('r1', 1, { from }))) t.ok(term.length <= 101);
    t.equal(beginningsOf(from).length, 1);
  }
  t.end();
});

void t.test('of a long party as much is found as was looked at', (t) => {
  const long = entry('r1', 1, { from: `sip:${'a'.repeat(5000)}`, to: '5'.repeat(5000) });
  t.ok(isFound(long, beginningsOf(`sip:${'a'.repeat(90)}`)));
  t.ok(isFound(long, beginningsOf('555')));
  t.end();
});
