import type { Logger } from 'pino';
import type { Catalogue } from '../../catalogue/Catalogue.js';
import type { AccountConfig } from '../../config/Config.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { Removal } from './Removal.js';

export interface RetentionOptions {
  readonly catalogue: Catalogue;
  readonly removal: Pick<Removal, 'remove'>;
  /** Those that are configured now. */
  readonly accounts: () => readonly AccountConfig[];
  /** Any other; undefined where nobody knows it. @throws ReelayError `accounts_unavailable` */
  readonly findAccount: (accountId: string) => Promise<AccountConfig | undefined>;
  readonly log: Logger;
  /** ms since the Unix epoch. Default: the clock. */
  readonly nowMs?: () => number;
}

const dayMs = 86_400_000;
/** How often it is looked for what has become too old, ms. */
const lookMs = 3_600_000;
const pageSize = 200;
/** Accounts that are looked up at each look, and how many of them in vain; the others are at the next one. */
const mostLookedUp = 10_000;
const mostInVain = 10;
/** Refusals that say nothing is wrong: it is deleted another time. */
const forLater: readonly string[] = ['recording_held', 'recording_unstored'];

/** Deletes what is older than its account keeps recordings, unless somebody holds it. */
export class Retention {
  readonly #options: RetentionOptions;
  #looking: NodeJS.Timeout | null = null;
  #isBusy = false;
  /** The account that was looked up last; '' when all of them have been. */
  #behind = '';

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  start(): void {
    this.#looking ??= setInterval(() => void this.look(), lookMs).unref();
  }

  stop(): void {
    if (this.#looking !== null) clearInterval(this.#looking);
    this.#looking = null;
  }

  /** Goes through all accounts once. Never rejects. @returns recordings that were deleted */
  async look(): Promise<number> {
    if (this.#isBusy) return 0;
    this.#isBusy = true;
    let removed = 0;
    for (const account of this.#options.accounts())
      removed += await this.#lookAt(account).catch((error: unknown) => this.#tell(account.id, error));
    removed += await this.#lookBeyond().catch((error: unknown) => this.#tell(this.#behind, error));
    this.#isBusy = false;
    return removed;
  }

  /** Accounts that somebody else knows are asked for one by one, those that have recordings. */
  async #lookBeyond(): Promise<number> {
    const { accounts, catalogue, findAccount } = this.#options;
    const configured = new Set(accounts().map(({ id }) => id));
    let removed = 0;
    let inVain = 0;
    for (let asked = 0; asked < mostLookedUp && inVain < mostInVain;) {
      const accountId = await catalogue.accountAfter(this.#behind);
      this.#behind = accountId ?? '';
      if (accountId === undefined) break;
      if (configured.has(accountId)) continue;
      asked++;
      try {
        const account = await findAccount(accountId);
        if (account !== undefined) removed += await this.#lookAt(account);
      } catch (error) {
        inVain++;
        this.#tell(accountId, error);
      }
    }
    return removed;
  }

  #tell(accountId: string, error: unknown): number {
    this.#options.log.warn({ accountId, err: error }, 'what is too old could not be deleted');
    return 0;
  }

  async #lookAt({ id: accountId, retentionDays: days }: AccountConfig): Promise<number> {
    const { catalogue, removal, log, nowMs = Date.now } = this.#options;
    if (days === null || accountId === '*') return 0;
    const toMs = nowMs() - days * dayMs;
    let removed = 0;
    for (let cursor: string | undefined; ;) {
      const page = await catalogue.list({ account: accountId, toMs, limit: pageSize, cursor });
      for (const entry of page.entries) {
        try {
          await removal.remove(entry, { cause: 'retention', by: 'reelay' });
          removed++;
          const { recordingId, callId, provider, startTime } = entry;
          log.info(
            { recordingId, accountId, callId, provider, startTime, days },
            'a recording was deleted for its age',
          );
        } catch (error) {
          if (!(error instanceof ReelayError) || !forLater.includes(error.code)) throw error;
        }
      }
      if (page.next === null) return removed;
      cursor = page.next;
    }
  }
}
