import type { Logger } from 'pino';
import { accountOf } from '../config/Config.js';
import type { AccountConfig, Config } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import type { Clock } from '../storage/Clock.js';
import { askForAccount } from './AccountEndpoint.js';

/** What was answered, and what became of the questions since. */
interface Answer {
  /** Null: there is no such account. */
  readonly account: AccountConfig | null;
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
  readonly #asked = new Map<string, Promise<AccountConfig | undefined>>();
  /** When a question in vain may be asked again, ms of the clock. */
  readonly #resting = new Map<string, number>();
  readonly #queue: (() => void)[] = [];
  #asking = 0;
  #url: string | null = null;
  #isDown = false;

  constructor(options: { readonly config: () => Config; readonly clock: Clock; readonly log: Logger }) {
    this.#config = options.config;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#url = options.config().accountLookup?.url ?? null;
  }

  /**
   * @returns undefined where nobody knows the account
   * @throws ReelayError `accounts_unavailable`: it isn't configured, and the endpoint can't be asked
   */
  async find(accountId: string): Promise<AccountConfig | undefined> {
    const configured = accountOf(this.#config(), accountId);
    if (configured !== undefined || this.#config().accountLookup === null) return configured;
    const answer = this.#answers.get(accountId);
    if (answer !== undefined && this.#clock.now() < answer.freshUntilMs) return answer.account ?? undefined;
    const asked = this.#asked.get(accountId);
    if (asked !== undefined) return asked;
    if (this.#clock.now() < (this.#resting.get(accountId) ?? 0)) return this.#stale(accountId);
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
    const freshMs = account === null ? Math.min(ttlMs * unknownShare, longestUnknownMs) : ttlMs;
    const answeredMs = this.#clock.now();
    remember(this.#answers, accountId, { account, answeredMs, freshUntilMs: answeredMs + freshMs });
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
    if (answer?.account && this.#clock.now() < answer.answeredMs + staleMs) return answer.account;
    throw error instanceof ReelayError
      ? error
      : new ReelayError('accounts_unavailable', { value: accountId });
  }
}

/** The entry that was made longest ago goes, where there are too many. */
function remember<Value>(entries: Map<string, Value>, key: string, value: Value): void {
  entries.delete(key);
  entries.set(key, value);
  const [oldest] = entries.keys();
  if (entries.size > mostAnswers && oldest !== undefined) entries.delete(oldest);
}
