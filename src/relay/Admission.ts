import type { IncomingMessage } from 'node:http';
import { accountOf } from '../config/Config.js';
import type { AccountConfig, Config } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import type { ErrorCode } from '../config/ReelayError.js';
import type { Dialect, StartEvent } from '../providers/Dialect.js';
import { StartTokens, startTokenParameter } from '../providers/twilio/startToken.js';
import type { AccountFinder, FoundAccount } from './AccountFinder.js';
import { Evidence, hasSecret } from './Evidence.js';
import type { Endpoint, MediaRoute } from './MediaRoute.js';
import { UpgradeRefusal } from './UpgradeRefusal.js';

/** A socket that has been let in, and what it has proven. */
export interface Admitted {
  readonly dialect: Dialect;
  readonly endpoint: Endpoint;
  readonly path: string;
  /** The configuration at the upgrade; the stream keeps it. */
  readonly config: Config;
  /** The account that the path names. */
  readonly pathAccount: string | null;
  /** Ids of the configured accounts (`*` among them) that the socket may speak for. */
  readonly proven: ReadonlySet<string>;
  /** Whether it proved them by a secret, and not by being made on this machine alone. */
  readonly hasShownSecret: boolean;
  /** Whether it showed a pair of the recording endpoint itself: a whole jambonz, which speaks for all of its accounts. */
  readonly speaksForAll: boolean;
  /** Whether it may name an account that nobody knows, which then has a recording that failed. */
  readonly mayNameUnknown: boolean;
  /** What the secrets of an account are held against that is looked up after the start message. */
  readonly evidence: Evidence;
  /** The one account that a socket without a start message can belong to; null where that can't be told. */
  readonly onlyAccountId: string | null;
  /** The sub-protocol that was offered and is echoed. */
  readonly protocol: string | null;
  readonly remoteAddress: string;
}

/**
 * Time per second that upgrades may take which are refused in the end. A guess costs one digest for each account, token and
 * spelling of the URL, and whoever guesses must not take that time from the calls that are up. Nor may one address keep the
 * others out by guessing: those that haven't guessed in this second are still heard when it has used up its share.
 */
const refusalBudgetMs = { guesser: 200, anybody: 500 };

/**
 * Who may come in. The upgrade proves a set of accounts by their secrets; the start message then names one, which must be
 * among them. Nothing that the peer says about itself adds to what its secret proved. Where accounts are looked up, an upgrade
 * whose secret is no configured account's is let in for the time being, and has to prove the account that its start message
 * names before anything of it is forwarded or recorded.
 */
export class Admission {
  readonly #tokens: StartTokens;
  readonly #accounts: AccountFinder;
  readonly #guessers = new Set<string>();
  #windowMs = 0;
  #spentMs = 0;

  /** @param tokenKey - the process's key for start tokens of accounts without an auth token */
  constructor(tokenKey: Uint8Array, accounts: AccountFinder) {
    this.#tokens = new StartTokens(tokenKey);
    this.#accounts = accounts;
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
      const admitted = prove(request, route, config);
      if (isUnproven(admitted)) this.#spentMs += performance.now() - startMs;
      return admitted;
    } catch (error) {
      this.#spentMs += performance.now() - startMs;
      this.#guessers.add(address);
      throw error;
    }
  }

  /**
   * The account of a stream's call: at once where it is configured, later where it has to be looked up. A start token, once
   * accepted, is used up.
   *
   * @throws ReelayError (or rejects with it) `account_unknown`, `account_mismatch`, `token_missing`, `token_invalid`; of a
   *   look-up also `accounts_unavailable`, `signature_invalid`, `credentials_invalid`, `account_loopback_only`
   */
  accountOfStart(admitted: Admitted, start: StartEvent): AccountConfig | Promise<AccountConfig> {
    const account = accountOf(admitted.config, start.accountId);
    if (account === undefined && !asksElsewhere(admitted.config))
      throw new ReelayError('account_unknown', { value: start.accountId });
    const isNamed = (admitted.pathAccount ?? start.accountId) === start.accountId;
    if (!isNamed || (account !== undefined && !admitted.proven.has(account.id)))
      throw new ReelayError('account_mismatch', { value: start.accountId });
    if (account !== undefined) return this.#checked(admitted, account, start);
    const found = this.#accounts.find(start.accountId, isUnproven(admitted));
    return found instanceof Promise
      ? found.then((late) => this.#lookedUp(admitted, late, start))
      : this.#lookedUp(admitted, found, start);
  }

  /** The account that a recording of jambonz's own names; whether its socket may speak for it is another question. */
  accountNamed(admitted: Admitted, accountId: string): FoundAccount | Promise<FoundAccount> {
    const account = accountOf(admitted.config, accountId);
    if (account !== undefined || !asksElsewhere(admitted.config)) return account ?? null;
    return this.#accounts.find(accountId, isUnproven(admitted));
  }

  #lookedUp(admitted: Admitted, account: FoundAccount, start: StartEvent): AccountConfig {
    const details = { value: start.accountId };
    if (account === 'unavailable') throw new ReelayError('accounts_unavailable', details);
    if (account === null) throw this.#guessed(admitted, 'account_unknown', start);
    if (admitted.evidence.proves(account)) return this.#checked(admitted, account, start);
    if (!hasSecret(account, admitted.dialect.name)) throw new ReelayError('account_loopback_only', details);
    if (!isUnproven(admitted)) throw new ReelayError('account_mismatch', details);
    const isTwilio = admitted.dialect.name === 'twilio';
    throw this.#guessed(admitted, isTwilio ? 'signature_invalid' : 'credentials_invalid', start);
  }

  /** Whoever was let in for the time being and proves nothing pays for it at the next upgrade. */
  #guessed(admitted: Admitted, code: ErrorCode, start: StartEvent): ReelayError {
    if (isUnproven(admitted)) this.#guessers.add(admitted.remoteAddress);
    return new ReelayError(code, { value: start.accountId });
  }

  #checked(admitted: Admitted, account: AccountConfig, start: StartEvent): AccountConfig {
    if (admitted.dialect.name === 'twilio') this.#checkToken(admitted, account, start);
    return account;
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

/** Let in for the time being: nothing that the configuration knows has been proven. */
export function isUnproven({ proven, speaksForAll, mayNameUnknown }: Admitted): boolean {
  return proven.size === 0 && !speaksForAll && !mayNameUnknown;
}

/** Whether there may be accounts that the configuration doesn't list. A `*` takes every call that is nobody's. */
function asksElsewhere(config: Config): boolean {
  return config.accountLookup !== null && !config.accounts.some(({ id }) => id === '*');
}

/** @throws UpgradeRefusal */
function prove(request: IncomingMessage, route: MediaRoute, config: Config): Admitted {
  const evidence = new Evidence(request, route.dialect.name, config.media.publicUrl);
  const candidates = candidatesOf(route, config);
  const { credentials } = config.recordEndpoint;
  const isRecord = route.endpoint === 'record';
  const speaksForAll = isRecord && evidence.shows(credentials);
  const proven = new Set(evidence.provenBySecret(candidates));
  const hasShownSecret = proven.size > 0;
  const open = candidates.filter((account) => !hasSecret(account, route.dialect.name));
  // A recording socket that shows a secret speaks for whose it is, and not for the accounts without one as well.
  if (evidence.isLocal && !(isRecord && (hasShownSecret || speaksForAll)))
    for (const account of open) proven.add(account.id);
  const admitted: Admitted = {
    dialect: route.dialect,
    endpoint: route.endpoint,
    path: route.path,
    config,
    pathAccount: route.account,
    proven,
    hasShownSecret,
    speaksForAll,
    mayNameUnknown: isRecord && !hasShownSecret && credentials.length === 0 && evidence.isLocal,
    evidence,
    onlyAccountId: route.account ?? onlyOf(proven),
    protocol: offeredProtocol(request, route.dialect),
    remoteAddress: request.socket.remoteAddress ?? '',
  };
  if (isUnproven(admitted) && !mayProveLater(admitted)) {
    const allOpen = open.length === candidates.length && !(isRecord && credentials.length > 0);
    throw refusal(evidence, allOpen && !asksElsewhere(config));
  }
  return admitted;
}

/** Only what an account that isn't configured could have sent is worth a question. */
function mayProveLater({ config, pathAccount, evidence }: Admitted): boolean {
  if (!asksElsewhere(config)) return false;
  if (pathAccount !== null && accountOf(config, pathAccount) !== undefined) return false;
  return evidence.isWellFormed || evidence.isLocal;
}

/** @throws UpgradeRefusal for a path that names an account which nobody knows */
function candidatesOf(route: MediaRoute, config: Config): readonly AccountConfig[] {
  if (route.account === null) return config.accounts;
  const account = accountOf(config, route.account);
  if (account !== undefined) return [account];
  if (asksElsewhere(config)) return [];
  throw new UpgradeRefusal(403, 'account_unknown', { value: route.account });
}

function refusal(evidence: Evidence, allOpen: boolean): UpgradeRefusal {
  if (allOpen) {
    return new UpgradeRefusal(403, 'account_loopback_only', {
      remedy: 'Configure a secret for the account.',
    });
  }
  if (evidence.dialect === 'twilio') {
    return evidence.isThere
      ? new UpgradeRefusal(403, 'signature_invalid', {
          remedy: 'Compare media.publicUrl with the URL in the TwiML, and the auth token.',
        })
      : new UpgradeRefusal(401, 'signature_missing');
  }
  const { username } = evidence;
  return new UpgradeRefusal(username === null ? 401 : 403, 'credentials_invalid', {
    value: username ?? undefined,
  });
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
