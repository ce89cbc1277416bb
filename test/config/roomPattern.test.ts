import fc from 'fast-check';
import t from 'tap';
import { isRoomRecorded } from '../../src/config/roomPattern.js';

const cases: [pattern: string, name: string, isIt: boolean][] = [
  ['support', 'support', true],
  ['support', 'support-1', false],
  ['support-*', 'support-1', true],
  ['support-*', 'support-', true],
  ['support-*', 'my-support-1', false],
  ['*', '', true],
  ['*-eu', 'a-eu', true],
  ['*-eu', 'a-eu-b', false],
  ['a*a', 'a', false],
  ['a*a', 'aa', true],
  ['a*b*c', 'a1b2c', true],
  ['a*b*c', 'acb', false],
  ['a.c', 'abc', false],
  ['**', 'x', true],
];

await t.test('patterns', (t) => {
  for (const [pattern, name, isIt] of cases)
    t.equal(isRoomRecorded({ rooms: [pattern] }, name), isIt, `${pattern} and ${name}`);
  t.ok(isRoomRecorded({ rooms: 'all' }, 'x'));
  t.notOk(isRoomRecorded({ rooms: 'none' }, 'x'));
  t.ok(isRoomRecorded({ rooms: ['a', 'b*'] }, 'bc'), 'one of several');
  t.end();
});

await t.test('the same as a regular expression', (t) => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
  const name = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
  fc.assert(
    fc.property(letters, name, (pattern, text) => {
      const expected = new RegExp(`^${pattern.replaceAll('*', '.*')}$`, 's').test(text);
      return isRoomRecorded({ rooms: [pattern] }, text) === expected;
    }),
  );
  t.end();
});
