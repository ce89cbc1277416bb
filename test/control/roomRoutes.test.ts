import t from 'tap';
import { ReelayError } from '../../src/config/ReelayError.js';
import { ApiBench, livekitServer } from '../fixtures/ApiBench.js';

const accounts = [
  { id: 'acme', livekit: livekitServer, apiKeys: ['acme-key', { key: 'reader', scopes: ['read'] }] },
  { id: 'phones', apiKeys: ['phones-key'] },
];

async function ask(
  bench: ApiBench,
  name: string,
  key: string,
  body?: unknown,
): Promise<{ status: number; body: { code?: string; recordingId?: string } }> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  const answer = await fetch(`${bench.url}/v1/livekit/rooms/${name}/record`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, ...json },
    body: body === undefined ? null : JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as { code?: string } };
}

await t.test('a room is recorded for whoever may control its account', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { accounts, adminKeys: ['admin'] });
  const asked: unknown[] = [];
  let isNew = true;
  bench.rooms = async (account, name, creates) => {
    asked.push([account.id, name, creates]);
    return await Promise.resolve({ recordingId: 'rec', callId: 'RM_1', recording: 'running', isNew });
  };
  t.match(await ask(bench, 'support', 'acme-key'), {
    status: 201,
    body: { recordingId: 'rec', callId: 'RM_1' },
  });
  isNew = false;
  t.match(await ask(bench, 'a%2Fb', 'acme-key', { create: true }), { status: 200 });
  t.match(await ask(bench, 'support', 'admin', { account: 'acme' }), { status: 200 });
  t.match(await ask(bench, 'support', 'admin'), { status: 200 }, 'one account alone has rooms');
  t.same(asked, [
    ['acme', 'support', false],
    ['acme', 'a/b', true],
    ['acme', 'support', false],
    ['acme', 'support', false],
  ]);
  asked.length = 0;
  t.match(await ask(bench, 'support', 'reader'), { status: 403, body: { code: 'forbidden' } });
  t.match(await ask(bench, 'support', 'phones-key'), { status: 404, body: { code: 'not_found' } });
  t.match(await ask(bench, 'support', 'phones-key', { account: 'acme' }), { status: 404 });
  t.match(await ask(bench, 'support', 'nobody'), { status: 401 });
  t.match(await ask(bench, 'support', 'acme-key', { create: 'yes' }), { status: 400 });
  t.same(asked, []);
});

await t.test('what is in the way has a status and a code', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { accounts, adminKeys: ['admin'] });
  for (const [code, status] of [
    ['room_unknown', 404],
    ['room_denied', 502],
    ['room_unreachable', 503],
    ['spool_full', 503],
    ['rooms_full', 503],
  ] as const) {
    bench.rooms = async () => await Promise.reject(new ReelayError(code));
    t.match(await ask(bench, 'support', 'acme-key'), { status, body: { code } });
  }
});
