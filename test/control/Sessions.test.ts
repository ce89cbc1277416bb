import t from 'tap';
import { Sessions, sessionSeconds } from '../../src/control/api/Sessions.js';

const secret = Buffer.alloc(32, 's');
const digest = 'a'.repeat(64);
const host = 'reelay.example';

function valueOf(setCookie: string): string {
  return setCookie.split(';')[0] ?? '';
}

await t.test('a session counts until its time is over', (t) => {
  const sessions = new Sessions(() => secret);
  const made = sessions.open(digest, true, 1_000_000);
  t.match(
    made,
    /^reelay_session=[\w-]+\.[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure$/,
  );
  t.notMatch(sessions.open(digest, false), /Secure/);
  const cookie = `theme=dark; ${valueOf(made)}; other=1`;
  const asked = (ms: number) => sessions.keyOf({ method: 'GET', headers: { cookie, host } }, ms);
  t.equal(asked(1_000_000), digest);
  t.equal(asked(1_000_000 + sessionSeconds * 1000 - 1), digest);
  t.equal(asked(1_000_000 + sessionSeconds * 1000), undefined);
  t.match(sessions.close(false), /^reelay_session=; Path=\/; Max-Age=0;/);
  t.end();
});

await t.test('what isn’t signed here isn’t one', (t) => {
  const sessions = new Sessions(() => secret);
  const value = valueOf(sessions.open(digest, false));
  const [text = '', signature = ''] = value.slice('reelay_session='.length).split('.');
  const forged = Buffer.from(JSON.stringify([1, 'b'.repeat(64), 9e12])).toString('base64url');
  for (const odd of [
    '',
    'reelay_session=',
    'reelay_session=x',
    `reelay_session=${text}`,
    `reelay_session=${text}.`,
    `reelay_session=.${signature}`,
    `reelay_session=${forged}.${signature}`,
    `reelay_session=${text}.${signature}.${signature}`,
    `Reelay_Session=${text}.${signature}`,
  ])
    t.equal(sessions.keyOf({ method: 'GET', headers: { cookie: odd, host } }), undefined, odd.slice(0, 60));
  t.equal(
    new Sessions(() => Buffer.alloc(32, 'o')).keyOf({ method: 'GET', headers: { cookie: value, host } }),
    undefined,
  );
  t.end();
});

await t.test('another site’s page can change nothing with it', (t) => {
  const sessions = new Sessions(() => secret);
  const cookie = valueOf(sessions.open(digest, false));
  const asked = (origin: string | undefined, method = 'POST') =>
    sessions.keyOf({ method, headers: { cookie, host, ...(origin === undefined ? {} : { origin }) } });
  t.equal(asked(`https://${host}`), digest);
  t.equal(asked(`http://${host}`), digest);
  for (const origin of [
    'https://evil.example',
    `https://${host}.evil.example`,
    `https://${host}:8081`,
    'null',
    undefined,
  ])
    for (const method of ['POST', 'PUT', 'DELETE'])
      t.equal(asked(origin, method), undefined, `${method} ${origin}`);
  t.equal(asked(undefined, 'GET'), digest);
  t.end();
});
