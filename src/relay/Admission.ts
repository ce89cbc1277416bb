import type { IncomingMessage } from 'node:http';
import { accountOf } from '../config/Config.js';
import type { AccountConfig, Config } from '../config/Config.js';
import { isFromHere } from '../config/isFromHere.js';
import { ReelayError } from '../config/ReelayError.js';
import type { Dialect, StartEvent } from '../providers/Dialect.js';
import { accountsProvenBy, parseBasic } from '../providers/jambonz/credentials.js';
import { urlCandidates, verifySignature } from '../providers/twilio/signature.js';
import { StartTokens, startTokenParameter } from '../providers/twilio/startToken.js';
import type { MediaRoute } from './MediaRoute.js';
import { UpgradeRefusal } from './UpgradeRefusal.js';

/** A socket that has been let in, and what it has proven. */
export interface Admitted {
  readonly dialect: Dialect;
  readonly tap: boolean;
  readonly path: string;
  /** The configuration at the upgrade; the stream keeps it. */
  readonly config: Config;
  /** The account that the path names. */
  readonly pathAccount: string | null;
  /** Ids of the configured accounts (`*` among them) that the socket may speak for. */
  readonly proven: ReadonlySet<string>;
  /** The one account that a socket without a start message can belong to; null where that can't be told. */
  readonly onlyAccountId: string | null;
  /** The sub-protocol that was offered and is echoed. */
  readonly protocol: string | null;
  readonly remoteAddress: string;
}

/** Base64 of a SHA-1; anything else in the header isn't worth computing one for each account. */
const signatureShape = /^[A-Za-z0-9+/]{27}=$/;

/**
 * Time per second that upgrades may take which are refused in the end. A guess costs one digest for each account, token and
 * spelling of the URL, and whoever guesses must not take that time from the calls that are up. Nor may one address keep the
 * others out by guessing: those that haven't guessed in this second are still heard when it has used up its share.
 */
const refusalBudgetMs = { guesser: 200, anybody: 500 };

/**
 * Who may come in. The upgrade proves a set of accounts by their secrets; the start message then names one, which must be
 * among them. Nothing that the peer says about itself adds to what its secret proved.
 */
export class Admission {
  readonly #tokens: StartTokens;
  readonly #guessers = new Set<string>();
  #windowMs = 0;
  #spentMs = 0;

  /** @param tokenKey - the process's key for start tokens of accounts without an auth token */
  constructor(tokenKey: Uint8Array) {
    this.#tokens = new StartTokens(tokenKey);
  }

  /** @throws UpgradeRefusal */
  admit(request: IncomingMessage, route: MediaRoute, config: Config): Admitted {
    const startMs = performance.now();
    if (startMs - this.#windowMs >= 1000) {
      this.#windowMs = startMs;
      this.#spentMs = 0;
      this.#guessers.clear();
    }
    const address = request.socket.remoteAddress ?? '';
    const budgetMs = refusalBudgetMs[this.#guessers.has(address) ? 'guesser' : 'anybody'];
    if (this.#spentMs >= budgetMs) throw new UpgradeRefusal(503, 'too_many_streams');
    try {
      return this.#prove(request, route, config);
    } catch (error) {
      this.#spentMs += performance.now() - startMs;
      this.#guessers.add(address);
      throw error;
    }
  }

  /**
   * The account of a stream's call. A start token, once accepted, is used up.
   *
   * @throws ReelayError `account_unknown`, `account_mismatch`, `token_missing`, `token_invalid`
   */
  accountOfStart(admitted: Admitted, start: StartEvent): AccountConfig {
    const account = accountOf(admitted.config, start.accountId);
    if (account === undefined) throw new ReelayError('account_unknown', { value: start.accountId });
    const expected = admitted.pathAccount ?? start.accountId;
    if (!admitted.proven.has(account.id) || expected !== start.accountId) {
      throw new ReelayError('account_mismatch', { value: start.accountId });
    }
    if (admitted.dialect.name === 'twilio') this.#checkToken(admitted, account, start);
    return account;
  }

  #prove(request: IncomingMessage, route: MediaRoute, config: Config): Admitted {
    const remoteAddress = request.socket.remoteAddress ?? '';
    const candidates = candidatesOf(route, config);
    const proven = new Set(
      route.dialect.name === 'twilio'
        ? provenBySignature(request, candidates, config)
        : provenByCredentials(request, candidates),
    );
    const open = candidates.filter((account) => !hasSecret(account, route.dialect));
    if (isFromHere({ remoteAddress, headers: request.headers }))
      for (const account of open) proven.add(account.id);
    if (proven.size === 0) throw refusal(request, route, open.length === candidates.length);
    return {
      dialect: route.dialect,
      tap: route.tap,
      path: route.path,
      config,
      pathAccount: route.account,
      proven,
      onlyAccountId: route.account ?? onlyOf(proven),
      protocol: offeredProtocol(request, route.dialect),
      remoteAddress,
    };
  }

  #checkToken(admitted: Admitted, account: AccountConfig, start: StartEvent): void {
    const token = start.parameters[startTokenParameter];
    if (token === undefined && !account.twilio.requireToken) return;
    const verdict = this.#tokens.redeem(token, {
      accountId: start.accountId,
      callId: start.callId,
      path: admitted.path,
      authTokens: account.twilio.authTokens,
      nowMs: Date.now(),
    });
    if (verdict !== 'ok') throw new ReelayError(verdict);
  }
}

/** @throws UpgradeRefusal for a path that names an account which isn't configured */
function candidatesOf(route: MediaRoute, config: Config): readonly AccountConfig[] {
  if (route.account === null) return config.accounts;
  const account = accountOf(config, route.account);
  if (account === undefined) throw new UpgradeRefusal(403, 'account_unknown', { value: route.account });
  return [account];
}

function hasSecret(account: AccountConfig, dialect: Dialect): boolean {
  return dialect.name === 'twilio'
    ? account.twilio.authTokens.length > 0
    : account.jambonz.credentials.length > 0;
}

function provenBySignature(
  request: IncomingMessage,
  accounts: readonly AccountConfig[],
  config: Config,
): readonly string[] {
  const header = headerOf(request, 'x-twilio-signature');
  if (header === undefined || !signatureShape.test(header)) return [];
  const { publicUrl } = config.media;
  const candidates = urlCandidates({
    publicUrl,
    hostHeader: request.headers.host,
    path: request.url ?? '/',
    schemes: publicUrl !== null && /^(https|wss):/i.test(publicUrl) ? ['wss'] : ['wss', 'ws'],
  });
  return accounts
    .filter(({ twilio }) => verifySignature({ header, tokens: twilio.authTokens, candidates }))
    .map(({ id }) => id);
}

function provenByCredentials(
  request: IncomingMessage,
  accounts: readonly AccountConfig[],
): readonly string[] {
  return accountsProvenBy(
    request.headers.authorization,
    accounts.map(({ id, jambonz }) => ({ accountId: id, credentials: jambonz.credentials })),
  );
}

function refusal(request: IncomingMessage, route: MediaRoute, allOpen: boolean): UpgradeRefusal {
  if (allOpen) {
    return new UpgradeRefusal(403, 'account_loopback_only', {
      remedy: 'Configure a secret for the account.',
    });
  }
  if (route.dialect.name === 'twilio') {
    return headerOf(request, 'x-twilio-signature') === undefined
      ? new UpgradeRefusal(401, 'signature_missing')
      : new UpgradeRefusal(403, 'signature_invalid', {
          remedy: 'Compare media.publicUrl with the URL in the TwiML, and the auth token.',
        });
  }
  const given = parseBasic(request.headers.authorization);
  return new UpgradeRefusal(given === null ? 401 : 403, 'credentials_invalid', { value: given?.username });
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function onlyOf(proven: ReadonlySet<string>): string | null {
  const [only] = proven.size === 1 ? proven : [];
  return only === undefined || only === '*' ? null : only;
}

/** An unknown name is left unanswered, which every client accepts; a wrong answer makes jambonz give up. */
function offeredProtocol(request: IncomingMessage, dialect: Dialect): string | null {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  return offered.find((name) => dialect.capabilities.subprotocols.includes(name)) ?? null;
}
