import { isSafeId } from '../providers/Dialect.js';
import type { Dialect } from '../providers/Dialect.js';
import { jambonzDialect } from '../providers/jambonz/dialect.js';
import { twilioDialect } from '../providers/twilio/dialect.js';

/** A path of the media port that takes WebSockets. */
export interface MediaRoute {
  readonly dialect: Dialect;
  readonly endpoint: Endpoint;
  /** The account that the path names, null where it names none. */
  readonly account: string | null;
  /** As received, without the query. */
  readonly path: string;
}

/**
 * What a socket is for. `stream`: a call, relayed to its bot. `tap`: ground truth beside a call's own stream, `/twilio/tap`.
 * `record`: jambonz's own recording of a call, `<any prefix>/record/<vendor>`. `track`: a track of a LiveKit room, `/livekit/track`.
 */
export type Endpoint = 'stream' | 'tap' | 'record' | 'track';

export const dialects: readonly Dialect[] = [twilioDialect, jambonzDialect];

/**
 * @param url - path and query as received
 * @returns null for a path that takes no WebSockets
 */
export function mediaRoute(url: string): MediaRoute | null {
  const path = url.split('?', 1)[0] ?? '';
  if (isRecordPath(path)) return { dialect: jambonzDialect, endpoint: 'record', account: null, path };
  const [, name, rest = ''] = /^\/([a-z]+)(?:\/([^/]+))?\/?$/.exec(path) ?? [];
  const dialect = dialects.find((candidate) => candidate.name === name);
  if (dialect === undefined) return null;
  const route = { dialect, endpoint: 'stream', account: null, path } as const;
  if (rest === '') return route;
  if (dialect === twilioDialect && rest === 'tap') return { ...route, endpoint: 'tap' };
  const account = decoded(rest);
  return isSafeId(account) ? { ...route, account } : null;
}

/**
 * jambonz appends `/record/` and the vendor of the account's bucket to whatever base URL it is configured with. The vendor may
 * be any name: which store a recording goes to is reelay's own configuration.
 */
function isRecordPath(path: string): boolean {
  const [root, ...steps] = path.replace(/\/$/, '').split('/').map(decoded);
  if (root !== '' || steps.some((step) => step === null || step === '.' || step === '..')) return false;
  return steps.at(-2) === 'record' && steps.at(-1) !== '';
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
