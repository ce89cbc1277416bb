import { AccessToken, RoomAgentDispatch, RoomConfiguration, TrackSource } from 'livekit-server-sdk';
import { attributesOf, type BridgedCallFacts } from './BridgedCallFacts.js';

/** Longer than any call; it is checked at the join and when the SDK mends its connection. */
const ttlSeconds = 6 * 3600;

/** As whom a call may join its room: seen by everybody, with one microphone, and with data, which digits travel as. */
export async function accessTokenOf(call: BridgedCallFacts): Promise<string> {
  const { server, room, identity, from, agent } = call;
  const token = new AccessToken(server.apiKey, server.apiSecret, {
    identity,
    name: from ?? identity,
    ttl: ttlSeconds,
    attributes: attributesOf(call),
  });
  token.addGrant({
    roomJoin: true,
    room,
    canPublish: true,
    canPublishSources: [TrackSource.MICROPHONE],
    canSubscribe: true,
    canPublishData: true,
  });
  if (agent !== null) {
    const agents = [new RoomAgentDispatch({ agentName: agent, metadata: metadataOf(call) })];
    token.roomConfig = new RoomConfiguration({ agents });
  }
  return await token.toJwt();
}

/** What an agent that is dispatched gets as its job's metadata. */
function metadataOf({ callId, accountId, from, to, parameters }: BridgedCallFacts): string {
  return JSON.stringify({ callId, accountId, from, to, parameters });
}
