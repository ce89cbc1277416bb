import { join } from 'node:path';
import type { Logger } from 'pino';
import type { CatalogueWriter } from '../../catalogue/CatalogueWriter.js';
import type { AccountConfig, Config } from '../../config/Config.js';
import type { Manifest } from '../../spool/Manifest.js';
import { catalogueNoteName, daemonsFolder } from '../../spool/layout.js';
import type { RecordingProgress, SpoolEvent } from '../../spool/SpoolEvent.js';
import { Ledger } from '../../storage/Ledger.js';
import type { SpoolReserve } from '../../storage/SpoolReserve.js';
import type { Stores } from '../../storage/Stores.js';
import type { Alerts } from '../monitoring/Alerts.js';
import { AuditLog } from './AuditLog.js';
import { CatalogueNote } from './CatalogueNote.js';
import { CatalogueWatch } from './CatalogueWatch.js';
import { ForeignRecordings } from './ForeignRecordings.js';
import { Library } from './Library.js';
import { Removal } from './Removal.js';
import { Retention } from './Retention.js';

export interface ArchiveOptions {
  /** Where spool and catalogue are was settled at the start; a reload moves neither. */
  readonly config: () => Config;
  readonly stores: Stores;
  /** Configured or looked up; undefined where nobody knows it. @throws ReelayError `accounts_unavailable` */
  readonly findAccount: (accountId: string) => Promise<AccountConfig | undefined>;
  readonly reserve: SpoolReserve;
  readonly alerts: Alerts;
  /** A recording that lies in the spool. */
  readonly found: (folder: string, manifest: Manifest) => void;
  readonly log: Logger;
}

/** After how long stores that could not be read are read again, ms. */
const readAgainMs = 300_000;

/** Every recording there is, from its first sample until it is deleted: the library with its catalogue, and what keeps it true and small. */
export class Archive {
  readonly library: Library;
  readonly removal: Removal;
  readonly audit: AuditLog;
  readonly #options: ArchiveOptions;
  readonly #spoolDir: string;
  readonly #watch: CatalogueWatch;
  readonly #foreign: ForeignRecordings;
  readonly #retention: Retention;
  /** Set while some store could not be read. */
  #readingAgain: NodeJS.Timeout | null = null;
  #isEnded = false;

  constructor(options: ArchiveOptions) {
    this.#options = options;
    const { config, stores, log } = options;
    this.#spoolDir = config().spool.dir;
    this.#watch = this.#makeWatch();
    this.library = new Library(this.catalogue, this.#spoolDir, stores);
    this.#foreign = new ForeignRecordings({ spoolDir: this.#spoolDir, library: this.library, log });
    const storeOf = this.library.storeOf.bind(this.library);
    const outgoing = join(this.#spoolDir, daemonsFolder);
    this.removal = new Removal({
      spoolDir: this.#spoolDir,
      outgoing,
      catalogue: this.catalogue,
      storeOf,
      forget: (recordingId) => this.library.forget(recordingId),
    });
    this.#retention = new Retention({
      catalogue: this.catalogue,
      removal: this.removal,
      accounts: () => config().accounts,
      findAccount: options.findAccount,
      log,
    });
    this.audit = new AuditLog({ dir: outgoing, storeOf, log });
  }

  get catalogue(): CatalogueWriter {
    return this.#watch.catalogue;
  }

  /** Knows what lies in the spool when it resolves. @param listens - whether anybody can ask this daemon */
  async begin(listens: boolean): Promise<void> {
    // Before anybody can ask: a recording that was known to the predecessor is known from the first request on.
    await this.library.scanSpool(this.#options.found);
    this.library.expectStores();
    // Who doesn't listen has handed its port over, and a file with it, or is about to get both.
    if (listens || this.catalogue.isShared) await this.#watch.start();
    this.#retention.start();
    this.audit.start();
  }

  /** This daemon is asked from now on. */
  open(): void {
    void this.#watch.start();
  }

  /** A file is one daemon's; and nobody asks this one for lists any more. */
  async handOver(): Promise<void> {
    if (!this.catalogue.isShared) await this.#watch.stop();
  }

  /** Another daemon has it in the spool. */
  foreign(folder: string): void {
    this.#foreign.found(folder);
  }

  /** What the own recorder announces. */
  take(event: SpoolEvent): void {
    this.#foreign.announced(event.folder);
    this.library.take(event);
  }

  progressed(recording: RecordingProgress): void {
    this.#foreign.announced(recording.folder);
    this.library.progressed(recording);
  }

  /** Shows as stored what other daemons have stored. */
  async look(): Promise<void> {
    await this.#foreign.look();
  }

  /** Whatever other daemons have left in the spool is this one's. */
  async takeUp(): Promise<void> {
    await this.#foreign.takeUp(this.#options.found);
    await this.library.scanSpool(this.#options.found);
  }

  /** Takes up what is in the stores, as far as the catalogue may lack it; then deletes what is too old. */
  readStores(): void {
    const { config, log } = this.#options;
    const { bounds } = this.#watch;
    let failures = 0;
    const reading = this.library.scanStores(
      config().accounts,
      {
        failed: (store, error) => {
          failures++;
          const about = { err: error, store: store.name };
          log.error(about, 'a store cannot be listed; its recordings are not shown');
          this.#readAgain();
        },
        cut: (store) =>
          log.warn({ store: store.name }, 'a store holds so much that not everything in it is shown'),
        refused: (store, { recordingId, accountId }) =>
          log.error(
            { code: 'catalogue_refused', store: store.name, recordingId, accountId },
            'a store says something of another account’s recording, which is not believed',
          ),
      },
      bounds,
    );
    void reading.then(() => {
      if (failures === 0) this.#watch.storesRead(bounds);
      void this.#retention.look();
    });
  }

  /** Where an account's tombstones, holds and undelivered events are kept; null where it has no store. @throws ReelayError `accounts_unavailable` */
  async ledgerOf(accountId: string): Promise<Ledger | null> {
    const store = await this.library.storeOf(accountId);
    return store === null ? null : new Ledger(store, join(this.#spoolDir, daemonsFolder));
  }

  /** Looks for nothing any more. What is written from now on, {@link close} writes. */
  end(): void {
    this.#isEnded = true;
    if (this.#readingAgain !== null) clearTimeout(this.#readingAgain);
    this.#retention.stop();
  }

  async close(): Promise<void> {
    await Promise.all([this.audit.stop(), this.#watch.stop()]);
  }

  #makeWatch(): CatalogueWatch {
    const { config, reserve, alerts, log } = this.#options;
    const note = join(this.#spoolDir, daemonsFolder, catalogueNoteName);
    return new CatalogueWatch({
      url: config().catalogue.url,
      note: new CatalogueNote(note, (path, data) => reserve.write(path, data)),
      alerts,
      ready: (isShort) => this.#fill(isShort),
      away: () => this.library.goWithoutStores(),
      log,
    });
  }

  /** The catalogue can be asked: for the first time, or again. */
  #fill(isShort: boolean): void {
    const { found, log } = this.#options;
    void this.library
      .mend(isShort, found)
      .catch((error: unknown) => log.debug({ err: error }, 'the catalogue went away again'));
    this.readStores();
  }

  #readAgain(): void {
    if (this.#isEnded) return;
    this.#readingAgain ??= setTimeout(() => {
      this.#readingAgain = null;
      this.readStores();
    }, readAgainMs).unref();
  }
}
