import t from 'tap';
import fc from 'fast-check';
import { accountsProvenBy, parseBasic } from '../../src/providers/jambonz/credentials.js';

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

await t.test('a Basic header gives its pair', (t) => {
  t.strictSame(parseBasic(basic('user:pass')), { username: 'user', password: 'pass' });
  t.strictSame(parseBasic(basic('user:a:b:')), { username: 'user', password: 'a:b:' });
  t.strictSame(parseBasic(basic(':')), { username: '', password: '' });
  t.strictSame(parseBasic(basic('ü:ß€')), { username: 'ü', password: 'ß€' });
  t.strictSame(parseBasic('bAsIc   dTpw '), { username: 'u', password: 'p' });
  t.end();
});

await t.test('anything else gives nothing', (t) => {
  const table = [
    undefined,
    '',
    'Basic',
    'Basic ',
    'Basic dTpw,Basic dTpw',
    'Basic d!pw',
    'Basic dTpw===',
    'Bearer dTpw',
    basic('no colon'),
    basic('u:p\u0000'),
    basic('u\n:p'),
    `Basic ${'A'.repeat(5000)}`,
  ];
  for (const header of table) t.equal(parseBasic(header), null, String(header).slice(0, 40));
  t.end();
});

await t.test('any pair survives its header', (t) => {
  const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !/\p{Cc}/u.test(text));
  fc.assert(
    fc.property(
      text.filter((name) => !name.includes(':')),
      text,
      (username, password) => {
        t.strictSame(parseBasic(basic(`${username}:${password}`)), { username, password });
      },
    ),
    { numRuns: 100 },
  );
  t.end();
});

await t.test('a header proves every account that has its pair, and no other', (t) => {
  const candidates = [
    { accountId: 'a', credentials: [{ username: 'u', password: 'p' }] },
    {
      accountId: 'b',
      credentials: [
        { username: 'old', password: 'x' },
        { username: 'u', password: 'p' },
      ],
    },
    { accountId: 'c', credentials: [{ username: 'u', password: 'other' }] },
    { accountId: 'd', credentials: [{ username: 'u:p', password: '' }] },
    { accountId: 'e', credentials: [] },
  ];
  t.strictSame(accountsProvenBy(basic('u:p'), candidates), ['a', 'b']);
  t.strictSame(accountsProvenBy(basic('u:other'), candidates), ['c']);
  t.strictSame(accountsProvenBy(basic('u:'), candidates), []);
  t.strictSame(accountsProvenBy(basic('u:p:'), candidates), []);
  t.strictSame(accountsProvenBy(basic(':'), candidates), []);
  t.strictSame(accountsProvenBy(undefined, candidates), []);
  t.end();
});
