import t from 'tap';
import { digestOfKey } from '../../src/config/ApiKey.js';
import { Sessions } from '../../src/control/api/Sessions.js';
import {
  ask,
  bearer,
  cookieOf,
  everythingIn,
  type Headers,
  nameAndValue,
  problemsOf,
  questionsAt,
  sessionKey,
  worldsOf,
} from './fixtures/worldsOf.js';

/* Whatever somebody sends in a key's place: see {@link worldsOf}. */

await t.test('without a key that is good nothing is open that isn’t meant to be', async (t) => {
  const worlds = await worldsOf(t);
  const { full, own, foreign, foreignEvent } = worlds;
  const before = await everythingIn(full, foreign);
  const sessions = new Sessions(() => sessionKey);
  const origin = 'http://reelay.test';
  const digest = digestOfKey('two');
  const expired = sessions.open(digest, false, Date.now() - 13 * 3_600_000);
  const forged = new Sessions(() => Buffer.alloc(32, 'guess')).open(digest, false);
  const strange: Record<string, Headers> = {
    none: {},
    empty: { authorization: '' },
    schemeOnly: { authorization: 'Bearer' },
    blank: { authorization: 'Bearer   ' },
    wrong: bearer('wrong'),
    upperCase: bearer('TWO'),
    cut: bearer('tw'),
    digest: bearer(digest),
    markedDigest: bearer(`sha256:${digest}`),
    twoKeys: { authorization: 'Bearer two one' },
    basic: { authorization: `Basic ${Buffer.from('two:two').toString('base64')}` },
    token: { authorization: 'Token two' },
    bare: { authorization: 'two' },
    otherHeaders: { 'x-api-key': 'two', 'x-reelay-key': 'two', 'proxy-authorization': 'Bearer two' },
    expired: { cookie: nameAndValue(expired), origin },
    forged: { cookie: nameAndValue(forged), origin },
    unsigned: { cookie: nameAndValue(forged).replace(/\.[^.]*$/, '.'), origin },
    bareKey: { cookie: 'reelay_session=two', origin },
    withdrawn: { cookie: cookieOf('nobody’s any more'), origin },
    proxied: { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1' },
  };
  const isOpen = (url: string): boolean =>
    ['/healthz', '/readyz', '/openapi.json', '/v1/session', '/shared/*', '/'].includes(url) ||
    // The page holds nothing by itself.
    url.startsWith('/page/');
  const ids = [own.stored.manifest.recordingId, foreign.get('stored') ?? ''];
  for (const [name, headers] of Object.entries(strange)) {
    const questions = ids.flatMap((id) =>
      questionsAt(
        worlds,
        { id, file: '0.wav', eventId: foreignEvent, callId: 'CAsame', name: 'theirs', rest: 'x' },
        headers,
        (url) => !isOpen(url),
      ),
    );
    const nowhere = ['/v1/nothing', '/v1/recordings/', '/shared', '/v1'].map((path) => ({
      method: 'GET',
      path,
      headers,
    }));
    t.same(await problemsOf(worlds, [...questions, ...nowhere], [401]), [], name);
  }
  const asQuery = ['key', 'access_token', 'token', 'authorization'].flatMap((name) =>
    ids.map((id) => ({ method: 'GET', path: `/v1/recordings/${id}/audio.wav?${name}=two` })),
  );
  t.same(await problemsOf(worlds, asQuery, [401]), [], 'a key in a query is none');

  await t.test('a cookie changes nothing from another origin', async (t) => {
    const id = foreign.get('stored') ?? '';
    const cookie = cookieOf('two');
    t.equal(
      (await ask(full, { method: 'GET', path: `/v1/recordings/${id}`, headers: { cookie } })).status,
      200,
    );
    const origins = [
      'https://evil.example',
      'null',
      'http://reelay.test.evil.example',
      'http://reelay.test:8081',
      '',
    ];
    for (const headers of [{ cookie }, ...origins.map((each) => ({ cookie, origin: each }))]) {
      const questions = questionsAt(
        worlds,
        { id, file: '0.wav', eventId: foreignEvent, callId: 'CAsame', name: 'theirs' },
        headers,
        (url) => !isOpen(url),
      ).filter(({ method }) => method !== 'GET' && method !== 'HEAD');
      t.same(await problemsOf(worlds, questions, [401]), [], JSON.stringify(headers));
    }
  });

  t.same(await everythingIn(full, foreign), before, 'nothing has changed');
  t.same(full.asked, []);
});

await t.test('a key that may not do something is told so of its own recordings alone', async (t) => {
  const worlds = await worldsOf(t);
  const { full, own, foreignEvent, ownEvent } = worlds;
  const statuses = async (key: string, path: string, method: string): Promise<number> =>
    (await ask(full, { method, path, headers: bearer(key) })).status;
  const path = `/v1/recordings/${own.stored.manifest.recordingId}`;
  for (const [key, method, route, status] of [
    ['reader', 'DELETE', '', 403],
    ['reader', 'POST', '/pause', 403],
    ['reader', 'POST', `/events/${ownEvent}/replay`, 403],
    ['driver', 'GET', '/audio.wav', 403],
    ['driver', 'DELETE', '/hold', 403],
    ['eraser', 'GET', '', 403],
    ['one', 'GET', '/audio.wav', 200],
    ['one', 'POST', `/events/${foreignEvent}/replay`, 404],
  ] as const)
    t.equal(await statuses(key, path + route, method), status, `${key} ${method} ${route}`);
  for (const [key, status] of Object.entries({ admin: 200, watcher: 200, one: 404, eraser: 404 }))
    t.equal(await statuses(key, '/metrics', 'GET'), status, key);
  for (const [key, status] of Object.entries({ watcher: 403, reader: 404, driver: 404 }))
    t.equal(await statuses(key, '/v1/faults', 'POST'), status, key);
  const begun = { method: 'POST', path: '/v1/calls/CAsame/record', headers: bearer('one') };
  t.same(await problemsOf(worlds, [begun], [201]), [], 'a call of the same id is the own account’s');
  t.same(full.asked, [{ deed: 'start', accountId: 'AC1', callId: 'CAsame' }]);
});
