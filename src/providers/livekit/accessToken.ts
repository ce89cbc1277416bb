import { createHmac, timingSafeEqual } from 'node:crypto';
import { isObject, objectAt, parseObject, stringAt } from '../JsonMessage.js';
import type { JsonObject } from '../JsonMessage.js';

/** What an access token of LiveKit says, once it has been found to be genuine. */
export interface TokenGrant {
  /** The room it is for; null: any. */
  readonly room: string | null;
  /** `roomRecord`: it may start and stop recordings. */
  readonly mayRecord: boolean;
}

/** Clocks of two machines differ; livekit-server allows as much. */
const leewaySeconds = 10;
const longestCharacters = 8192;

/** The key under whose secret a token says that it was signed; null where it is none. Nothing of it is proven. */
export function issuerOf(token: string): string | null {
  const claims = partOf(token, 1);
  return claims === null ? null : stringAt(claims, 'iss');
}

/**
 * Reads an access token (a JWT with HS256, RFC 7519), as LiveKit's server SDKs make them.
 *
 * @param nowMs - wall clock
 * @returns null for one that was signed with another secret, isn't valid now, or is none
 */
export function readAccessToken(token: string, apiSecret: string, nowMs: number): TokenGrant | null {
  if (token.length > longestCharacters) return null;
  const header = partOf(token, 0);
  const claims = partOf(token, 1);
  // Whoever may choose the algorithm chooses none (RFC 8725, section 2.1).
  if (header === null || claims === null || header['alg'] !== 'HS256') return null;
  const cut = token.lastIndexOf('.');
  const signature = Buffer.from(token.slice(cut + 1), 'base64url');
  const expected = createHmac('sha256', apiSecret).update(token.slice(0, cut)).digest();
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return null;
  if (!isValidAt(claims, nowMs / 1000)) return null;
  const video = objectAt(claims, 'video');
  return { room: stringAt(video, 'room'), mayRecord: video['roomRecord'] === true };
}

/** One without an end would be good for ever. */
function isValidAt({ exp, nbf }: JsonObject, nowSeconds: number): boolean {
  if (typeof exp !== 'number' || nowSeconds > exp + leewaySeconds) return false;
  return nbf === undefined || (typeof nbf === 'number' && nowSeconds >= nbf - leewaySeconds);
}

function partOf(token: string, index: 0 | 1): JsonObject | null {
  const parts = token.split('.', 4);
  if (parts.length !== 3) return null;
  const value = parseObject(Buffer.from(parts[index] ?? '', 'base64url').toString('utf8'));
  return isObject(value) ? value : null;
}
