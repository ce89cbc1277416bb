import { join } from 'node:path';
import type { Logger } from 'pino';
import { accountOf, type AccountConfig, type Config } from '../../config/Config.js';
import { daemonsFolder } from '../../spool/layout.js';
import type { Clock } from '../../storage/Clock.js';
import { readSpooled } from '../../storage/SpooledRecording.js';
import type { Archive } from '../library/Archive.js';
import type { Metrics } from '../monitoring/Metrics.js';
import { EventJournal } from './EventJournal.js';
import { EventWatch, type Uploading } from './EventWatch.js';
import { Webhooks } from './Webhooks.js';

export interface NoticesOptions {
  readonly config: () => Config;
  /** Where the spool is was settled at the start. */
  readonly spoolDir: string;
  readonly archive: Archive;
  readonly find: (accountId: string) => Promise<AccountConfig | undefined>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** The wall clock, ms. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** What accounts are told of their recordings: who sees that there is something to tell, and who delivers it. */
export class Notices {
  readonly watch: EventWatch;
  readonly webhooks: Webhooks;
  readonly #options: NoticesOptions;

  constructor(options: NoticesOptions) {
    this.#options = options;
    this.webhooks = this.#makeWebhooks();
    this.watch = this.#makeWatch();
  }

  #makeWebhooks(): Webhooks {
    const { archive, spoolDir, find, metrics, clock, nowMs, log } = this.#options;
    return new Webhooks({
      outbox: archive.catalogue.outbox,
      journal: new EventJournal({ dir: join(spoolDir, daemonsFolder), log }),
      find,
      clock,
      nowMs,
      keep: async (delivery) => await (await archive.ledgerOf(delivery.accountId))?.keep(delivery),
      letGo: async (delivery) => await (await archive.ledgerOf(delivery.accountId))?.letGo(delivery),
      tried: (outcome) => metrics.eventTries.inc({ outcome }),
      dropped: () => metrics.eventsDropped.inc(),
      log,
    });
  }

  #makeWatch(): EventWatch {
    const { config, clock, log } = this.#options;
    return new EventWatch({
      clock,
      tell: (event) => this.webhooks.tell(event),
      // Of an account that is looked up it isn't known here.
      isWanted: (accountId) =>
        (accountOf(config(), accountId)?.webhooks.length ?? 0) > 0 || config().accountLookup !== null,
      read: async (folder) => await this.#uploading(folder),
      stalledMs: () => config().recording.stalledMinutes * 60_000,
      log,
    });
  }

  async #uploading(folder: string): Promise<Uploading | null> {
    const { manifest, note } = (await readSpooled(this.#options.spoolDir, folder)) ?? { manifest: null };
    return manifest === null ? null : { manifest, stored: note.chunks.map(({ index }) => index) };
  }
}
