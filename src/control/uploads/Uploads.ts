import { once } from 'node:events';
import type { Logger } from 'pino';
import type { Config, RecordFormat } from '../../config/Config.js';
import type { Manifest } from '../../spool/Manifest.js';
import { Quarantine, type SetAside } from '../../spool/Quarantine.js';
import type { RecordingProgress, SpoolEvent } from '../../spool/SpoolEvent.js';
import type { Clock } from '../../storage/Clock.js';
import type { SpoolReserve } from '../../storage/SpoolReserve.js';
import type { Stores } from '../../storage/Stores.js';
import { Uploader } from '../../storage/Uploader.js';
import type { AccountDirectory } from '../AccountDirectory.js';
import type { EventWatch } from '../events/EventWatch.js';
import type { KillPoint } from '../KillPoint.js';
import type { Library } from '../library/Library.js';
import type { LiveCalls } from '../library/LiveCalls.js';
import type { Alerts } from '../monitoring/Alerts.js';
import type { Metrics } from '../monitoring/Metrics.js';
import type { Traces } from '../monitoring/Tracing.js';
import type { SpoolOwnership } from './SpoolOwnership.js';
import { SpoolWatch } from './SpoolWatch.js';
import type { StuckUploads } from './StuckUploads.js';
import { UploadWatch } from './UploadWatch.js';

export interface UploadsOptions {
  /** Where the spool is was settled at the start. */
  readonly config: () => Config;
  readonly directory: AccountDirectory;
  readonly stores: Stores;
  readonly reserve: SpoolReserve;
  readonly ownership: SpoolOwnership;
  readonly library: Library;
  readonly calls: LiveCalls;
  readonly events: EventWatch;
  readonly metrics: Metrics;
  readonly traces: Traces;
  readonly alerts: Alerts;
  /** Of a manifest; null: it goes unsigned. */
  readonly sign: (manifest: string) => Buffer | null;
  /** The spool has no room for audio any more, or has it again. */
  readonly full: (isFull: boolean) => void;
  readonly clock: Clock;
  /** Null: nothing kills the process. */
  readonly killPoint: KillPoint | null;
  readonly log: Logger;
}

/** What leaves the spool for the stores, how full that makes it, and who is told of it. */
export class Uploads {
  readonly spool: SpoolWatch;
  readonly #options: UploadsOptions;
  readonly #watch: UploadWatch;
  readonly #uploader: Uploader;

  constructor(options: UploadsOptions) {
    this.#options = options;
    const { config, ownership, calls, alerts, full, log } = options;
    const spoolDir = config().spool.dir;
    const owns = (folder: string): boolean => ownership.owns(folder);
    const relieve = (): Promise<number> => this.#uploader.relieve();
    this.spool = new SpoolWatch({ spoolDir, config, calls, owns, alerts, relieve, changed: full, log });
    this.#watch = new UploadWatch({ ...options, spool: this.spool });
    const { reserve, stores, clock, sign } = options;
    this.#uploader = new Uploader({
      write: (path, data) => reserve.write(path, data),
      spoolDir,
      storeOf: (accountId) => stores.of(accountId),
      portalOf: (accountId) => this.#portalOf(accountId),
      quarantine: new Quarantine(spoolDir, (item) => {
        log.error({ ...item, code: 'spool_unreadable' }, 'something in the spool was set aside');
        this.setAside(item);
      }),
      owns,
      sign,
      clock,
      observer: this.#watch,
    });
  }

  /** Accounts whose store refuses them. */
  get parkedAccounts(): number {
    return this.#watch.parkedAccounts;
  }

  /** What can't be stored at the moment. */
  get stuck(): StuckUploads {
    return this.#watch.stuckUploads;
  }

  /** For how long the oldest audio has waited, ms; null: none waits. */
  get oldestUnstoredMs(): number | null {
    return this.#uploader.oldestUnstoredMs;
  }

  start(): void {
    void this.#options.reserve.fill();
    void this.spool.start();
  }

  /** A recording that lies in the spool and is this daemon's. */
  found(folder: string, manifest: Manifest): void {
    this.spool.found(folder, manifest);
  }

  /** What the recorder announces. */
  take(event: SpoolEvent): void {
    this.spool.take(event);
    if (event.type === 'sealed' || event.type === 'ended') this.#uploader.wake(event.folder);
  }

  progressed(recording: RecordingProgress): void {
    this.spool.progressed(recording);
  }

  /** Takes up whatever lies in the spool and waits for nothing any more. */
  async look(): Promise<void> {
    await this.#uploader.wakeAll();
  }

  /** Accounts whose store refused them try again. */
  reload(): void {
    this.#watch.reloading(() => this.#uploader.unpark());
  }

  /** Something in the spool could not be read. In the log it was told by whoever moved it. */
  setAside(item: SetAside): void {
    const { metrics, alerts } = this.#options;
    metrics.quarantined.inc();
    alerts.raise('quarantine', {
      code: 'spool_unreadable',
      message: 'something in the spool could not be read; somebody has to look into its quarantine',
      details: { ...item },
    });
  }

  /** Stores what it can until `late` is aborted. @returns recordings that stay in the spool until the next start */
  async stop(late: AbortSignal): Promise<number> {
    this.#options.reserve.stop();
    await this.spool.stop();
    await this.#uploader.wakeAll();
    const patience = late.aborted ? Promise.resolve() : once(late, 'abort');
    await Promise.race([this.#uploader.settled(), patience]);
    await Promise.race([this.#uploader.stop(), patience]);
    return await this.#uploader.unstored();
  }

  /** What jambonz's portal expects of an account's recordings on `/record`. */
  async #portalOf(accountId: string): Promise<{ format: RecordFormat; timeZone: string }> {
    const { directory, config } = this.#options;
    const account = await directory.find(accountId);
    return { format: account?.jambonz.recordFormat ?? 'mp3', timeZone: config().recordEndpoint.timeZone };
  }
}
