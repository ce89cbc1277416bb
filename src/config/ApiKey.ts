import { createHash, randomBytes } from 'node:crypto';

/** What a key may be used for: reading, steering calls' recordings, deleting. Each is given by itself; none includes another. */
export const keyScopes = ['read', 'control', 'delete'] as const;
export type KeyScope = (typeof keyScopes)[number];

/**
 * A Bearer key of the control port, as its SHA-256: whoever reads a configuration or a copy of the memory has no key. A plain digest is
 * enough for keys that nobody can guess ({@link freshKey}); it wouldn't be for passwords.
 */
export interface ApiKey {
  /** 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  /** Who has it, for the audit log. Never the key, nor a part of it. */
  readonly name: string;
  readonly scopes: readonly KeyScope[];
}

/** Marks a digest where a key is expected. */
const digestMark = 'sha256:';
const digestPattern = /^[0-9a-f]{64}$/;
const keyPattern = /^\S(?:.*\S)?$/;

/** @returns 64 lower-case hexadecimal digits */
export function digestOfKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** 192 random bits, with a mark by which scanners for secrets can know it. */
export function freshKey(): string {
  return `reelay_${randomBytes(24).toString('base64url')}`;
}

/**
 * Reads what a configuration gives as one key: the key itself, `sha256:` and its digest, or an object of `key` (either of these), `name` and
 * `scopes`. Without scopes it has all of them.
 *
 * @returns undefined when it isn't one
 */
export function apiKeyOf(value: unknown): ApiKey | undefined {
  if (typeof value === 'string') return keyNamed(value, undefined, keyScopes);
  if (typeof value !== 'object' || value === null) return undefined;
  const { key, name, scopes = keyScopes, ...rest } = value as Record<string, unknown>;
  if (typeof key !== 'string' || Object.keys(rest).length > 0) return undefined;
  if (name !== undefined && !(typeof name === 'string' && /^[\w .:@-]{1,64}$/.test(name))) return undefined;
  const known = Array.isArray(scopes) ? keyScopes.filter((scope) => scopes.includes(scope)) : [];
  if (!Array.isArray(scopes) || known.length === 0 || known.length !== new Set(scopes).size) return undefined;
  return keyNamed(key, name, known);
}

function keyNamed(text: string, name: string | undefined, scopes: readonly KeyScope[]): ApiKey | undefined {
  const isDigest = text.startsWith(digestMark);
  const sha256 = isDigest ? text.slice(digestMark.length) : digestOfKey(text);
  if (isDigest ? !digestPattern.test(sha256) : !keyPattern.test(text)) return undefined;
  // Of a digest nobody gets back to the key, so a piece of it may be shown.
  return { sha256, name: name ?? `key-${sha256.slice(0, 8)}`, scopes };
}

/** How a key is written into a configuration without being in it. */
export function digestText({ sha256 }: ApiKey): string {
  return `${digestMark}${sha256}`;
}
