import { setMaxListeners } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkName, isRecordingName } from '../spool/layout.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { blameOf, codeOf } from './blameOf.js';
import { type Clock, clockOf } from './Clock.js';
import { HeldRecordings } from './HeldRecordings.js';
import { Lanes, type Urgency } from './Lanes.js';
import type { ObjectStore } from './ObjectStore.js';
import { type Parked, Parking, type Permit } from './Parking.js';
import { PortalKeys } from './PortalKeys.js';
import type { PortalForm } from './PortalUpload.js';
import { RecordingUpload, type RecordingUploadOptions } from './RecordingUpload.js';
import { type Backoff, defaultBackoff } from './Retry.js';
import { readSpooled, type SpooledRecording, spooledFolders } from './SpooledRecording.js';
import { relieveFolder } from './relieveFolder.js';
import type { DurableWrite, UploadNote } from './UploadNote.js';
import type { UploadObserver } from './UploadObserver.js';
import { Visit, type VisitHome } from './Visit.js';
import { waitingChunk } from './waitingChunk.js';

export type { UploadObserver } from './UploadObserver.js';

export interface UploaderOptions {
  /** Absolute. */
  readonly spoolDir: string;
  /**
   * The store of an account as it is configured now; null where it has none. May throw ReelayError `unknown_account`, or
   * `accounts_unavailable` where it can't be found out now.
   */
  readonly storeOf: (accountId: string) => Promise<ObjectStore | null>;
  /** What the portal of an account wants; asked for recordings of the layout `jambonz`. Default: MP3, dated in UTC. */
  readonly portalOf?: (accountId: string) => Promise<PortalForm>;
  readonly observer: UploadObserver;
  /** Whether a folder that was just seen in the spool is to be stored from here. Default: every one. */
  readonly owns?: (folder: string) => boolean;
  /** Where what can't be read is set aside; without one it stays, and is in the way. */
  readonly quarantine?: Quarantine;
  /** Writes notes. Default: `writeDurably`. */
  readonly write?: DurableWrite;
  /** Signs the manifests that go into stores; null: it isn't signed. */
  readonly sign?: (manifest: string) => Buffer | null;
  /** Default: the wall clock. */
  readonly clock?: Clock;
  /** Recordings of one account that are worked on at once. Default 4. */
  readonly width?: number;
  /** Chunks of one recording that are stored at once. Default 4. */
  readonly chunkWidth?: number;
  /** Each pause is drawn between 0 and its longest. */
  readonly backoffMs?: Backoff;
  /** Smallest part of an `audio.wav`, bytes. Default: what S3 demands. */
  readonly leastPartBytes?: number;
  /** Largest object for a portal, bytes. Default: what every store takes with one request. */
  readonly mostPortalBytes?: number;
}

/** How long a recording rests that is hindered by something other than its store, ms. */
const restMs = 60_000;
/** Pause between two probes of a parked account, and between two tries of a held recording, ms. */
const probeMs = 5 * 60_000;
/** Recordings of one account that may sleep between two attempts without holding up the others. */
const sleepers = 16;

/**
 * Moves recordings from the spool into their accounts' stores. The spool is the queue: see {@link RecordingUpload} for the steps of
 * one recording and what becomes of what a crash leaves behind.
 *
 * Who waits for whom:
 *
 * - Each account has a lane of its own and shares nothing with the others, so a store that is broken, slow or silent delays its
 *   own account only. An attempt ends by the store's own deadline.
 * - Within a lane, recordings of calls that are up and those that lay in the spool take turns, and one with many chunks lets
 *   others in after a second.
 * - What fails in passing is tried again for as long as it takes, with random pauses of up to a minute, and sleeps outside the
 *   lane. What is the account's fault parks the account: everything of it stops, and one recording is tried every five minutes.
 *   What is our fault lets that recording rest for a minute. One whose store has changed or is gone waits by itself.
 *
 * Memory: no audio is held; files are streamed by the store. An account has at most 4 + 16 recordings in hand, each with its
 * manifest and note (about 1 KiB for a chunk), and at most 16 chunks or 4 parts under way. Of all the others only the
 * folder's name is known.
 */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #lanes: Lanes;
  readonly #parking: Parking;
  readonly #held: HeldRecordings;
  readonly #home: VisitHome;
  readonly #recordings: RecordingUploadOptions;
  readonly #oldest = new Map<string, number>();
  readonly #resting = new Set<string>();
  /** Folders between two attempts. */
  readonly #pausing = new Set<string>();
  #settled: (() => void)[] = [];

  constructor(options: UploaderOptions) {
    const { observer, spoolDir, storeOf } = options;
    this.#options = options;
    // Every attempt that is under way listens to it.
    setMaxListeners(0, this.#stopping.signal);
    this.#clock = options.clock ?? clockOf();
    this.#lanes = new Lanes({ width: options.width ?? 4, sleepers }, (folder) => this.#work(folder));
    this.#parking = new Parking(
      {
        clock: this.#clock,
        probeMs,
        wake: (folder) => this.#add(folder, 'backlog'),
        parked: (accountId, code, error) => observer.parked({ accountId, code, error }),
        unparked: (accountId) => observer.unparked({ accountId }),
      },
      this.#stopping.signal,
    );
    this.#held = new HeldRecordings(
      {
        clock: this.#clock,
        retryMs: probeMs,
        wake: (folder) => this.#add(folder, 'backlog'),
        held: (folder, error) => observer.held({ folder, error }),
        released: (folder) => observer.released({ folder }),
      },
      this.#stopping.signal,
    );
    this.#home = {
      clock: this.#clock,
      backoff: options.backoffMs ?? defaultBackoff,
      observer,
      lanes: this.#lanes,
      parking: this.#parking,
      held: this.#held,
      stop: this.#stopping.signal,
      slept: (folder, sleeps) => this.#slept(folder, sleeps),
    };
    this.#recordings = {
      spoolDir,
      storeOf,
      portalOf: options.portalOf ?? (() => Promise.resolve({ format: 'mp3', timeZone: 'UTC' })),
      portalKeys: new PortalKeys(),
      knownUploads: new Set(),
      cleaned: new Set(),
      seen: (recording, note) => this.#age(recording, note),
      quarantine: options.quarantine,
      write: options.write,
      sign: options.sign,
      chunkWidth: options.chunkWidth,
      leastPartBytes: options.leastPartBytes,
      mostPortalBytes: options.mostPortalBytes,
    };
  }

  /** Looks at a recording's folder and does what is to be done there; before what lay there already. */
  wake(folder: string): void {
    this.#add(folder, 'live');
  }

  /** Wakes every own folder of the spool. */
  async wakeAll(): Promise<void> {
    for await (const folder of this.#ownFolders()) this.#add(folder, 'backlog');
  }

  /**
   * The configuration was read anew: lets every parked account and every held recording try again at once, and what is under way
   * begin again with the store that its account has now.
   */
  unpark(): void {
    this.#parking.unparkAll();
    this.#held.retryAll();
  }

  /** Why nothing of this account is being stored; null where that isn't so. */
  parkedOf(accountId: string): Parked | null {
    return this.#parking.of(accountId);
  }

  /**
   * Makes room in the spool: WAVs that the store has confirmed and that lie here only to become part of an `audio.wav` are
   * removed; they will be read from the store.
   *
   * @returns bytes that were freed
   */
  async relieve(): Promise<number> {
    let freed = 0;
    for await (const folder of this.#ownFolders())
      freed += await relieveFolder(this.#options.spoolDir, folder).catch(() => 0);
    return freed;
  }

  /** Resolves when nothing runs or waits; what is parked or rests counts for nothing, what is tried again does. */
  async idle(): Promise<void> {
    await this.#lanes.idle();
  }

  /** Resolves when everything was done that can be done now: what is left waits for a store to come back, or is parked. */
  async settled(): Promise<void> {
    const settled = new Promise<void>((resolve) => this.#settled.push(resolve));
    this.#settle();
    await settled;
  }

  /** Own recordings in the spool whose audio is not yet all in their store. */
  async unstored(): Promise<number> {
    let count = 0;
    for await (const folder of this.#ownFolders()) {
      const recording = await readSpooled(this.#options.spoolDir, folder).catch(() => null);
      if (recording === undefined || recording?.manifest?.state === 'failed') continue;
      // A folder in which nothing is a recording's is somebody's.
      const isOurs = recording === null || recording.names.some(isRecordingName);
      if (isOurs && recording?.note.finished !== true) count++;
    }
    return count;
  }

  /** When the oldest sealed chunk that could have been stored and isn't was sealed, ms since the Unix epoch; null when all are. */
  get oldestUnstoredMs(): number | null {
    let oldest = Infinity;
    for (const sealedMs of this.#oldest.values()) oldest = Math.min(oldest, sealedMs);
    return oldest === Infinity ? null : oldest;
  }

  /** Ends pauses and starts nothing new. Resolves when all that the store has confirmed is noted; attempts end by themselves. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the uploader is stopping'));
    await this.#lanes.idle();
  }

  async *#ownFolders(): AsyncGenerator<string> {
    const { spoolDir, owns = () => true } = this.#options;
    for await (const folder of spooledFolders(spoolDir)) if (owns(folder)) yield folder;
  }

  #add(folder: string, urgency: Urgency): void {
    if (!this.#stopping.signal.aborted) this.#lanes.add(accountOf(folder), folder, urgency);
  }

  async #work(folder: string): Promise<void> {
    const accountId = accountOf(folder);
    if (this.#stopping.signal.aborted) return;
    const permit = this.#parking.admit(accountId, folder);
    if (permit?.isProbe === true && this.#held.waits(folder)) this.#parking.probed(accountId, folder, false);
    else if (permit !== null && !this.#held.waits(folder)) await this.#visit(accountId, folder, permit);
    // A turn later, when the lane has let the next one in.
    setImmediate(() => this.#settle());
  }

  async #visit(accountId: string, folder: string, permit: Permit): Promise<void> {
    const visit = new Visit(this.#home, accountId, folder, permit);
    const upload = new RecordingUpload(this.#recordings, visit);
    let isParked = false;
    try {
      let outcome = await upload.run();
      while (outcome === 'again') {
        visit.proceed();
        outcome = await upload.run();
      }
      if (outcome === 'over') this.#held.release(folder);
      if (outcome === 'due') this.#add(folder, 'backlog');
    } catch (cause) {
      isParked = this.#hindered(visit, permit, cause instanceof Error ? cause : new Error(String(cause)));
    } finally {
      if (permit.isProbe) this.#parking.probed(accountId, folder, isParked);
    }
  }

  /** @returns whether the account is to blame */
  #hindered({ accountId, folder }: Visit, permit: Permit, error: Error): boolean {
    if (this.#stopping.signal.aborted) return false;
    // Another of its recordings has parked the account, and this one joins those that wait; or there is a new configuration.
    if (permit.signal.aborted) {
      this.#add(folder, 'backlog');
      return false;
    }
    if (HeldRecordings.isHolding(error)) {
      this.#held.hold(folder, error);
      return false;
    }
    const code = codeOf(error);
    if (code !== null && blameOf(error) === 'account') {
      this.#parking.park(accountId, folder, code, error);
      return true;
    }
    this.#options.observer.stuck({ folder, error });
    void this.#rest(folder);
    return false;
  }

  async #rest(folder: string): Promise<void> {
    if (this.#resting.has(folder)) return;
    this.#resting.add(folder);
    await this.#clock.sleep(restMs, this.#stopping.signal).catch(() => undefined);
    this.#resting.delete(folder);
    this.#add(folder, 'backlog');
  }

  async #age({ folder, path, ...rest }: SpooledRecording, note: UploadNote): Promise<void> {
    const index = waitingChunk({ folder, path, ...rest }, note);
    const found =
      index === undefined ? undefined : await stat(join(path, chunkName(index))).catch(() => undefined);
    if (found === undefined) this.#oldest.delete(folder);
    else this.#oldest.set(folder, found.ctimeMs);
  }

  #slept(folder: string, sleeps: boolean): void {
    if (sleeps) this.#pausing.add(folder);
    else this.#pausing.delete(folder);
    this.#settle();
  }

  #settle(): void {
    if (this.#pausing.size < this.#lanes.running) return;
    for (const resolve of this.#settled.splice(0)) resolve();
  }
}

/** The first part of a recording's folder is its account. */
function accountOf(folder: string): string {
  return folder.split('/')[0] ?? '';
}
