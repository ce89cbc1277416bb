import type { Logger } from 'pino';
import { roomNameOf } from '../bridge/BridgedCallFacts.js';
import type { AccountConfig } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { isRoomOfAnother } from '../config/roomPattern.js';
import { readRoomUrl } from '../config/roomUrl.js';
import type { Dialect, StartEvent } from '../providers/Dialect.js';
import { publicParameters } from './parameters.js';
import type { RelayContext } from './RelayContext.js';
import type { UpstreamRoute, UpstreamTarget } from './Upstream.js';

/** To a bot that is always to be found at the same place. */
export function routeTo(target: UpstreamTarget): UpstreamRoute {
  return { target: () => target, redials: 0, meaning: () => null };
}

/** Placeholders of a room's name that nobody can set to what he likes. */
const given = /^(?:callId|accountId|provider)$/;

/**
 * To whoever is in a LiveKit room, by way of a bridge. Where the call has a say in which one that is, it is none that another account of the
 * same project has recorded.
 */
export function routeIntoRoom(stream: {
  /** `livekit://…` */
  readonly url: string;
  readonly dialect: Dialect;
  readonly account: AccountConfig;
  /** All that are configured. */
  readonly accounts: readonly AccountConfig[];
  readonly start: StartEvent;
  readonly bridges: RelayContext['bridges'];
  /** Gets what the bridge says of the call. */
  readonly log: Logger;
}): UpstreamRoute {
  const { url, dialect, account, accounts, start, bridges, log } = stream;
  if (bridges === undefined) return nowhere('this process has no bridges');
  const { accountId, callId, from, to } = start;
  const parameters = publicParameters(start.parameters);
  const { returnSampleRate } = account.jambonz;
  const call = { dialect: dialect.name, accountId, callId, from, to, parameters, returnSampleRate };
  const pattern = readRoomUrl(url)?.pattern ?? '';
  const isChosen = [...pattern.matchAll(/\{([^}]*)\}/g)].some(([, name = '']) => !given.test(name));
  if (isChosen) {
    const name = roomNameOf(pattern, call);
    if (isRoomOfAnother(accounts, account, name)) return nowhere(`room ${name} is another account’s`);
  }
  return bridges.route(url, account, call, log);
}

function nowhere(value: string): UpstreamRoute {
  return {
    target: () => {
      throw new ReelayError('bridge_failed', { value });
    },
    redials: 0,
    meaning: () => null,
  };
}
