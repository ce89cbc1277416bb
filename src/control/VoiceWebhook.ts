import { accountOf, type AccountConfig, type Config } from '../config/Config.js';
import { isFromHere } from '../config/isFromHere.js';
import { ReelayError } from '../config/ReelayError.js';
import { isSafeId } from '../providers/Dialect.js';
import {
  formParameters,
  type FormParameters,
  urlCandidates,
  verifySignature,
} from '../providers/twilio/signature.js';
import { startTokenParameter, type StartTokens } from '../providers/twilio/startToken.js';
import { voiceResponse } from '../providers/twilio/voiceResponse.js';
import type { PlainRequest } from './ControlMessage.js';

/** Finds an account by its id; undefined where there is none. */
export type FindAccount = (accountId: string) => Promise<AccountConfig | undefined>;

/** Where the TwiML sends the stream; part of what the start token is good for. */
const streamPath = '/twilio';
/** Characters of a number or an address; one of Twilio's parameters may have some 500. */
const longestParty = 256;
const signatureHeader = 'x-twilio-signature';

/**
 * Answers Twilio's voice webhook (`POST /twilio/voice`) with TwiML that connects the call to this relay. Asked twice for one
 * call it answers twice the same way; each answer carries a start token of its own, and each token admits one stream.
 *
 * @returns TwiML
 * @throws ReelayError `request_invalid`, `account_unknown`, `account_loopback_only`, `signature_missing`, `signature_invalid`,
 *   `accounts_unavailable`
 */
export async function answerVoice(
  config: Config,
  request: PlainRequest,
  tokens: StartTokens,
  find: FindAccount,
): Promise<string> {
  const params = formParameters(Buffer.from(request.body).toString());
  const { AccountSid: accountId, CallSid: callId } = params;
  if (!isSafeId(accountId) || !isSafeId(callId)) {
    const remedy = 'Twilio sends AccountSid and CallSid as a form; point the number’s voice webhook here.';
    throw new ReelayError('request_invalid', { value: 'AccountSid or CallSid', remedy });
  }
  // Strangers don't make anybody ask for the accounts they invent.
  const isUnlisted = config.accountLookup !== null && accountOf(config, accountId) === undefined;
  if (isUnlisted && headerOf(request, signatureHeader) === undefined && !isFromHere(request))
    throw new ReelayError('signature_missing');
  const account = await find(accountId);
  if (account === undefined) throw new ReelayError('account_unknown', { value: accountId });
  prove(config, account, request, params);
  const { authTokens } = account.twilio;
  const token = tokens.mint({ accountId, callId, path: streamPath, authTokens, nowMs: Date.now() });
  const parameters = { [startTokenParameter]: token, ...partiesOf(params) };
  return voiceResponse({ url: streamUrl(config, request), parameters });
}

/** Who calls whom, which the stream's own start message doesn't say: for the recording, and for the bot. */
function partiesOf({ From: from, To: to, Direction: direction }: FormParameters): Record<string, string> {
  const told = Object.entries({ from, to, direction });
  return Object.fromEntries(told.filter((each): each is [string, string] => isParty(each[1])));
}

function isParty(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= longestParty;
}

/** The webhook is signed with one of the account's tokens; an account without any is served on loopback only. */
function prove(config: Config, account: AccountConfig, request: PlainRequest, params: FormParameters): void {
  const tokens = account.twilio.authTokens;
  if (tokens.length === 0) {
    if (isFromHere(request)) return;
    const remedy = 'Give the account its twilio.authToken.';
    throw new ReelayError('account_loopback_only', { value: account.id, remedy });
  }
  const header = headerOf(request, signatureHeader);
  if (header === undefined) throw new ReelayError('signature_missing');
  const candidates = urlCandidates({
    publicUrl: config.media.publicUrl,
    hostHeader: headerOf(request, 'host'),
    path: request.url,
    schemes: ['https', 'http'],
  });
  if (verifySignature({ header, tokens, candidates, params })) return;
  const remedy = 'Compare media.publicUrl with the webhook’s URL, and twilio.authToken with the account’s.';
  throw new ReelayError('signature_invalid', { value: candidates[0]?.url, remedy });
}

/** Twilio dials `wss` alone; only a caller on this machine, a simulator, can do without TLS. */
function streamUrl({ media }: Config, request: PlainRequest): string {
  if (media.publicUrl !== null) return media.publicUrl.replace(/^http/, 'ws') + streamPath;
  const host = headerOf(request, 'host');
  if (host === undefined || !/^[A-Za-z0-9.:[\]_-]+$/.test(host))
    throw new ReelayError('request_invalid', { value: 'Host', remedy: 'Set media.publicUrl.' });
  return `${isFromHere(request) ? 'ws' : 'wss'}://${host}${streamPath}`;
}

function headerOf({ headers }: PlainRequest, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}
