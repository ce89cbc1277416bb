import { createHmac } from 'node:crypto';
import { AccessToken } from 'livekit-server-sdk';
import t from 'tap';
import { issuerOf, readAccessToken } from '../../src/providers/livekit/accessToken.js';

const secret = 'a-secret-of-at-least-32-characters-x';

function made(header: object, claims: object, key = secret): string {
  const parts = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const signature = createHmac('sha256', key).update(parts.join('.')).digest('base64url');
  return [...parts, signature].join('.');
}

async function real(grant: Parameters<AccessToken['addGrant']>[0], ttl = 600): Promise<string> {
  const token = new AccessToken('key', secret, { identity: 'egress', ttl });
  token.addGrant(grant);
  return await token.toJwt();
}

await t.test('a token of LiveKit’s own SDK is read', async (t) => {
  const token = await real({ room: 'lobby', roomRecord: true });
  t.equal(issuerOf(token), 'key');
  t.strictSame(readAccessToken(token, secret, Date.now()), { room: 'lobby', mayRecord: true });
  t.strictSame(readAccessToken(await real({ roomRecord: true }), secret, Date.now()), {
    room: null,
    mayRecord: true,
  });
  t.strictSame(readAccessToken(await real({ room: 'lobby', roomJoin: true }), secret, Date.now()), {
    room: 'lobby',
    mayRecord: false,
  });
});

await t.test('a token is good for its time, give or take ten seconds', async (t) => {
  const token = await real({ roomRecord: true }, 600);
  const nowMs = Date.now();
  t.not(readAccessToken(token, secret, nowMs - 8000), null);
  t.equal(readAccessToken(token, secret, nowMs - 15_000), null);
  t.not(readAccessToken(token, secret, nowMs + 605_000), null);
  t.equal(readAccessToken(token, secret, nowMs + 615_000), null);
});

await t.test('what is forged, or no token, is none', async (t) => {
  const token = await real({ room: 'lobby', roomRecord: true });
  const [head = '', body = '', signature = ''] = token.split('.');
  const exp = Date.now() / 1000 + 600;
  const claims = { iss: 'key', exp, video: { roomRecord: true } };
  const other = Buffer.from(JSON.stringify({ ...claims, video: { room: 'other', roomRecord: true } }));
  const wrong: readonly (readonly [string, string])[] = [
    ['of another secret', made({ alg: 'HS256' }, claims, 'another-secret')],
    ['without a signature', `${head}.${body}.`],
    ['with no algorithm', made({ alg: 'none' }, claims)],
    ['with another algorithm', made({ alg: 'HS512' }, claims)],
    ['with other claims', `${head}.${other.toString('base64url')}.${signature}`],
    ['without an end', made({ alg: 'HS256' }, { ...claims, exp: undefined })],
    ['with an end that is none', made({ alg: 'HS256' }, { ...claims, exp: '9999999999' })],
    ['with a part too many', `${token}.x`],
    ['too long', made({ alg: 'HS256' }, { ...claims, name: 'x'.repeat(10_000) })],
    ['empty', ''],
    ['two dots', '..'],
    ['an array', made({ alg: 'HS256' }, [])],
  ];
  for (const [what, forged] of wrong) t.equal(readAccessToken(forged, secret, Date.now()), null, what);
  t.not(
    readAccessToken(made({ alg: 'HS256' }, claims), secret, Date.now()),
    null,
    'the bench makes good ones',
  );
  t.equal(issuerOf(''), null);
  t.equal(issuerOf('a.b.c'), null);
});
