import t from 'tap';
import { ApiBench } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';

const accounts = [
  { id: 'AC1', apiKeys: [{ key: 'one', name: 'desk', scopes: ['read'] as const }] },
  { id: 'AC2', apiKeys: ['two'] },
];

await t.test('a browser that is signed in sees what its key sees', async (t) => {
  const dir = t.testdir({});
  const own = (await fabricateRecording(`${dir}/recordings`, { accountId: 'AC1' })).manifest.recordingId;
  const foreign = (await fabricateRecording(`${dir}/recordings`, { accountId: 'AC2' })).manifest.recordingId;
  const bench = await ApiBench.start(t, dir, { accounts });
  t.equal((await bench.ask('GET', '/v1/session')).status, 401);
  t.equal((await bench.ask('POST', '/v1/session', undefined, { key: 'wrong' })).status, 401);
  t.equal((await bench.ask('POST', '/v1/session', undefined, {})).status, 400);
  const signedIn = await bench.ask('POST', '/v1/session', undefined, { key: 'one' });
  t.equal(signedIn.status, 200);
  t.same(await signedIn.json(), { name: 'desk', isAdmin: false, scopes: ['read'] });
  const header = signedIn.headers.get('set-cookie') ?? '';
  t.match(header, /HttpOnly; SameSite=Strict/);
  const cookie = header.split(';')[0] ?? '';
  t.notMatch(cookie, /one/);
  t.equal((await bench.get(`/v1/recordings/${own}`, { cookie })).status, 200);
  t.equal((await bench.get(`/v1/recordings/${own}/audio.wav`, { cookie })).status, 200);
  t.equal((await bench.get(`/v1/recordings/${foreign}`, { cookie })).status, 404);
  t.equal((await bench.get('/v1/session', { cookie })).status, 200);
  const origin = bench.url;
  t.equal(
    (await bench.get(`/v1/recordings/${own}`, { cookie, origin }, 'DELETE')).status,
    403,
    'it may only read',
  );
  t.equal(
    (await bench.get(`/v1/recordings/${own}`, { cookie, origin: 'http://evil.example' }, 'DELETE')).status,
    401,
    'nobody is signed in for another site',
  );
  const out = await bench.get('/v1/session', { cookie, origin }, 'DELETE');
  t.equal(out.status, 204);
  t.match(out.headers.get('set-cookie'), /Max-Age=0/);
});

await t.test('a key goes before a cookie', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { accounts });
  const signedIn = await bench.ask('POST', '/v1/session', undefined, { key: 'one' });
  const cookie = (signedIn.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  const answer = await bench.get('/v1/session', { cookie, authorization: 'Bearer two' });
  t.match(await answer.json(), { scopes: ['read', 'control', 'delete'] });
  t.equal((await bench.get('/v1/session', { cookie, authorization: 'Bearer wrong' })).status, 401);
});

await t.test('whoever tries keys there waits, too', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { accounts });
  for (let at = 0; at < 20; at++)
    t.equal((await bench.ask('POST', '/v1/session', undefined, { key: `wrong-${at}` })).status, 401);
  t.equal((await bench.ask('POST', '/v1/session', undefined, { key: 'one' })).status, 429);
});
