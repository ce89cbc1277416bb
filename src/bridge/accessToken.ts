import { createHmac } from 'node:crypto';
import { attributesOf, type BridgedCallFacts } from './BridgedCallFacts.js';

/**
 * Longer than a call: Twilio ends one after 24 hours. It is checked at the join, and when a room that was lost is joined again; while the SDK
 * mends its connection by itself, it has newer ones of the server's.
 */
const ttlSeconds = 25 * 3600;

export interface ApiKeys {
  readonly apiKey: string;
  readonly apiSecret: string;
}

/**
 * As whom a call may join its room, and no other: seen by everybody, with one microphone, and with data, which digits travel as. A JWT with
 * HS256 (RFC 7519) as LiveKit's server SDK makes them; made here, because that one would have to be loaded beside the live calls, and only
 * signs later.
 *
 * @param nowMs - wall clock
 */
export function accessTokenOf(
  call: Omit<BridgedCallFacts, 'server'>,
  { apiKey, apiSecret }: ApiKeys,
  nowMs: number,
): string {
  const { room, identity, from, agent } = call;
  const nowSeconds = Math.floor(nowMs / 1000);
  const claims = {
    iss: apiKey,
    sub: identity,
    nbf: nowSeconds,
    exp: nowSeconds + ttlSeconds,
    name: from ?? identity,
    attributes: attributesOf(call),
    video: {
      roomJoin: true,
      room,
      canPublish: true,
      canPublishSources: ['microphone'],
      canSubscribe: true,
      canPublishData: true,
    },
    ...(agent === null ? {} : { roomConfig: { agents: [{ agentName: agent, metadata: metadataOf(call) }] } }),
  };
  const signed = `${partOf({ alg: 'HS256', typ: 'JWT' })}.${partOf(claims)}`;
  return `${signed}.${createHmac('sha256', apiSecret).update(signed).digest('base64url')}`;
}

/** What an agent that is dispatched gets as its job's metadata. */
function metadataOf({ callId, accountId, from, to, parameters }: Omit<BridgedCallFacts, 'server'>): string {
  return JSON.stringify({ callId, accountId, from, to, parameters });
}

function partOf(content: object): string {
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}
