import type { AccountConfig } from '../config/Config.js';
import type { Counters } from '../tap/Counters.js';

/** Null: there is no such account. `unavailable`: nobody could be asked. */
export type FoundAccount = AccountConfig | 'unavailable' | null;

/** Asks whoever knows the accounts that the configuration doesn't list. Never rejects. */
export type AskForAccount = (accountId: string) => Promise<FoundAccount>;

/** How long an answer is used here, ms; whoever gave it keeps it for as long as is configured. */
const knownMs = 5000;
const unknownMs = 1000;
const mostKept = 1000;
/** Questions under way at once. */
const mostAsked = 256;
/** Questions a second on behalf of sockets that have proven nothing yet. */
const unprovenPerSecond = 100;

/**
 * Accounts that the configuration doesn't list, asked for in another thread. Several streams that wait for one account wait
 * for one answer. Strangers, who may invent a new account with every socket, can't make it ask without end.
 */
export class AccountFinder {
  readonly #ask: AskForAccount;
  readonly #counters: Counters;
  readonly #kept = new Map<string, { readonly account: AccountConfig | null; readonly untilMs: number }>();
  readonly #asked = new Map<string, Promise<FoundAccount>>();
  #windowMs = 0;
  #unproven = 0;

  constructor(ask: AskForAccount, counters: Counters) {
    this.#ask = ask;
    this.#counters = counters;
  }

  /**
   * @param isUnproven - whether the socket that names the account has yet to prove anything
   * @returns at once what was asked for a moment ago
   */
  find(accountId: string, isUnproven: boolean): FoundAccount | Promise<FoundAccount> {
    const kept = this.#kept.get(accountId);
    if (kept !== undefined && performance.now() < kept.untilMs) return kept.account;
    const asked = this.#asked.get(accountId);
    if (asked !== undefined) return asked;
    if (this.#asked.size >= mostAsked || (isUnproven && this.#isFlooded())) return this.#unanswered();
    return this.#question(accountId);
  }

  /** The configuration has changed: what it said before counts for nothing. */
  forget(): void {
    this.#kept.clear();
  }

  #question(accountId: string): Promise<FoundAccount> {
    this.#counters.add('accountQuestions');
    const question = this.#ask(accountId)
      .catch((): FoundAccount => 'unavailable')
      .then((account) => {
        this.#asked.delete(accountId);
        if (account === 'unavailable') return this.#unanswered();
        this.#keep(accountId, account);
        return account;
      });
    this.#asked.set(accountId, question);
    return question;
  }

  #keep(accountId: string, account: AccountConfig | null): void {
    this.#kept.delete(accountId);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= mostKept && oldest !== undefined) this.#kept.delete(oldest);
    const keptMs = account === null ? unknownMs : knownMs;
    this.#kept.set(accountId, { account, untilMs: performance.now() + keptMs });
  }

  #unanswered(): 'unavailable' {
    this.#counters.add('accountQuestionsUnanswered');
    return 'unavailable';
  }

  #isFlooded(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#windowMs >= 1000) [this.#windowMs, this.#unproven] = [nowMs, 0];
    return ++this.#unproven > unprovenPerSecond;
  }
}
