import { createHash } from 'node:crypto';
import { AccessToken } from 'livekit-server-sdk';
import t from 'tap';
import { readRoomWebhook } from '../../src/control/rooms/roomWebhook.js';
import { account } from '../relay/fixtures/Relay.js';

const url = 'wss://livekit.example.com';
const livekit = { url, rooms: 'all', departureSeconds: 20, sampleRate: 48_000 } as const;
const accounts = [
  account({ id: 'phones-only' }),
  account({ id: 'acme', livekit: { ...livekit, apiKey: 'key-1', apiSecret: 'secret-1' } }),
  account({ id: 'acme-too', livekit: { ...livekit, apiKey: 'key-1', apiSecret: 'secret-1' } }),
  account({ id: 'other', livekit: { ...livekit, apiKey: 'key-2', apiSecret: 'secret-2' } }),
  account({ id: 'impostor', livekit: { ...livekit, apiKey: 'key-1', apiSecret: 'made up' } }),
];
const body = JSON.stringify({ event: 'room_started', id: 'EV_1', room: { name: 'support', sid: 'RM_1' } });

/** As the server signs what it sends. */
async function signed(text: string, key = 'key-1', secret = 'secret-1'): Promise<string> {
  const token = new AccessToken(key, secret, { ttl: 300 });
  token.sha256 = createHash('sha256').update(text).digest('base64');
  return await token.toJwt();
}

function request(authorization: string | undefined, text = body): Parameters<typeof readRoomWebhook>[0] {
  return { headers: { authorization }, body: Buffer.from(text) };
}

await t.test('an event is of every account that has the key, and the secret that proves it', async (t) => {
  const { event, accounts: proven } = await readRoomWebhook(request(await signed(body)), accounts);
  t.match(event, { event: 'room_started', id: 'EV_1', room: { name: 'support', sid: 'RM_1' } });
  t.same(
    proven.map(({ id }) => id),
    ['acme', 'acme-too'],
  );
  const other = await readRoomWebhook(request(await signed(body, 'key-2', 'secret-2')), accounts);
  t.same(
    other.accounts.map(({ id }) => id),
    ['other'],
  );
});

await t.test('what isn’t signed by a secret of ours, or is of other bytes, is refused', async (t) => {
  const refused: [string, string | undefined, string, string][] = [
    ['no token', undefined, body, 'signature_missing'],
    ['an empty one', '', body, 'signature_missing'],
    ['no token at all', 'Basic abc', body, 'signature_invalid'],
    ['a token of JSON that is none', 'a.e30.c', body, 'signature_invalid'],
    ['another secret', await signed(body, 'key-1', 'guessed'), body, 'signature_invalid'],
    ['a key of nobody', await signed(body, 'key-9', 'secret-1'), body, 'signature_invalid'],
    ['another body', await signed(body), `${body} `, 'signature_invalid'],
    ['a prefix', `Bearer ${await signed(body)}`, body, 'signature_invalid'],
  ];
  for (const [name, authorization, text, code] of refused)
    await t.rejects(readRoomWebhook(request(authorization, text), accounts), { code }, name);
});
