import type { Logger } from 'pino';
import { accountOf } from '../config/Config.js';
import type { AccountConfig, Config } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import type { Clock } from '../storage/Clock.js';
import { askForAccount } from './AccountEndpoint.js';

/** What was answered, and what became of the questions since. */
interface Answer {
  readonly account: AccountConfig;
  readonly answeredMs: number;
  freshUntilMs: number;
}

/** That there is no account counts for shorter than that there is one: it may be about to be created. */
const unknownShare = 0.1;
const longestUnknownMs = 10_000;
/** After a question in vain the same isn't asked again for so long, ms. */
const restMs = 1000;
const mostAnswers = 10_000;
const mostAsking = 16;
const mostWaiting = 256;
/** Questions a second on behalf of requests that have proven nothing. */
const strangersPerSecond = 100;

/**
 * All accounts: those of the configuration first (`*` among them), then those that the operator's endpoint knows. Answers are
 * used for their time, and on from there when no new one can be had, for as long as is configured. One question is under way
 * per account, and a bounded number of them in all.
 */
export class AccountDirectory {
  readonly #config: () => Config;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #answers = new Map<string, Answer>();
  /** Accounts that don't exist, and until when that counts. Apart, so that whoever invents ids pushes no answer out that may be needed. */
  readonly #unknown = new Map<string, number>();
  readonly #asked = new Map<string, Promise<AccountConfig | undefined>>();
  /** When a question in vain may be asked again, ms of the clock. */
  readonly #resting = new Map<string, number>();
  readonly #queue: (() => void)[] = [];
  #asking = 0;
  #strangers = { sinceMs: -Infinity, asked: 0 };
  #url: string | null = null;
  #isDown = false;

  constructor(options: { readonly config: () => Config; readonly clock: Clock; readonly log: Logger }) {
    this.#config = options.config;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#url = options.config().accountLookup?.url ?? null;
  }

  /**
   * @param isStranger - whether the one who names the account has proven nothing, and may have invented it
   * @returns undefined where nobody knows the account
   * @throws ReelayError `accounts_unavailable`: it isn't configured, and the endpoint can't be asked
   */
  async find(accountId: string, isStranger = false): Promise<AccountConfig | undefined> {
    const configured = accountOf(this.#config(), accountId);
    if (configured !== undefined || this.#config().accountLookup === null) return configured;
    const nowMs = this.#clock.now();
    const answer = this.#answers.get(accountId);
    if (answer !== undefined && nowMs < answer.freshUntilMs) return answer.account;
    if (nowMs < (this.#unknown.get(accountId) ?? 0)) return undefined;
    const asked = this.#asked.get(accountId);
    if (asked !== undefined) return asked;
    if (nowMs < (this.#resting.get(accountId) ?? 0) || (isStranger && this.#isFlooded()))
      return this.#stale(accountId);
    const question = this.#ask(accountId).finally(() => this.#asked.delete(accountId));
    this.#asked.set(accountId, question);
    return question;
  }

  /** The configuration was read again: everything is asked anew, and what was answered before counts until it is. */
  refresh(): void {
    const url = this.#config().accountLookup?.url ?? null;
    if (url !== this.#url) this.#answers.clear();
    this.#url = url;
    this.#resting.clear();
    this.#unknown.clear();
    for (const answer of this.#answers.values()) answer.freshUntilMs = 0;
  }

  async #ask(accountId: string): Promise<AccountConfig | undefined> {
    if (this.#queue.length >= mostWaiting) return this.#stale(accountId);
    if (this.#asking >= mostAsking) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#asking++;
    try {
      const config = this.#config();
      const { accountLookup } = config;
      if (accountLookup === null) return accountOf(config, accountId);
      const account = await askForAccount(accountId, { ...config, accountLookup });
      this.#answered(accountId, account, accountLookup);
      return account ?? undefined;
    } catch (error) {
      return this.#inVain(accountId, error);
    } finally {
      this.#asking--;
      this.#queue.shift()?.();
    }
  }

  #answered(
    accountId: string,
    account: AccountConfig | null,
    { url, ttlSeconds }: NonNullable<Config['accountLookup']>,
  ): void {
    if (this.#isDown) this.#log.info('accounts can be looked up again');
    this.#isDown = false;
    this.#resting.delete(accountId);
    if (url !== this.#url) return;
    const ttlMs = ttlSeconds * 1000;
    const answeredMs = this.#clock.now();
    if (account === null) {
      this.#answers.delete(accountId);
      const freshMs = Math.min(ttlMs * unknownShare, longestUnknownMs);
      remember(this.#unknown, accountId, answeredMs + freshMs);
      return;
    }
    this.#unknown.delete(accountId);
    remember(this.#answers, accountId, { account, answeredMs, freshUntilMs: answeredMs + ttlMs });
  }

  #inVain(accountId: string, error: unknown): AccountConfig | undefined {
    remember(this.#resting, accountId, this.#clock.now() + restMs);
    if (!this.#isDown)
      this.#log.error({ err: error, code: 'accounts_unavailable' }, 'accounts cannot be looked up');
    this.#isDown = true;
    return this.#stale(accountId, error);
  }

  /** @throws ReelayError `accounts_unavailable` where there is no account that may still be used */
  #stale(accountId: string, error?: unknown): AccountConfig | undefined {
    const answer = this.#answers.get(accountId);
    const staleMs = (this.#config().accountLookup?.staleSeconds ?? 0) * 1000;
    if (answer !== undefined && this.#clock.now() < answer.answeredMs + staleMs) return answer.account;
    throw error instanceof ReelayError
      ? error
      : new ReelayError('accounts_unavailable', { value: accountId });
  }

  #isFlooded(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#strangers.sinceMs >= 1000) this.#strangers = { sinceMs: nowMs, asked: 0 };
    return ++this.#strangers.asked > strangersPerSecond;
  }
}

/** The entry that was made longest ago goes, where there are too many. */
function remember<Value>(entries: Map<string, Value>, key: string, value: Value): void {
  entries.delete(key);
  entries.set(key, value);
  const [oldest] = entries.keys();
  if (entries.size > mostAnswers && oldest !== undefined) entries.delete(oldest);
}
