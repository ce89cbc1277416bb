import type { IncomingMessage } from 'node:http';
import { accountOf } from '../config/Config.js';
import type { AccountConfig, Config } from '../config/Config.js';
import { isFromHere } from '../config/isFromHere.js';
import { isRoomOfAnother } from '../config/roomPattern.js';
import { isSafeId } from '../providers/Dialect.js';
import { issuerOf, readAccessToken } from '../providers/livekit/accessToken.js';
import { UpgradeRefusal } from './UpgradeRefusal.js';

/** A track egress that has been let in: whose room it is of, and which of its tracks. */
export interface AdmittedTrack {
  readonly accountId: string;
  readonly account: AccountConfig;
  /** The configuration at the upgrade; the stream keeps it. */
  readonly config: Config;
  readonly room: { readonly name: string; readonly sid: string | null };
  readonly identity: string;
  /** As LiveKit names it: `microphone`, `screen_share_audio`, `unknown`. */
  readonly source: string;
  /** Samples that are interleaved. */
  readonly channels: 1 | 2;
  readonly remoteAddress: string;
}

const path = '/livekit/track';
const maxNameCharacters = 256;
const sources = ['microphone', 'screen_share_audio', 'unknown'];

export function isTrackPath(url: string): boolean {
  return (url.split('?', 1)[0] ?? '').replace(/\/$/, '') === path;
}

/**
 * Who may bring a track. An egress sends no headers of its own and says nothing of what it brings, so all of it is in the query of the
 * URL that it was given: `room`, `identity`, and perhaps `source`, `channels`, `sid`, `account`. An `access_token` proves it: one of the
 * account's LiveKit project that may record the room. An account without a project is served to this machine only.
 *
 * @throws UpgradeRefusal
 */
export function admitTrack(request: IncomingMessage, config: Config): AdmittedTrack {
  const query = new URLSearchParams(request.url?.split('?')[1] ?? '');
  const room = named(query, 'room');
  const { account, accountId } = accountFor(request, query, room, config);
  const source = query.get('source') ?? 'microphone';
  const channels = query.get('channels') ?? '2';
  if (!sources.includes(source)) throw wrong('source', sources.join(', '));
  if (channels !== '1' && channels !== '2') throw wrong('channels', '1 or 2');
  const sid = query.get('sid');
  if (sid !== null && !isSafeId(sid)) throw wrong('sid', 'the id of a room');
  return {
    account,
    accountId,
    config,
    room: { name: room, sid },
    identity: named(query, 'identity'),
    source,
    channels: channels === '1' ? 1 : 2,
    remoteAddress: request.socket.remoteAddress ?? '',
  };
}

interface Owner {
  readonly account: AccountConfig;
  readonly accountId: string;
}

/** @throws UpgradeRefusal */
function accountFor(request: IncomingMessage, query: URLSearchParams, room: string, config: Config): Owner {
  const token = query.get('access_token');
  const accountId = query.get('account');
  if (token !== null) return proven(token, accountId, room, config);
  const { headers } = request;
  const isLocal = isFromHere({ remoteAddress: request.socket.remoteAddress ?? '', headers });
  const account = accountId === null || !isSafeId(accountId) ? undefined : accountOf(config, accountId);
  if (isLocal && accountId !== null && account?.livekit === null) return { account, accountId };
  throw new UpgradeRefusal(401, 'token_missing', {
    remedy: 'Give the URL an access_token with the grants room and roomRecord.',
  });
}

/** @throws UpgradeRefusal */
function proven(token: string, accountId: string | null, room: string, config: Config): Owner {
  const issuer = issuerOf(token);
  const candidates = config.accounts.filter(
    (account) =>
      account.livekit?.apiKey === issuer &&
      (accountId === null || accountId === account.id) &&
      !isRoomOfAnother(config.accounts, account, room),
  );
  const [account, another] = candidates.filter(({ livekit }) => {
    const grant = readAccessToken(token, livekit?.apiSecret ?? '', Date.now());
    return grant?.mayRecord === true && (grant.room === null || grant.room === room);
  });
  // Whose recording it becomes is nothing to be guessed.
  if (another !== undefined)
    throw wrong('account', 'several have the key of this token and may have this room');
  if (account !== undefined) return { account, accountId: account.id };
  throw new UpgradeRefusal(403, 'token_invalid', {
    value: issuer === null ? undefined : `signed as ${issuer.slice(0, 80)}`,
    remedy: 'It has to be of the account’s livekit.apiKey and apiSecret, for this room, with roomRecord.',
  });
}

/** @throws UpgradeRefusal */
function named(query: URLSearchParams, key: string): string {
  const value = query.get(key) ?? '';
  if (value === '' || value.length > maxNameCharacters)
    throw wrong(key, `1 to ${maxNameCharacters} characters`);
  return value;
}

function wrong(key: string, expected: string): UpgradeRefusal {
  return new UpgradeRefusal(400, 'start_invalid', {
    value: key,
    remedy: `The query needs ${key}: ${expected}.`,
  });
}
