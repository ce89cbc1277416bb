import type { Logger } from 'pino';
import type { AccountConfig } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import type { Dialect, StartEvent } from '../providers/Dialect.js';
import { publicParameters } from './parameters.js';
import type { RelayContext } from './RelayContext.js';
import type { UpstreamRoute, UpstreamTarget } from './Upstream.js';

/** To a bot that is always to be found at the same place. */
export function routeTo(target: UpstreamTarget): UpstreamRoute {
  return { target: () => target, redials: 0, meaning: () => null };
}

/** To whoever is in a LiveKit room, by way of a bridge. */
export function routeIntoRoom(stream: {
  /** `livekit://…` */
  readonly url: string;
  readonly dialect: Dialect;
  readonly account: AccountConfig;
  readonly start: StartEvent;
  readonly bridges: RelayContext['bridges'];
  /** Gets what the bridge says of the call. */
  readonly log: Logger;
}): UpstreamRoute {
  const { url, dialect, account, start, bridges, log } = stream;
  if (bridges === undefined) return nowhere;
  const { accountId, callId, from, to } = start;
  const parameters = publicParameters(start.parameters);
  const { returnSampleRate } = account.jambonz;
  const call = { dialect: dialect.name, accountId, callId, from, to, parameters, returnSampleRate };
  return bridges.route(url, account, call, log);
}

const nowhere: UpstreamRoute = {
  target: () => {
    throw new ReelayError('bridge_failed', { value: 'this process has no bridges' });
  },
  redials: 0,
  meaning: () => null,
};
