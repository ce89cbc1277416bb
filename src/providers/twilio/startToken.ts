import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ErrorCode } from '../../config/ReelayError.js';

/**
 * The start token: proof that a stream was ordered by a voice webhook that was signed, not long ago, and not before. A
 * stream's own signature covers neither a time nor a call, so whoever sees one could replay it for ever.
 *
 *     r1.<expiry>.<nonce>.<mac>
 *
 * `expiry` is in seconds since the Unix epoch, base 36; `nonce` has 16 random bytes; `mac` is HMAC-SHA256 over account,
 * call, path, expiry and nonce; the last two are base64url. Its key is derived (HKDF-SHA256, RFC 5869) from the account's
 * auth token, so that another daemon of the account can check it, or is the process key where the account has none. 80
 * characters; together with its name far below the 500 that Twilio allows a parameter.
 */

/** Name of the custom parameter that carries the token. */
export const startTokenParameter = 'reelayToken';

/** From the webhook's answer to the stream's start; the answer may let the caller hear something first. */
export const startTokenLifetimeMs = 300_000;

/** What a token is good for. */
export interface TokenScope {
  readonly accountId: string;
  readonly callId: string;
  /** Path of the media socket, without a query. */
  readonly path: string;
  /** The account's auth tokens, newest first; empty where it has none. */
  readonly authTokens: readonly string[];
  /** Wall clock, ms since the Unix epoch. */
  readonly nowMs: number;
}

/** Memory of one redeemed token is about 100 bytes. At this many within a lifetime, further streams are refused. */
const maxUsed = 200_000;

const shape = /^r1\.([0-9a-z]{1,9})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/** Minting and redeeming need not share an instance, only the key; but all redeeming must go through one. */
export class StartTokens {
  readonly #processKey: Uint8Array;
  /** Nonce to the time at which it may be forgotten; in the order of that time. */
  readonly #used = new Map<string, number>();

  /** @param processKey - 32 random bytes of this process */
  constructor(processKey: Uint8Array) {
    this.#processKey = processKey;
  }

  mint(scope: TokenScope): string {
    const expiry = Math.ceil((scope.nowMs + startTokenLifetimeMs) / 1000).toString(36);
    const nonce = randomBytes(16).toString('base64url');
    const [key = this.#processKey] = scope.authTokens.slice(0, 1).map(keyFrom);
    return `r1.${expiry}.${nonce}.${macOf(key, scope, expiry, nonce).toString('base64url')}`;
  }

  /**
   * @param token - the custom parameter as the start message has it; undefined where it has none
   * @returns `ok` once; `token_missing`, `token_invalid`, or `too_many_streams` when no more can be remembered
   */
  redeem(token: unknown, scope: TokenScope): 'ok' | ErrorCode {
    if (token === undefined) return 'token_missing';
    const [, expiry, nonce, mac] = typeof token === 'string' ? (shape.exec(token) ?? []) : [];
    if (expiry === undefined || nonce === undefined || mac === undefined) return 'token_invalid';
    if (!this.#isGenuine(Buffer.from(mac, 'base64url'), scope, expiry, nonce)) return 'token_invalid';
    const expiresMs = Number.parseInt(expiry, 36) * 1000;
    if (expiresMs < scope.nowMs || this.#used.has(nonce)) return 'token_invalid';
    return this.#remember(nonce, scope.nowMs) ? 'ok' : 'too_many_streams';
  }

  #isGenuine(mac: Buffer, scope: TokenScope, expiry: string, nonce: string): boolean {
    const keys = scope.authTokens.length > 0 ? scope.authTokens.map(keyFrom) : [this.#processKey];
    return keys.some((key) => timingSafeEqual(mac, macOf(key, scope, expiry, nonce)));
  }

  /** Kept for a whole lifetime from now, which is never shorter than what is left of the token's. */
  #remember(nonce: string, nowMs: number): boolean {
    for (const [used, untilMs] of this.#used) {
      if (untilMs > nowMs) break;
      this.#used.delete(used);
    }
    if (this.#used.size >= maxUsed) return false;
    this.#used.set(nonce, nowMs + startTokenLifetimeMs + 1000);
    return true;
  }
}

function keyFrom(authToken: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', authToken, '', 'reelay start token 1', 32));
}

function macOf(key: Uint8Array, scope: TokenScope, expiry: string, nonce: string): Buffer {
  // As JSON, so that no two scopes can have the same text.
  const text = JSON.stringify([scope.accountId, scope.callId, scope.path, expiry, nonce]);
  return createHmac('sha256', key).update(text).digest();
}
