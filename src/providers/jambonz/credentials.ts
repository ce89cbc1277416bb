import { createHash, timingSafeEqual } from 'node:crypto';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** An account that a socket could belong to. */
export interface Candidate {
  readonly accountId: string;
  readonly credentials: readonly Credentials[];
}

/** Longer headers are refused unread. jambonz itself sends none above about 90 characters. */
const maxHeaderCharacters = 4096;

/**
 * Reads an Authorization header (RFC 7617).
 *
 * @returns null where it is missing, of another scheme, or malformed
 */
export function parseBasic(header: string | undefined): Credentials | null {
  if (header === undefined || header.length > maxHeaderCharacters) return null;
  const token = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1];
  if (token === undefined) return null;
  const text = Buffer.from(token, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0 || hasControlCharacter(text)) return null;
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/**
 * The accounts whose credentials a header proves; several may share a pair, so the call's start message must still name
 * one of them. Every pair is compared, whole and in constant time: jambonz is known to send one fork's credentials with
 * another, so a listener has to know many.
 */
export function accountsProvenBy(header: string | undefined, candidates: readonly Candidate[]): string[] {
  const given = parseBasic(header);
  if (given === null) return [];
  const digest = digestOf(given);
  return candidates
    .filter(({ credentials }) => matches(digest, credentials))
    .map(({ accountId }) => accountId);
}

function matches(digest: Buffer, credentials: readonly Credentials[]): boolean {
  let matching = 0;
  for (const pair of credentials) matching += Number(timingSafeEqual(digest, digestOf(pair)));
  return matching > 0;
}

/** Digests have one length, so comparing them tells nothing about the secret's. */
function digestOf({ username, password }: Credentials): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([username, password]))
    .digest();
}

function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
