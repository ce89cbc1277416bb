import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  type Catalogue,
  type CatalogueEntry,
  type CataloguePage,
  type CatalogueQuery,
  entryOf,
} from '../catalogue/Catalogue.js';
import type { AccountConfig } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import type { Manifest } from '../spool/Manifest.js';
import type { RecordingProgress, SpoolEvent } from '../spool/SpoolEvent.js';
import type { ObjectStore } from '../storage/ObjectStore.js';
import { readSpooled, spooledFolders } from '../storage/SpooledRecording.js';
import { readStoredManifest, storedRecordings, type StoreScope } from '../storage/StoredRecording.js';
import type { Stores } from '../storage/Stores.js';
import { AudioSnapshot, type Whereabouts } from './AudioSnapshot.js';
import { ParkedRecordings } from './ParkedRecordings.js';

/** How far a live recording is. */
export interface Progress {
  /** Per channel. */
  readonly samples: number;
  /** Loudest sample per channel in the last half second, 0 to 32768. */
  readonly peaks: readonly number[];
}

/** Recordings of buckets are shown that began in these last days, ms. */
const bucketMs = 30 * 86_400_000;
/** Objects of a bucket that are listed for one account; each thousand is a request. */
const mostListed = 1_000_000;

/** What happens while stores are read. */
export interface ScanObserver {
  /** It can't be read; it is read again at the next scan. */
  failed(store: ObjectStore, error: unknown): void;
  /** There is so much in it that not everything is shown. */
  cut(store: ObjectStore): void;
}

/** Stores that are read at once. */
const scannedAtOnce = 4;

/** How long a question waits for the stores to be read after a start before it is told to come again, ms. */
const patienceMs = 5000;

/**
 * Every recording that this daemon knows, wherever it lies: the catalogue for lists, the spool and the stores for what is in it.
 */
export class Library {
  readonly #catalogue: Catalogue;
  readonly #spoolDir: string;
  readonly #stores: Pick<Stores, 'of'>;
  readonly #progress = new Map<string, Progress>();
  readonly #read = new Set<string>();
  readonly #parked = new ParkedRecordings();
  /** Stores that are being read for the first time, and whose recordings lie there; null: anybody's. */
  readonly #reading = new Map<Promise<void>, string | null>();
  /** Accounts and stores that have been read once, or in vain: nobody waits for them a second time. */
  readonly #tried = new Set<string>();
  #scanning: Promise<void> = Promise.resolve();

  constructor(catalogue: Catalogue, spoolDir: string, stores: Pick<Stores, 'of'>) {
    this.#catalogue = catalogue;
    this.#spoolDir = spoolDir;
    this.#stores = stores;
  }

  /**
   * Takes up every recording in the spool. Before it resolves for the first time nothing may be asked.
   *
   * @param found - told of each
   */
  async scanSpool(found: (folder: string, manifest: Manifest) => void = () => undefined): Promise<void> {
    for await (const folder of spooledFolders(this.#spoolDir)) {
      // Of what is known already the recorder and the uploader tell.
      if ((await this.#catalogue.get(basename(folder))) !== undefined) continue;
      // One that can't be read, and the uploader tells of that, holds up no other.
      const manifest = (await readSpooled(this.#spoolDir, folder).catch(() => undefined))?.manifest;
      if (!manifest) continue;
      await this.#catalogue.upsert(entryOf(manifest, folder));
      found(folder, manifest);
    }
  }

  /**
   * Takes up the recordings in the stores of these accounts, each store once; may take long. Until then a question for an unknown
   * recording waits, and one for the recordings of such an account. A folder is read whole. Of a bucket, which may hold millions of
   * objects, each account's part is read from thirty days ago on. A few are read at once, so that one that doesn't answer
   * holds up no other.
   */
  scanStores(accounts: readonly AccountConfig[], observer: ScanObserver): Promise<void> {
    const jobs = accounts
      .filter(({ store }) => store !== null)
      .map((account) => this.#toScan(account, observer));
    const lane = async (): Promise<void> => {
      for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
    };
    const scanned = this.#scanning.then(async () => {
      await Promise.all(Array.from({ length: scannedAtOnce }, lane));
    });
    this.#scanning = scanned.catch(() => undefined);
    return scanned;
  }

  /**
   * Looks how far a recording is that another daemon works on.
   *
   * @returns its manifest; null when neither spool nor store has one now
   */
  async refresh(recordingId: string): Promise<Manifest | null> {
    const entry = await this.#catalogue.get(recordingId);
    if (entry === undefined) return null;
    const manifest = await this.manifest(entry);
    if (manifest !== null) await this.#catalogue.upsert(this.#parked.shown(entryOf(manifest, entry.folder)));
    return manifest;
  }

  /** What the recorder or the uploader announces. */
  async take(event: SpoolEvent): Promise<void> {
    if (event.type === 'sealed') return;
    const { recordingId, state } = event.manifest;
    if (event.type === 'ended') this.#progress.delete(recordingId);
    const known = await this.#catalogue.get(recordingId);
    // The spool's files may have told the uploader before the announcement came.
    if (known?.state === 'complete' && (state === 'recording' || state === 'uploading')) return;
    await this.#catalogue.upsert(this.#parked.shown(entryOf(event.manifest, event.folder)));
  }

  /** How far a live recording is. */
  progressed({ recordingId, samples, peaks }: RecordingProgress): void {
    this.#progress.set(recordingId, { samples, peaks });
  }

  /** The recording is in its store, in this state for good. */
  async finished(folder: string, manifest: Manifest): Promise<void> {
    this.#parked.forget(manifest.recordingId);
    await this.#catalogue.upsert(entryOf(manifest, folder));
  }

  /** Until it is unparked, what is over of an account and waits in the spool is shown as failed. Its files say nothing of that. */
  async park(accountId: string, reason: string): Promise<void> {
    this.#parked.park(accountId, reason);
    for (const { recordingId } of await this.#waiting(accountId)) {
      const entry = await this.#catalogue.get(recordingId);
      if (entry !== undefined) await this.#catalogue.upsert(this.#parked.shown(entry));
    }
  }

  /** What was shown as failed is shown as it is. */
  async unpark(accountId: string): Promise<void> {
    for (const entry of this.#parked.unpark(accountId)) await this.#showAgain(entry);
  }

  /** The same for one recording. */
  async hold(folder: string, reason: string): Promise<void> {
    const recordingId = basename(folder);
    this.#parked.hold(recordingId, reason);
    const entry = this.#parked.hidden(recordingId) ?? (await this.#catalogue.get(recordingId));
    if (entry !== undefined) await this.#catalogue.upsert(this.#parked.shown(entry));
  }

  async release(folder: string): Promise<void> {
    const entry = this.#parked.release(basename(folder));
    if (entry !== undefined) await this.#showAgain(entry);
  }

  async #showAgain(entry: CatalogueEntry): Promise<void> {
    const { state } = (await this.#catalogue.get(entry.recordingId)) ?? entry;
    // Unless it was stored meanwhile.
    if (state === 'failed') await this.#catalogue.upsert(this.#parked.shown(entry));
  }

  progress(recordingId: string): Progress | undefined {
    return this.#progress.get(recordingId);
  }

  /** What is known already, without waiting for stores to be read. */
  async known(recordingId: string): Promise<CatalogueEntry | undefined> {
    return await this.#catalogue.get(recordingId);
  }

  /** @throws ReelayError `starting` when that isn't known yet */
  async find(recordingId: string): Promise<CatalogueEntry | undefined> {
    const known = await this.#catalogue.get(recordingId);
    if (known !== undefined || this.#reading.size === 0) return known;
    await this.#patience([...this.#reading.keys()]);
    return await this.#catalogue.get(recordingId);
  }

  /** @throws ReelayError `starting`, or `request_invalid` for a cursor that was not given out */
  async list(query: CatalogueQuery): Promise<CataloguePage> {
    const { account, visible } = query;
    const isAsked = (owner: string) => (account ?? owner) === owner && visible?.(owner) !== false;
    const reading = [...this.#reading].filter(([, owner]) => owner === null || isAsked(owner));
    if (reading.length > 0) await this.#patience(reading.map(([read]) => read));
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
    const store = await this.#storeOf(accountId);
    return store === null ? null : await readStoredManifest(store, folder);
  }

  /** @throws ReelayError `wav_too_long` */
  async audio(entry: CatalogueEntry, manifest: Manifest): Promise<AudioSnapshot> {
    return await AudioSnapshot.take(this.whereabouts(entry), manifest);
  }

  whereabouts({ folder, accountId }: CatalogueEntry): Whereabouts {
    return { spoolDir: this.#spoolDir, folder, store: () => this.#storeOf(accountId) };
  }

  /** Recordings of an account that are over and still in the spool. */
  async #waiting(accountId: string): Promise<CatalogueEntry[]> {
    const found: CatalogueEntry[] = [];
    for (const state of ['uploading', 'interrupted'] as const) {
      for (let cursor: string | undefined; ;) {
        const page = await this.#catalogue.list({ account: accountId, state, limit: 1000, cursor });
        for (const entry of page.entries)
          if (await stat(join(this.#spoolDir, entry.folder)).catch(() => false)) found.push(entry);
        if (page.next === null) break;
        cursor = page.next;
      }
    }
    return found;
  }

  /** Null also where nobody knows the account any more. @throws ReelayError `accounts_unavailable` */
  async #storeOf(accountId: string): Promise<ObjectStore | null> {
    return await this.#stores.of(accountId).catch((error: unknown) => {
      if (error instanceof ReelayError && error.code === 'unknown_account') return null;
      throw error;
    });
  }

  #toScan(account: AccountConfig, observer: ScanObserver): () => Promise<void> {
    const place = JSON.stringify([account.id, account.store]);
    let done: () => void = () => undefined;
    if (!this.#tried.has(place)) {
      const read = new Promise<void>((resolve) => {
        done = () => {
          this.#tried.add(place);
          this.#reading.delete(read);
          resolve();
        };
      });
      this.#reading.set(read, isAnybodys(account) ? null : account.id);
    }
    return async () => {
      await this.#scanAccount(account, observer).finally(done);
    };
  }

  async #scanAccount(account: AccountConfig, observer: ScanObserver): Promise<void> {
    const store = await this.#storeOf(account.id);
    if (store === null) return;
    const prefix = isAnybodys(account) ? '' : `${account.id}/`;
    const place = `${store.name} ${prefix}`;
    if (this.#read.has(place)) return;
    this.#read.add(place);
    const since = new Date(Date.now() - bucketMs).toISOString().slice(0, 10).replaceAll('-', '');
    const bounds = { since, most: mostListed, cut: () => observer.cut(store) };
    const scope = account.store?.type === 'file' ? {} : { prefix, ...bounds };
    await this.#scanStore(store, scope).catch((error: unknown) => {
      this.#read.delete(place);
      observer.failed(store, error);
    });
  }

  async #scanStore(store: ObjectStore, scope: StoreScope): Promise<void> {
    const unavailable = new Map<string, unknown>();
    for await (const { folder, manifest } of storedRecordings(store, scope)) {
      const { accountId } = manifest;
      if (unavailable.has(accountId)) continue;
      const own = await this.#storeOf(accountId).catch((error: unknown) => {
        unavailable.set(accountId, error);
        return null;
      });
      // Only the account's own store speaks for it; and what is still in the spool is newer there.
      if (own?.name !== store.name) continue;
      if ((await this.#catalogue.get(manifest.recordingId)) === undefined)
        await this.#catalogue.upsert(entryOf(manifest, folder));
    }
    // What is everybody else's is shown; the rest when it can be known whose it is.
    for (const error of unavailable.values()) throw error;
  }

  async #patience(reading: readonly Promise<void>[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const remedy = 'Ask again in a few seconds.';
      timer = setTimeout(() => reject(new ReelayError('starting', { remedy })), patienceMs);
    });
    await Promise.race([Promise.all(reading), late]).finally(() => clearTimeout(timer));
  }
}

/** Whether recordings of any account may lie in an account's store, below its own prefix. */
function isAnybodys({ id, store }: AccountConfig): boolean {
  return id === '*' || store?.type === 'file';
}
