import { randomBytes } from 'node:crypto';
import t from 'tap';
import {
  startTokenLifetimeMs,
  startTokenParameter,
  StartTokens,
} from '../../src/providers/twilio/startToken.js';

const processKey = randomBytes(32);
const nowMs = Date.UTC(2026, 10, 20, 12);
const scope = { accountId: 'AC1', callId: 'CA1', path: '/twilio', authTokens: ['new', 'old'], nowMs };

await t.test('a token minted in one thread is good once in another', (t) => {
  for (const authTokens of [['secret'], []]) {
    const minting = new StartTokens(processKey);
    const redeeming = new StartTokens(processKey);
    const token = minting.mint({ ...scope, authTokens });
    t.equal(redeeming.redeem(token, { ...scope, authTokens }), 'ok');
    t.equal(redeeming.redeem(token, { ...scope, authTokens }), 'token_invalid');
  }
  t.end();
});

await t.test('a token fits into a custom parameter', (t) => {
  const token = new StartTokens(processKey).mint(scope);
  t.ok(startTokenParameter.length + token.length < 100);
  t.match(token, /^[A-Za-z0-9._-]+$/);
  t.end();
});

await t.test('a token is good for nothing but what it was made for', (t) => {
  const tokens = new StartTokens(processKey);
  const token = tokens.mint(scope);
  const others = [
    { ...scope, accountId: 'AC2' },
    { ...scope, callId: 'CA2' },
    { ...scope, path: '/twilio/AC1' },
    { ...scope, authTokens: ['other'] },
    { ...scope, authTokens: [] },
    { ...scope, nowMs: nowMs + startTokenLifetimeMs + 1001 },
    // The same characters, cut elsewhere.
    { ...scope, accountId: 'AC1C', callId: 'A1' },
  ];
  for (const other of others) t.equal(tokens.redeem(token, other), 'token_invalid', JSON.stringify(other));
  t.equal(
    tokens.redeem(token, { ...scope, nowMs: nowMs + startTokenLifetimeMs }),
    'ok',
    'refusals use nothing up',
  );
  t.end();
});

await t.test('a token outlives the rotation of the auth token that made it', (t) => {
  const tokens = new StartTokens(processKey);
  const token = tokens.mint({ ...scope, authTokens: ['old'] });
  t.equal(tokens.redeem(token, { ...scope, authTokens: ['newer', 'new', 'old'] }), 'ok');
  t.end();
});

await t.test('only an account without an auth token depends on the process', (t) => {
  const other = new StartTokens(randomBytes(32));
  const tokens = new StartTokens(processKey);
  t.equal(other.redeem(tokens.mint(scope), scope), 'ok');
  const loopback = { ...scope, authTokens: [] };
  t.equal(other.redeem(tokens.mint(loopback), loopback), 'token_invalid');
  t.end();
});

await t.test('whatever else comes as a token is refused without an error', (t) => {
  const tokens = new StartTokens(processKey);
  const token = tokens.mint(scope);
  t.equal(tokens.redeem(undefined, scope), 'token_missing');
  for (const wrong of [
    '',
    'r1',
    null,
    7,
    {},
    [token],
    `${token} `,
    token.toUpperCase(),
    'r1.zzzzzzzzz.x.y',
  ]) {
    t.equal(tokens.redeem(wrong, scope), 'token_invalid', JSON.stringify(wrong));
  }
  for (let i = 0; i < token.length - 1; i++) {
    const flipped = token.slice(0, i) + (token[i] === 'x' ? 'y' : 'x') + token.slice(i + 1);
    t.equal(tokens.redeem(flipped, scope), 'token_invalid', flipped);
  }
  t.equal(tokens.redeem(token, scope), 'ok');
  t.end();
});

await t.test('used tokens stay used until they expire, however many follow', (t) => {
  const tokens = new StartTokens(processKey);
  const loopback = { ...scope, authTokens: [] };
  const first = tokens.mint(loopback);
  t.equal(tokens.redeem(first, loopback), 'ok');
  for (let i = 0; i < 2000; i++) {
    const later = { ...loopback, nowMs: nowMs + i * 100 };
    t.equal(tokens.redeem(tokens.mint(later), later), 'ok');
  }
  t.equal(tokens.redeem(first, { ...loopback, nowMs: nowMs + startTokenLifetimeMs }), 'token_invalid');
  t.end();
});
