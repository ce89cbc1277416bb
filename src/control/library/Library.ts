import { basename } from 'node:path';
import {
  type Catalogue,
  type CatalogueChunk,
  type CatalogueEntry,
  type CataloguePage,
  type CatalogueQuery,
  type CatalogueTombstone,
  type CatalogueWrite,
  entryOf,
  isVisible,
} from '../../catalogue/Catalogue.js';
import type { AccountConfig } from '../../config/Config.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { Manifest } from '../../spool/Manifest.js';
import type { RecordingProgress, SpoolEvent } from '../../spool/SpoolEvent.js';
import type { ObjectStore } from '../../storage/ObjectStore.js';
import { readSpooled, spooledFolders } from '../../storage/SpooledRecording.js';
import { readStoredManifest } from '../../storage/StoredRecording.js';
import type { Stores } from '../../storage/Stores.js';
import { AudioSnapshot, type Whereabouts } from '../rendition/AudioSnapshot.js';
import { ParkedRecordings } from '../uploads/ParkedRecordings.js';
import { type ScanBounds, type ScanObserver, StoreScan } from './StoreScan.js';

/** How far a live recording is. */
export interface Progress {
  /** Per channel. */
  readonly samples: number;
  /** Loudest sample per channel in the last half second, 0 to 32768. */
  readonly peaks: readonly number[];
}

/** Recordings that were finished last: announcements of the recorder that come after that are late. */
const mostFinished = 1000;
/** Recordings that are written into the catalogue at once, and that are read from it to be looked after. */
const writtenAtOnce = 64;
const mendedAtOnce = 200;
/** States of recordings that may lie in a spool. */
const unfinished = ['recording', 'uploading', 'failed'] as const;

/**
 * Every recording that this daemon knows, wherever it lies: the catalogue for lists, the spool and the stores for what is in it. What
 * lies in the spool is known here whatever the catalogue does, which may be away.
 */
export class Library {
  readonly #catalogue: Catalogue;
  readonly #spoolDir: string;
  readonly #stores: Pick<Stores, 'of'>;
  readonly #scan: StoreScan;
  /** Recordings in the spool, as they are shown. */
  readonly #spooled = new Map<string, CatalogueEntry>();
  readonly #finished = new Set<string>();
  readonly #progress = new Map<string, Progress>();
  readonly #parked = new ParkedRecordings();

  constructor(catalogue: Catalogue, spoolDir: string, stores: Pick<Stores, 'of'>) {
    this.#catalogue = catalogue;
    this.#spoolDir = spoolDir;
    this.#stores = stores;
    this.#scan = new StoreScan({
      catalogue,
      storeOf: (accountId) => this.storeOf(accountId),
      isSpooled: (recordingId) => this.#spooled.has(recordingId),
    });
  }

  /**
   * Takes up every recording in the spool. Before it resolves for the first time nothing may be asked.
   *
   * @param found - told of each
   */
  async scanSpool(found: (folder: string, manifest: Manifest) => void = () => undefined): Promise<void> {
    const writes: CatalogueWrite[] = [];
    for await (const folder of spooledFolders(this.#spoolDir)) {
      // Of what is known already the recorder and the uploader tell.
      if (this.#spooled.has(basename(folder))) continue;
      // One that can't be read, and the uploader tells of that, holds up no other.
      const manifest = (await readSpooled(this.#spoolDir, folder).catch(() => undefined))?.manifest;
      if (!manifest || this.#spooled.has(manifest.recordingId) || this.#finished.has(manifest.recordingId))
        continue;
      const entry = this.#parked.shown(entryOf(manifest, folder));
      this.#spooled.set(entry.recordingId, entry);
      writes.push({ entry, chunks: manifest.chunks });
      found(folder, manifest);
      if (writes.length >= writtenAtOnce) await this.#catalogue.write(writes.splice(0));
    }
    await this.#catalogue.write(writes);
  }

  /** Stores will be read as soon as the catalogue can be asked; who asks for what may lie in them waits for that. */
  expectStores(): void {
    this.#scan.expect();
  }

  /** The catalogue is away, and nobody need wait. */
  goWithoutStores(): void {
    this.#scan.goWithout();
  }

  /**
   * Takes up the recordings in the stores of these accounts, as {@link StoreScan} does. Until that is done a question for an unknown
   * recording waits, and one for the recordings of such an account.
   */
  scanStores(
    accounts: readonly AccountConfig[],
    observer: ScanObserver,
    bounds: ScanBounds = {},
  ): Promise<void> {
    return this.#scan.scan(accounts, observer, bounds);
  }

  /**
   * Looks where a recording is that nobody here works on: another daemon does, or the catalogue was away when it was stored.
   *
   * @returns its manifest; null when neither spool nor store has one now
   */
  async refresh(recordingId: string): Promise<Manifest | null> {
    const entry = this.#spooled.get(recordingId) ?? (await this.#catalogue.get(recordingId));
    if (entry === undefined) return null;
    const { folder, accountId } = entry;
    const spooled = (await readSpooled(this.#spoolDir, folder))?.manifest;
    // The files of one that is in its store lie here until they are removed, and say what it was before.
    if (spooled && !this.#finished.has(recordingId)) {
      await this.#show(entryOf(spooled, folder), spooled.chunks);
      return spooled;
    }
    const manifest = await this.#storedManifest(accountId, folder);
    if (manifest === null) return null;
    this.#spooled.delete(recordingId);
    await this.#catalogue.write([{ entry: entryOf(manifest, folder), chunks: manifest.chunks }]);
    return manifest;
  }

  /**
   * Looks after what the catalogue says and can't be so: recordings that are unfinished there and not in the spool. They were stored
   * while it was away or lost what was written last, or they are another daemon's, or gone.
   *
   * @param isShort - it was away for so long that not everything in the spool was written
   * @param found - told of each recording in the spool that was not known
   * @throws ReelayError `catalogue_unavailable`
   */
  async mend(isShort = false, found?: (folder: string, manifest: Manifest) => void): Promise<void> {
    await this.scanSpool(found);
    const spooled = isShort ? [...this.#spooled.values()] : [];
    while (spooled.length > 0)
      await this.#catalogue.write(spooled.splice(0, writtenAtOnce).map((entry) => ({ entry })));
    if (!this.#catalogue.isLasting) return;
    for (const state of unfinished) await this.#mendAll({ state });
  }

  /**
   * Takes out of the catalogue what is neither in the spool nor in its store.
   *
   * @param isSeen - whether a recording was found just now and needn't be looked for
   * @returns how many those were
   * @throws ReelayError `catalogue_unavailable`
   */
  async prune(isSeen: (recordingId: string) => boolean): Promise<number> {
    return await this.#mendAll({}, isSeen);
  }

  async #mendAll(
    which: Pick<CatalogueQuery, 'state'>,
    isSeen: (recordingId: string) => boolean = () => false,
  ): Promise<number> {
    let removed = 0;
    for (let cursor: string | undefined; ;) {
      const page = await this.#catalogue.list({ ...which, limit: mendedAtOnce, cursor });
      for (const entry of page.entries)
        if (!isSeen(entry.recordingId) && (await this.#mendOne(entry))) removed++;
      if (page.next === null) return removed;
      cursor = page.next;
    }
  }

  /** @returns whether it was taken out */
  async #mendOne({ recordingId, state }: CatalogueEntry): Promise<boolean> {
    if (this.#spooled.has(recordingId)) return false;
    const unknown = Symbol('a store that cannot be asked');
    const manifest = await this.refresh(recordingId).catch(() => unknown);
    if (manifest !== null || this.#spooled.has(recordingId)) return false;
    // What another daemon has in its own spool can't be seen from here.
    if (this.#catalogue.isShared && unfinished.some((each) => each === state)) return false;
    await this.#catalogue.remove(recordingId);
    return true;
  }

  /** What the recorder or the uploader announces. It is shown at once and written when there is time. */
  take(event: SpoolEvent): void {
    if (event.type === 'sealed') {
      const { recordingId, index, startSample, samples, bytes, sha256 } = event.sidecar;
      const entry = this.#spooled.get(recordingId);
      const chunk = { index, startSample, samples, bytes, sha256 };
      if (entry !== undefined) void this.#catalogue.write([{ entry, chunks: [chunk] }]);
      return;
    }
    const { recordingId } = event.manifest;
    if (event.type === 'ended') this.#progress.delete(recordingId);
    // The spool's files may have told the uploader before the announcement came.
    if (!this.#finished.has(recordingId)) void this.#show(entryOf(event.manifest, event.folder));
  }

  /** What lies in the spool, as it is shown. */
  spooled(recordingId: string): CatalogueEntry | undefined {
    return this.#spooled.get(recordingId);
  }

  /** How far a live recording is. */
  progressed({ recordingId, samples, peaks }: RecordingProgress): void {
    this.#progress.set(recordingId, { samples, peaks });
  }

  /** The recording is in its store, in this state for good. */
  async finished(folder: string, manifest: Manifest): Promise<void> {
    const { recordingId } = manifest;
    this.#parked.forget(recordingId);
    this.#spooled.delete(recordingId);
    this.#finished.add(recordingId);
    const [oldest] = this.#finished;
    if (this.#finished.size > mostFinished && oldest !== undefined) this.#finished.delete(oldest);
    await this.#catalogue.write([{ entry: entryOf(manifest, folder), chunks: manifest.chunks }]);
  }

  /** Until it is unparked, what is over of an account and waits in the spool is shown as failed. Its files say nothing of that. */
  async park(accountId: string, reason: string): Promise<void> {
    this.#parked.park(accountId, reason);
    const mine = [...this.#spooled.values()].filter((entry) => entry.accountId === accountId);
    await Promise.all(mine.map((entry) => this.#show(entry)));
  }

  /** What was shown as failed is shown as it is. */
  async unpark(accountId: string): Promise<void> {
    await Promise.all(this.#parked.unpark(accountId).map((entry) => this.#showAgain(entry)));
  }

  /** The same for one recording. */
  async hold(folder: string, reason: string): Promise<void> {
    const recordingId = basename(folder);
    this.#parked.hold(recordingId, reason);
    const entry = this.#parked.hidden(recordingId) ?? this.#spooled.get(recordingId);
    if (entry !== undefined) await this.#show(entry);
  }

  async release(folder: string): Promise<void> {
    const entry = this.#parked.release(basename(folder));
    if (entry !== undefined) await this.#showAgain(entry);
  }

  async #showAgain(entry: CatalogueEntry): Promise<void> {
    // Unless it was stored meanwhile.
    if (this.#spooled.get(entry.recordingId)?.state === 'failed') await this.#show(entry);
  }

  /** An entry of a recording in the spool, as it is; it is shown as it is to be. */
  async #show(entry: CatalogueEntry, chunks?: readonly CatalogueChunk[]): Promise<void> {
    const shown = this.#parked.shown(entry);
    this.#spooled.set(shown.recordingId, shown);
    await this.#catalogue.write([{ entry: shown, chunks }]);
  }

  /** It was deleted, or is nobody's here any more. */
  forget(recordingId: string): void {
    this.#spooled.delete(recordingId);
    this.#progress.delete(recordingId);
    this.#parked.forget(recordingId);
  }

  /** @throws ReelayError `catalogue_unavailable` */
  async tombstone(recordingId: string): Promise<CatalogueTombstone | undefined> {
    return await this.#catalogue.tombstone(recordingId);
  }

  progress(recordingId: string): Progress | undefined {
    return this.#progress.get(recordingId);
  }

  /** What is known already, without waiting for stores to be read or for a catalogue that is away. */
  async known(recordingId: string): Promise<CatalogueEntry | undefined> {
    return await this.#get(recordingId).catch((error: unknown) => {
      if (error instanceof ReelayError && error.code === 'catalogue_unavailable') return undefined;
      throw error;
    });
  }

  /**
   * @param isSeen - whether recordings of an account may be seen; what may not is looked for like what isn't known at all
   * @throws ReelayError `starting` when that isn't known yet, `catalogue_unavailable` when it can't be known now
   */
  async find(
    recordingId: string,
    isSeen: (accountId: string) => boolean = () => true,
  ): Promise<CatalogueEntry | undefined> {
    const known = await this.#get(recordingId, isSeen);
    if (known !== undefined || !(await this.#scan.awaited('whole'))) return known;
    return await this.#get(recordingId, isSeen);
  }

  /**
   * What began long ago may come to the list while stores are read for the first time.
   *
   * @throws ReelayError `starting`, `catalogue_unavailable`, or `request_invalid` for a cursor that was not given out
   */
  async list(query: CatalogueQuery): Promise<CataloguePage> {
    const { account, visible } = query;
    await this.#scan.awaited('recent', (owner) => (account ?? owner) === owner && isVisible(visible, owner));
    return await this.#catalogue.list(query);
  }

  /** The manifest as it is now; null when neither spool nor store has it, which no recording of the catalogue should be in. */
  async manifest({ folder, accountId, recordingId }: CatalogueEntry): Promise<Manifest | null> {
    // It is put into the store before it leaves the spool, so one look at each in this order finds it.
    const spooled = await readSpooled(this.#spoolDir, folder);
    if (spooled?.manifest) {
      const reason = this.#parked.reasonOf(recordingId);
      return reason === undefined ? spooled.manifest : { ...spooled.manifest, state: 'failed', reason };
    }
    return await this.#storedManifest(accountId, folder);
  }

  /**
   * @param lane - of a room: one lane alone
   * @throws ReelayError `wav_too_long`
   */
  async audio(entry: CatalogueEntry, manifest: Manifest, lane?: string): Promise<AudioSnapshot> {
    return await AudioSnapshot.take(this.whereabouts(entry), manifest, lane);
  }

  whereabouts({ folder, accountId }: CatalogueEntry): Whereabouts {
    return { spoolDir: this.#spoolDir, folder, store: () => this.storeOf(accountId) };
  }

  async #get(
    recordingId: string,
    isSeen: (accountId: string) => boolean = () => true,
  ): Promise<CatalogueEntry | undefined> {
    const spooled = this.#spooled.get(recordingId);
    if (spooled !== undefined && isSeen(spooled.accountId)) return spooled;
    const entry = await this.#catalogue.get(recordingId);
    return entry !== undefined && isSeen(entry.accountId) ? entry : undefined;
  }

  async #storedManifest(accountId: string, folder: string): Promise<Manifest | null> {
    const store = await this.storeOf(accountId);
    return store === null ? null : await readStoredManifest(store, folder);
  }

  /** Null also where nobody knows the account any more. @throws ReelayError `accounts_unavailable` */
  async storeOf(accountId: string): Promise<ObjectStore | null> {
    return await this.#stores.of(accountId).catch((error: unknown) => {
      if (error instanceof ReelayError && error.code === 'unknown_account') return null;
      throw error;
    });
  }
}
