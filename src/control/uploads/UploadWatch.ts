import type { Logger } from 'pino';
import type { ErrorCode, ReelayError } from '../../config/ReelayError.js';
import { idsIn } from '../../spool/layout.js';
import type { Manifest } from '../../spool/Manifest.js';
import { blameOf, codeOf } from '../../storage/blameOf.js';
import type { ConfirmedObject, FailedAttempt, UploadObserver } from '../../storage/UploadObserver.js';
import type { UploadStep } from '../../storage/UploadStep.js';
import type { Alerts } from '../monitoring/Alerts.js';
import type { EventWatch } from '../events/EventWatch.js';
import type { KillPoint } from '../KillPoint.js';
import type { Library } from '../library/Library.js';
import type { Metrics } from '../monitoring/Metrics.js';
import type { Traces } from '../monitoring/Tracing.js';
import type { SpoolOwnership } from './SpoolOwnership.js';
import type { SpoolWatch } from './SpoolWatch.js';
import { StuckUploads } from './StuckUploads.js';

/** Whom the watch tells what. */
export interface UploadListeners {
  readonly metrics: Metrics;
  readonly traces: Traces;
  readonly alerts: Alerts;
  readonly spool: SpoolWatch;
  readonly library: Library;
  readonly ownership: SpoolOwnership;
  readonly events: EventWatch;
  /** Null: nothing kills the process. */
  readonly killPoint: KillPoint | null;
  readonly log: Logger;
}

/** Sees what the uploader does, and tells metrics, alerts, the library and the log. */
export class UploadWatch implements UploadObserver {
  readonly stuckUploads = new StuckUploads();
  readonly #to: UploadListeners;
  readonly #parked = new Set<string>();
  /** Accounts that try again because the configuration was read anew; whether it helped, the next object or refusal tells. */
  readonly #trying = new Set<string>();
  #isReloading = false;

  constructor(to: UploadListeners) {
    this.#to = to;
  }

  /** Accounts whose store refuses them. */
  get parkedAccounts(): number {
    return this.#parked.size;
  }

  /**
   * @param unpark - lets every account try again. One that is refused as before has the alert that it had, and no new one for
   *   each time that the configuration is read
   */
  reloading(unpark: () => void): void {
    this.#isReloading = true;
    try {
      unpark();
    } finally {
      this.#isReloading = false;
    }
  }

  stored(object: ConfirmedObject): void {
    const { folder, kind, bytes, sealedMs } = object;
    const { metrics, spool, events } = this.#to;
    this.#to.traces.stored(object);
    events.stored(object);
    this.#works(folder);
    spool.touched(folder);
    metrics.bytesStored.inc(bytes);
    if (kind === 'chunk') metrics.chunksStored.inc();
    if (sealedMs !== null) metrics.chunkStored.observe(Math.max(0, (Date.now() - sealedMs) / 1000));
  }

  retrying(attempt: FailedAttempt): void {
    const { folder, error, delayMs, blame, code } = attempt;
    const { metrics, traces, log } = this.#to;
    traces.retrying(attempt);
    metrics.uploadRetries.inc();
    metrics.uploadFailures.inc({ blame });
    const wait = Math.round(delayMs);
    const about = { ...this.#idsOf(folder), folder, wait };
    const reason = code ?? plainCode(error);
    this.stuckUploads.recording(folder, { code: reason, error, delayMs });
    log.warn({ ...about, code: reason, err: error }, 'storing failed; trying again');
  }

  stuck({ folder, error }: { readonly folder: string; readonly error: Error }): void {
    const { metrics, log } = this.#to;
    metrics.uploadFailures.inc({ blame: blameOf(error) });
    const code = codeOf(error) ?? plainCode(error);
    this.stuckUploads.recording(folder, { code, error, delayMs: null });
    log.error({ ...this.#idsOf(folder), folder, code, err: error }, 'a recording cannot be stored');
  }

  parked({ accountId, code, error }: { accountId: string; code: ErrorCode; error: Error }): void {
    const { metrics, alerts, library } = this.#to;
    metrics.uploadFailures.inc({ blame: 'account' });
    this.#parked.add(accountId);
    this.stuckUploads.account(accountId, { code, error, delayMs: null });
    this.#trying.delete(accountId);
    alerts.raise(`account ${accountId}`, {
      code,
      message: 'recordings of an account cannot be stored until somebody does something about it',
      details: { accountId, err: error },
    });
    this.#show(library.park(accountId, code));
  }

  unparked({ accountId }: { accountId: string }): void {
    this.#parked.delete(accountId);
    this.stuckUploads.accountWorks(accountId);
    if (this.#isReloading) this.#trying.add(accountId);
    else this.#resolve(accountId);
    this.#show(this.#to.library.unpark(accountId));
  }

  held({ folder, error }: { readonly folder: string; readonly error: ReelayError }): void {
    const { metrics, alerts, library } = this.#to;
    metrics.uploadFailures.inc({ blame: 'account' });
    this.stuckUploads.recording(folder, { code: error.code, error, delayMs: null });
    alerts.raise(`recording ${folder}`, {
      code: error.code,
      message: 'a recording cannot be stored until its account has the right store again',
      details: { ...this.#idsOf(folder), folder, err: error },
    });
    this.#show(library.hold(folder, error.code));
  }

  released({ folder }: { readonly folder: string }): void {
    const { alerts, library } = this.#to;
    this.stuckUploads.works(folder);
    alerts.resolve(`recording ${folder}`, 'a recording is being stored again');
    this.#show(library.release(folder));
  }

  async finished(folder: string, manifest: Manifest): Promise<void> {
    const { library, metrics, ownership, spool, log } = this.#to;
    this.#works(folder);
    ownership.forget(folder);
    await library.finished(folder, manifest);
    this.#to.traces.finished(manifest);
    // Once its folder has gone, nobody could tell of it any more.
    await this.#to.events.finished(manifest);
    spool.finished(folder);
    metrics.recordingsStored.inc({ state: manifest.state });
    const { recordingId, callId, accountId, provider, state, reason, durationSeconds } = manifest;
    const about = { recordingId, callId, accountId, provider, state, reason, durationSeconds };
    log.info(about, 'recording stored');
  }

  step(name: UploadStep): void {
    this.#to.killPoint?.reached(name);
  }

  /** What every log line about a recording carries. */
  #idsOf(folder: string): Readonly<Record<string, unknown>> {
    const ids = idsIn(folder);
    return { ...ids, provider: this.#to.library.spooled(ids.recordingId)?.provider };
  }

  /** Something of the account that the folder is below has been stored. */
  #works(folder: string): void {
    this.stuckUploads.works(folder);
    const [accountId = ''] = folder.split('/');
    if (this.#trying.delete(accountId)) this.#resolve(accountId);
  }

  #resolve(accountId: string): void {
    this.#to.alerts.resolve(`account ${accountId}`, 'recordings of an account are being stored again');
  }

  #show(change: Promise<void>): void {
    change.catch((error: unknown) =>
      this.#to.log.error({ err: error }, 'the list of recordings is not up to date'),
    );
  }
}

/** Stores say in this program's words what is wrong with them; what the operating system says by itself is of the spool. */
function plainCode(error: Error): ErrorCode {
  return 'syscall' in error ? 'spool_unwritable' : 'store_unavailable';
}
