import { createHash } from 'node:crypto';
import t from 'tap';
import { apiKeyOf, digestOfKey, digestText, freshKey, keyScopes } from '../../src/config/ApiKey.js';

const sha256 = createHash('sha256').update('k').digest('hex');

void t.test('a key is kept as its digest, however it is written', (t) => {
  const whole = { sha256, name: `key-${sha256.slice(0, 8)}`, scopes: [...keyScopes] };
  t.strictSame(apiKeyOf('k'), whole);
  t.strictSame(apiKeyOf(`sha256:${sha256}`), whole);
  t.strictSame(apiKeyOf({ key: 'k' }), whole);
  t.strictSame(apiKeyOf({ key: `sha256:${sha256}`, name: 'the page', scopes: ['delete', 'read'] }), {
    sha256,
    name: 'the page',
    scopes: ['read', 'delete'],
  });
  t.equal(digestOfKey('k'), sha256);
  t.end();
});

void t.test('what is no key is refused', (t) => {
  const others: unknown[] = [
    '',
    ' k',
    'k\n',
    7,
    null,
    undefined,
    ['k'],
    {},
    { key: 7 },
    { key: '' },
    { key: 'k', nam: 'x' },
    { key: 'k', name: '' },
    { key: 'k', name: 'a'.repeat(65) },
    { key: 'k', name: 'a\nb' },
    { key: 'k', scopes: [] },
    { key: 'k', scopes: 'read' },
    { key: 'k', scopes: ['read', 'write'] },
    { key: 'k', scopes: [7] },
    'sha256:',
    `sha256:${sha256.toUpperCase()}`,
    `sha256:${sha256}0`,
  ];
  for (const each of others) t.equal(apiKeyOf(each), undefined, JSON.stringify(each));
  t.end();
});

void t.test('fresh keys differ, and the digest that is written down opens to them', (t) => {
  const [one, other] = [freshKey(), freshKey()];
  t.not(one, other);
  t.match(one, /^reelay_[\w-]{32}$/);
  const kept = apiKeyOf(one);
  if (kept === undefined) throw new Error('no key');
  t.strictSame(apiKeyOf(digestText(kept)), kept);
  t.end();
});
