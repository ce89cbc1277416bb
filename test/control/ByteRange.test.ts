import t from 'tap';
import { readRange } from '../../src/control/api/ByteRange.js';

void t.test('a range is read as RFC 9110 has it, and anything else is no header', (t) => {
  const cases: readonly (readonly [string | undefined, ReturnType<typeof readRange>])[] = [
    ['bytes=0-9', { start: 0, end: 9 }],
    ['BYTES= 5-', { start: 5, end: 99 }],
    ['bytes=\t90-200 ', { start: 90, end: 99 }],
    ['bytes=-10', { start: 90, end: 99 }],
    ['bytes=-1000', { start: 0, end: 99 }],
    ['bytes=0-99999999999999999999999999', { start: 0, end: 99 }],
    [`bytes=${'9'.repeat(400)}-`, null],
    ['bytes=100-', null],
    ['bytes=-0', null],
    ['bytes=9-2', undefined],
    ['bytes=-', undefined],
    ['bytes=0-1,4-5', undefined],
    ['bytes=a-b', undefined],
    ['lines=0-1', undefined],
    [undefined, undefined],
  ];
  for (const [header, expected] of cases)
    t.strictSame(readRange(header, 100), expected, header?.slice(0, 40) ?? 'none');
  t.end();
});

void t.test('however long a header is, it is read in one go', (t) => {
  // Where every character is tried with every other one, these take hours.
  for (const filler of [' ', '\t', '1', ' 1', '-'])
    for (const header of [`bytes=${filler.repeat(1_000_000)}x`, `bytes=1${filler.repeat(1_000_000)}x`])
      t.equal(readRange(header, 100), undefined);
  t.end();
});
