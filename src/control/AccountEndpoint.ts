import { isAbsolute } from 'node:path';
import type { AccountConfig, Config } from '../config/Config.js';
import { isLoopback } from '../config/isFromHere.js';
import { parseAccount } from '../config/load.js';
import { ReelayError } from '../config/ReelayError.js';

type Lookup = NonNullable<Config['accountLookup']>;

/** The longest answer, bytes. An account is a few hundred. */
const maxBytes = 256 * 1024;
const maxRedirects = 3;

/**
 * Asks the operator's endpoint for one account: `GET` with the account's id in the URL and the key as a Bearer token. 200 with
 * an entry of `accounts` as JSON is the account, 404 says that there is none; everything else is a fault of the endpoint.
 * Redirects are followed within its own origin only, because the key goes with them.
 *
 * An endpoint elsewhere can't give an account a store of type `file`: whoever writes its answers would choose where on this
 * machine's disk is written. One on this machine may, with an absolute path. Buckets are all right from everywhere.
 *
 * @returns null where the endpoint says that there is no such account
 * @throws ReelayError `accounts_unavailable`; nothing in it is a secret, nor the answer's text, which may hold some
 */
export async function askForAccount(
  accountId: string,
  config: Config & { readonly accountLookup: Lookup },
): Promise<AccountConfig | null> {
  const { url, key, timeoutMs } = config.accountLookup;
  const signal = AbortSignal.timeout(timeoutMs);
  const target = new URL(url.replaceAll('{account}', encodeURIComponent(accountId)));
  if (!isAskable(target)) throw unusable(accountId, 'its URL is neither https nor on this machine');
  let text: string | null;
  try {
    const response = await get(target, key, signal, accountId);
    text = response === null ? null : await bodyOf(response, accountId);
  } catch (error) {
    if (error instanceof ReelayError) throw error;
    throw unusable(accountId, signal.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error));
  }
  return text === null ? null : accountIn(text, accountId, config, target);
}

/** @returns null for a 404 */
async function get(
  target: URL,
  key: string | null,
  signal: AbortSignal,
  accountId: string,
): Promise<Response | null> {
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    ...(key === null ? {} : { authorization: `Bearer ${key}` }),
  };
  let url = target;
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const response = await fetch(url, { headers, signal, redirect: 'manual' });
    if (response.status === 200) return response;
    response.body?.cancel().catch(() => undefined);
    if (response.status === 404) return null;
    const location =
      response.status >= 300 && response.status < 400 ? response.headers.get('location') : null;
    if (location === null) throw unusable(accountId, `it answers with status ${response.status}`);
    if (!URL.canParse(location, url.href)) throw unusable(accountId, 'it redirects nowhere');
    url = new URL(location, url);
    if (url.origin !== target.origin) throw unusable(accountId, 'it redirects to another origin');
  }
  throw unusable(accountId, `it redirects more than ${maxRedirects} times`);
}

async function bodyOf(response: Response, accountId: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > maxBytes) throw unusable(accountId, `it answers with more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The parser's own message would quote the text. */
function accountIn(text: string, accountId: string, config: Config, target: URL): AccountConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unusable(accountId, 'its answer is not JSON');
  }
  const { id, store } = (value ?? {}) as { id?: unknown; store?: { type?: unknown; dir?: unknown } | null };
  if (id !== accountId) throw unusable(accountId, 'its answer is about another account');
  if (store?.type === 'file' && !(isLocal(target) && isAbsolute(String(store.dir))))
    throw unusable(accountId, 'its answer has a store of type file, and it is not on this machine');
  try {
    return parseAccount(value, '/', config);
  } catch (error) {
    throw unusable(accountId, (error as Error).message);
  }
}

function isAskable(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLocal(url));
}

function isLocal({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || isLoopback(hostname);
}

/** The system's word for it, for example `ECONNREFUSED`: its sentences may name the URL, which may hold a key. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } };
  return typeof cause?.code === 'string' ? cause.code : 'the connection failed';
}

function unusable(accountId: string, why: string): ReelayError {
  return new ReelayError('accounts_unavailable', { value: accountId, remedy: `At accountsUrl ${why}.` });
}
