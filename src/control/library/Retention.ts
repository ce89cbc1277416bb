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
  readonly log: Logger;
  /** ms since the Unix epoch. Default: the clock. */
  readonly nowMs?: () => number;
}

const dayMs = 86_400_000;
/** How often it is looked for what has become too old, ms. */
const lookMs = 3_600_000;
const pageSize = 200;
/** Refusals that say nothing is wrong: it is deleted another time. */
const forLater: readonly string[] = ['recording_held', 'recording_unstored'];

/** Deletes what is older than its account keeps recordings, unless somebody holds it. */
export class Retention {
  readonly #options: RetentionOptions;
  #looking: NodeJS.Timeout | null = null;
  #isBusy = false;

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
    for (const account of this.#options.accounts()) {
      if (account.retentionDays === null || account.id === '*') continue;
      removed += await this.#lookAt(account.id, account.retentionDays).catch((error: unknown) => {
        this.#options.log.warn({ accountId: account.id, err: error }, 'what is too old could not be deleted');
        return 0;
      });
    }
    this.#isBusy = false;
    return removed;
  }

  async #lookAt(accountId: string, days: number): Promise<number> {
    const { catalogue, removal, log, nowMs = Date.now } = this.#options;
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
