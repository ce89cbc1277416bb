import {
  AccessToken,
  RoomAgentDispatch,
  RoomConfiguration,
  TokenVerifier,
  TrackSource,
} from 'livekit-server-sdk';
import t from 'tap';
import { accessTokenOf } from '../../src/bridge/accessToken.js';
import { attributesOf } from '../../src/bridge/BridgedCallFacts.js';
import { facts } from './fixtures/bridgedCall.js';

const keys = { apiKey: 'key', apiSecret: 'a-secret-of-more-than-32-characters' };
const call = facts({ from: 'Zoë', parameters: { queue: 'sales' } });

/** As a server reads them: what a room's configuration doesn't say is as if it said the default. */
async function claimsOf(token: string): Promise<Readonly<Record<string, unknown>>> {
  const { roomConfig, ...claims } = await new TokenVerifier(keys.apiKey, keys.apiSecret).verify(token);
  const read = RoomConfiguration.fromJsonString(JSON.stringify(roomConfig ?? {}));
  return { ...claims, roomConfig: read.toJson() };
}

await t.test('a token says what LiveKit’s own SDK would', async (t) => {
  for (const agent of [null, 'front-desk']) {
    const token = new AccessToken(keys.apiKey, keys.apiSecret, {
      identity: call.identity,
      name: 'Zoë',
      attributes: attributesOf(call),
    });
    token.addGrant({
      roomJoin: true,
      room: call.room,
      canPublish: true,
      canPublishSources: [TrackSource.MICROPHONE],
      canSubscribe: true,
      canPublishData: true,
    });
    if (agent !== null) {
      const { callId, accountId, from, to, parameters } = call;
      const metadata = JSON.stringify({ callId, accountId, from, to, parameters });
      token.roomConfig = new RoomConfiguration({
        agents: [new RoomAgentDispatch({ agentName: agent, metadata })],
      });
    }
    const expected = await claimsOf(await token.toJwt());
    const said = await claimsOf(accessTokenOf({ ...call, agent }, keys, Date.now()));
    const { exp, nbf } = said;
    t.strictSame({ ...said, exp: 0, nbf: 0 }, { ...expected, exp: 0, nbf: 0 });
    t.equal(Number(exp) - Number(nbf), 25 * 3600, 'longer than any phone call');
    t.ok(Math.abs(Number(nbf) - Date.now() / 1000) < 5);
  }
});

await t.test('signed with another secret it is none', async (t) => {
  const token = accessTokenOf(
    call,
    { ...keys, apiSecret: 'another-secret-of-more-than-32-chars' },
    Date.now(),
  );
  await t.rejects(claimsOf(token));
});
