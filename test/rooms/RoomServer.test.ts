import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TokenVerifier } from 'livekit-server-sdk';
import t, { type Test } from 'tap';
import { RoomServer } from '../../src/rooms/RoomServer.js';
import { freePort } from '../fixtures/freePort.js';

const keys = { apiKey: 'key', apiSecret: 'a-secret-of-more-than-32-characters' };

interface Asked {
  readonly path: string;
  readonly body: unknown;
  readonly grants: unknown;
}

/** A server that answers everything with one thing, in the protocol of LiveKit's API (Twirp, JSON). */
async function server(t: Test, status: number, answer: object): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const http = createServer((request, response) => {
    void note(request, asked).then(() =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer)),
    );
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => http.close());
  return { url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/`, asked };
}

async function note(request: IncomingMessage, asked: Asked[]): Promise<void> {
  let body = '';
  for await (const part of request) body += String(part);
  const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
  const { video } = await new TokenVerifier(keys.apiKey, keys.apiSecret).verify(token);
  asked.push({ path: request.url ?? '', body: JSON.parse(body), grants: video });
}

await t.test('rooms are asked for, by name or all of them', async (t) => {
  const room = { name: 'support', sid: 'RM_1', numParticipants: 2 };
  const { url, asked } = await server(t, 200, { rooms: [room] });
  const rooms = new RoomServer({ url, ...keys });
  t.same(await rooms.rooms(['support']), [{ name: 'support', sid: 'RM_1', participants: 2 }]);
  await rooms.rooms();
  t.match(asked, [
    {
      path: '/twirp/livekit.RoomService/ListRooms',
      body: { names: ['support'] },
      grants: { roomList: true },
    },
    { path: '/twirp/livekit.RoomService/ListRooms' },
  ]);
});

await t.test('a room is made', async (t) => {
  const { url, asked } = await server(t, 200, { name: 'support', sid: 'RM_2' });
  t.same(await new RoomServer({ url, ...keys }).create('support'), {
    name: 'support',
    sid: 'RM_2',
    participants: 0,
  });
  t.match(asked, [{ path: '/twirp/livekit.RoomService/CreateRoom', body: { name: 'support' } }]);
});

await t.test('keys that are refused are told from a server that is away', async (t) => {
  const refused = await server(t, 401, { code: 'unauthenticated', msg: 'invalid token' });
  await t.rejects(new RoomServer({ url: refused.url, ...keys }).rooms(), { code: 'room_denied' });
  const broken = await server(t, 500, { code: 'internal', msg: 'oh' });
  await t.rejects(new RoomServer({ url: broken.url, ...keys }).rooms(), { code: 'room_unreachable' });
  const away = `ws://127.0.0.1:${await freePort()}`;
  await t.rejects(new RoomServer({ url: away, ...keys }).rooms(), {
    code: 'room_unreachable',
    value: /ECONNREFUSED/,
  });
});

await t.test('a recorder’s token lets it listen in one room, unseen, and nothing else', async (t) => {
  const token = await new RoomServer({ url: 'ws://localhost:7880', ...keys }).token('support', 'reelay-1');
  const { sub, video, exp = 0, nbf = 0 } = await new TokenVerifier(keys.apiKey, keys.apiSecret).verify(token);
  t.equal(sub, 'reelay-1');
  t.same(video, {
    roomJoin: true,
    room: 'support',
    hidden: true,
    recorder: true,
    canSubscribe: true,
    canPublish: false,
    canPublishData: false,
  });
  t.ok(exp - nbf <= 601, 'for some minutes');
});
