import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import type { AccountConfig } from '../../src/config/Config.js';
import type { Check } from '../../src/doctor/Check.js';
import { roomChecks } from '../../src/doctor/rooms.js';
import { freePort } from '../fixtures/freePort.js';
import { account } from '../relay/fixtures/Relay.js';

const apiSecret = 'a-secret-of-more-than-32-characters';
const loads = new URL('../rooms/fixtures/fakeRoomProcess.js', import.meta.url);
const never = new URL('../rooms/fixtures/unusableRoomProcess.js', import.meta.url);

/** A server that answers whatever it is asked with one thing. */
async function server(t: Test, status: number, answer: object): Promise<string> {
  const http = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => http.close());
  return `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

function having(id: string, url: string, rooms: 'all' | 'none' | string[] = 'none'): AccountConfig {
  const livekit = { url, apiKey: 'key', apiSecret, rooms, departureSeconds: 20, sampleRate: 48_000 };
  return account({ id, livekit });
}

function about(checks: readonly Check[], subject: string): Check | undefined {
  return checks.find((each) => each.subject.startsWith(subject));
}

await t.test('who has no LiveKit server is told nothing of rooms, and nothing is started', async (t) => {
  t.same(await roomChecks({ accounts: [account({ id: 'AC1' })] }, never), []);
});

await t.test('a server that answers, and a client that can be loaded', async (t) => {
  const url = await server(t, 200, { rooms: [{ name: 'a', sid: 'RM_1' }] });
  const accounts = [having('acme', url, 'all'), having('other', url, ['support-*']), having('third', url)];
  const checks = await roomChecks({ accounts }, loads);
  t.equal(checks.length, 4);
  t.match(about(checks, '@livekit/rtc-node'), {
    name: 'livekit client',
    status: 'ok',
    detail: /loaded in \d+ ms/,
  });
  const { host } = new URL(url);
  t.match(about(checks, 'acme'), { name: 'livekit', subject: `acme, ${host}`, status: 'ok' });
  t.match(about(checks, 'acme')?.detail, /1 rooms are there; all are recorded/);
  t.match(about(checks, 'other')?.detail, /support-\* are recorded/);
  t.match(about(checks, 'third')?.detail, /that somebody asks for/);
});

await t.test('what hinders rooms is told with its remedy, and without the secret', async (t) => {
  const refusing = await server(t, 401, { code: 'unauthenticated', msg: 'invalid token' });
  const away = `ws://127.0.0.1:${await freePort()}`;
  const checks = await roomChecks({ accounts: [having('wrong', refusing), having('away', away)] }, never);
  t.match(about(checks, 'wrong'), { status: 'failed', remedy: /livekit\.apiKey and livekit\.apiSecret/ });
  t.match(about(checks, 'away'), { status: 'failed', detail: /ECONNREFUSED/, remedy: /livekit\.url/ });
  t.match(about(checks, '@livekit/rtc-node'), {
    status: 'failed',
    detail: /Cannot find package/,
    remedy: /npm install @livekit\/rtc-node@1\.1\.0/,
  });
  t.notMatch(JSON.stringify(checks), apiSecret);
});
