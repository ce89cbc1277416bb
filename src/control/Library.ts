import {
  type Catalogue,
  type CatalogueEntry,
  type CataloguePage,
  type CatalogueQuery,
  entryOf,
} from '../catalogue/Catalogue.js';
import { ReelayError } from '../config/ReelayError.js';
import type { Manifest } from '../spool/Manifest.js';
import type { SpoolEvent } from '../spool/SpoolEvent.js';
import type { ObjectStore } from '../storage/ObjectStore.js';
import { readSpooled, spooledFolders } from '../storage/SpooledRecording.js';
import { readStoredManifest, storedRecordings } from '../storage/StoredRecording.js';
import type { Stores } from '../storage/Stores.js';
import { AudioSnapshot, type Whereabouts } from './AudioSnapshot.js';

/** How far a live recording is. */
export interface Progress {
  /** Per channel. */
  readonly samples: number;
  /** Loudest sample per channel in the last half second, 0 to 32768. */
  readonly peaks: readonly number[];
}

/** How long a question waits for the stores to be read after a start before it is told to come again, ms. */
const patienceMs = 5000;

/**
 * Every recording that this daemon knows, wherever it lies: the catalogue for lists, the spool and the stores for what is in it.
 */
export class Library {
  readonly #catalogue: Catalogue;
  readonly #spoolDir: string;
  readonly #progress = new Map<string, Progress>();
  readonly #read = new Set<string>();
  #stores: Stores;
  /** Set while stores are being read. */
  #rebuilding: Promise<void> | null = null;

  constructor(catalogue: Catalogue, spoolDir: string, stores: Stores) {
    this.#catalogue = catalogue;
    this.#spoolDir = spoolDir;
    this.#stores = stores;
  }

  /** Takes up every recording in the spool. Before it resolves nothing may be asked. */
  async scanSpool(): Promise<void> {
    for await (const folder of spooledFolders(this.#spoolDir)) {
      const manifest = (await readSpooled(this.#spoolDir, folder))?.manifest;
      if (manifest) await this.#catalogue.upsert(entryOf(manifest, folder));
    }
  }

  /**
   * Takes up every recording in the stores, each store once; may take long. Until then a question for an unknown recording
   * waits.
   *
   * @param failed - told of a store that can't be read; it is read again at the next call
   */
  scanStores(stores: Stores, failed: (store: ObjectStore, error: unknown) => void): Promise<void> {
    this.#stores = stores;
    const before = this.#rebuilding ?? Promise.resolve();
    const rebuilding = before.then(async () => {
      for (const store of stores.all()) {
        if (this.#read.has(store.name)) continue;
        this.#read.add(store.name);
        await this.#scanStore(store).catch((error: unknown) => {
          this.#read.delete(store.name);
          failed(store, error);
        });
      }
      if (this.#rebuilding === rebuilding) this.#rebuilding = null;
    });
    this.#rebuilding = rebuilding;
    return rebuilding;
  }

  /** What the recorder or the uploader announces. */
  async take(event: SpoolEvent): Promise<void> {
    if (event.type === 'progress') {
      this.#progress.set(event.recordingId, { samples: event.samples, peaks: event.peaks });
    } else if (event.type !== 'sealed') {
      const { recordingId, state } = event.manifest;
      if (event.type === 'ended') this.#progress.delete(recordingId);
      const known = await this.#catalogue.get(recordingId);
      // The spool's files may have told the uploader before the announcement came.
      if (known?.state === 'complete' && (state === 'recording' || state === 'uploading')) return;
      await this.#catalogue.upsert(entryOf(event.manifest, event.folder));
    }
  }

  /** The recording is in its store, in this state for good. */
  async finished(folder: string, manifest: Manifest): Promise<void> {
    await this.#catalogue.upsert(entryOf(manifest, folder));
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
    if (known !== undefined || this.#rebuilding === null) return known;
    await this.#patience(this.#rebuilding);
    return await this.#catalogue.get(recordingId);
  }

  /** @throws ReelayError `starting`, or `request_invalid` for a cursor that was not given out */
  async list(query: CatalogueQuery): Promise<CataloguePage> {
    if (this.#rebuilding !== null) await this.#patience(this.#rebuilding);
    return await this.#catalogue.list(query);
  }

  /** The manifest as it is now; null when neither spool nor store has it, which no recording of the catalogue should be in. */
  async manifest({ folder, accountId }: CatalogueEntry): Promise<Manifest | null> {
    // It is put into the store before it leaves the spool, so one look at each in this order finds it.
    const spooled = await readSpooled(this.#spoolDir, folder);
    if (spooled?.manifest) return spooled.manifest;
    const store = this.#stores.of(accountId);
    return store === null ? null : await readStoredManifest(store, folder);
  }

  /** @throws ReelayError `wav_too_long` */
  async audio(entry: CatalogueEntry, manifest: Manifest): Promise<AudioSnapshot> {
    return await AudioSnapshot.take(this.whereabouts(entry), manifest);
  }

  whereabouts({ folder, accountId }: CatalogueEntry): Whereabouts {
    return { spoolDir: this.#spoolDir, folder, store: () => this.#stores.of(accountId) };
  }

  async #scanStore(store: ObjectStore): Promise<void> {
    for await (const { folder, manifest } of storedRecordings(store)) {
      // Only the account's own store speaks for it; and what is still in the spool is newer there.
      if (this.#stores.of(manifest.accountId)?.name !== store.name) continue;
      if ((await this.#catalogue.get(manifest.recordingId)) === undefined)
        await this.#catalogue.upsert(entryOf(manifest, folder));
    }
  }

  async #patience(rebuilding: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const remedy = 'Ask again in a few seconds.';
      timer = setTimeout(() => reject(new ReelayError('starting', { remedy })), patienceMs);
    });
    await Promise.race([rebuilding, late]).finally(() => clearTimeout(timer));
  }
}
