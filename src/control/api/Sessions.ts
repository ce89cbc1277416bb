import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** The cookie that the page is signed in with. */
const cookieName = 'reelay_session';
/** How long somebody stays signed in, s. */
export const sessionSeconds = 12 * 3600;
const version = 1;

/** What a request tells of where it comes from. */
export interface SessionRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Who has signed in with a key, for browsers: a cookie that says which key and until when, signed here. Nothing is kept of it, so a session
 * ends when its time is over, when its key is taken out of the configuration, or when the secret that signs it changes.
 *
 * Pages of others can't use it: browsers send it to this site's own pages only (`SameSite=Strict`), no script can read it (`HttpOnly`),
 * and what changes anything has to come from this very origin.
 */
export class Sessions {
  readonly #secret: () => Buffer;

  /** @param secret - at least 32 bytes */
  constructor(secret: () => Buffer) {
    this.#secret = secret;
  }

  /**
   * @param digest - of the key, hex
   * @param isSecure - whether the browser came by HTTPS
   * @returns the `Set-Cookie` header
   */
  open(digest: string, isSecure: boolean, nowMs = Date.now()): string {
    const said = JSON.stringify([version, digest, Math.floor(nowMs / 1000) + sessionSeconds]);
    const text = Buffer.from(said).toString('base64url');
    return cookie(`${text}.${this.#signature(text).toString('base64url')}`, sessionSeconds, isSecure);
  }

  close(isSecure: boolean): string {
    return cookie('', 0, isSecure);
  }

  /** @returns the digest of the key that a request's cookie was made for; undefined where none counts */
  keyOf({ method, headers }: SessionRequest, nowMs = Date.now()): string | undefined {
    const value = cookieIn(headers.cookie);
    if (value === undefined || !isOwnDeed(method, headers)) return undefined;
    const [text = '', signature = '', ...rest] = value.split('.');
    const given = Buffer.from(signature, 'base64url');
    const right = this.#signature(text);
    if (rest.length > 0 || given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    const [made, digest, untilSeconds] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    if (made !== version || typeof digest !== 'string' || typeof untilSeconds !== 'number') return undefined;
    return nowMs < untilSeconds * 1000 ? digest : undefined;
  }

  #signature(text: string): Buffer {
    return createHmac('sha256', this.#secret()).update(`reelay session\n${text}`).digest();
  }
}

/** Looking does no harm; whatever else a browser sends says where it comes from. */
function isOwnDeed(method: string, { origin, host }: IncomingHttpHeaders): boolean {
  if (method === 'GET' || method === 'HEAD') return true;
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === host;
}

function cookie(value: string, seconds: number, isSecure: boolean): string {
  const secure = isSecure ? '; Secure' : '';
  return `${cookieName}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
}

function cookieIn(header: string | undefined): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const [name, value] = pair.trim().split('=');
    if (name === cookieName && value !== undefined && value !== '') return value;
  }
  return undefined;
}
