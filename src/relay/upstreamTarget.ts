import type { AccountConfig } from '../config/Config.js';
import type { Dialect } from '../providers/Dialect.js';
import { signatureOf } from '../providers/twilio/signature.js';
import type { UpstreamTarget } from './Upstream.js';

/**
 * The upgrade request that the bot gets: what the provider itself would have sent it, signed for the bot's own URL, so that
 * an existing bot's checks go on working.
 */
export function upstreamTarget(stream: {
  readonly url: string;
  readonly dialect: Dialect;
  readonly account: AccountConfig;
  /** The sub-protocol that the provider offered. */
  readonly protocol: string | null;
}): UpstreamTarget {
  const { url, dialect, account, protocol } = stream;
  const headers = dialect.name === 'twilio' ? signed(url, account) : authorized(account);
  return { url, protocols: protocol === null ? [] : [protocol], headers };
}

function signed(url: string, account: AccountConfig): Record<string, string> {
  const [token] = account.twilio.authTokens;
  return token === undefined ? {} : { 'X-Twilio-Signature': signatureOf(token, url) };
}

function authorized(account: AccountConfig): Record<string, string> {
  const [pair] = account.jambonz.credentials;
  if (pair === undefined) return {};
  const basic = Buffer.from(`${pair.username}:${pair.password}`).toString('base64');
  return { Authorization: `Basic ${basic}` };
}
