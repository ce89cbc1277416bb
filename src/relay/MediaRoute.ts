import { isSafeId } from '../providers/Dialect.js';
import type { Dialect } from '../providers/Dialect.js';
import { jambonzDialect } from '../providers/jambonz/dialect.js';
import { twilioDialect } from '../providers/twilio/dialect.js';

/** A path of the media port that takes WebSockets. */
export interface MediaRoute {
  readonly dialect: Dialect;
  /** `/twilio/tap`: ground truth beside a call's own stream. */
  readonly tap: boolean;
  /** The account that the path names, null where it names none. */
  readonly account: string | null;
  /** As received, without the query. */
  readonly path: string;
}

export const dialects: readonly Dialect[] = [twilioDialect, jambonzDialect];

/**
 * @param url - path and query as received
 * @returns null for a path that takes no WebSockets
 */
export function mediaRoute(url: string): MediaRoute | null {
  const path = url.split('?', 1)[0] ?? '';
  const [, name, rest = ''] = /^\/([a-z]+)(?:\/([^/]+))?\/?$/.exec(path) ?? [];
  const dialect = dialects.find((candidate) => candidate.name === name);
  if (dialect === undefined) return null;
  const route = { dialect, tap: false, account: null, path };
  if (rest === '') return route;
  if (dialect === twilioDialect && rest === 'tap') return { ...route, tap: true };
  const account = decoded(rest);
  return isSafeId(account) ? { ...route, account } : null;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
