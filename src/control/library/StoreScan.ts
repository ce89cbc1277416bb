import {
  type Catalogue,
  type CatalogueEntry,
  type CatalogueWrite,
  entryOf,
} from '../../catalogue/Catalogue.js';
import { isDelivery } from '../../catalogue/Delivery.js';
import type { AccountConfig } from '../../config/Config.js';
import { ReelayError } from '../../config/ReelayError.js';
import { manifestName, recordingFolder } from '../../spool/layout.js';
import { type Tombstone, tombstonesIn, undeliveredIn } from '../../storage/Ledger.js';
import { isObjectKey } from '../../storage/objectKey.js';
import type { ObjectStore } from '../../storage/ObjectStore.js';
import { storedRecordings, type StoreScope } from '../../storage/StoredRecording.js';

/** What happens while stores are read. */
export interface ScanObserver {
  /** It can't be read; it is read again at the next scan. */
  failed(store: ObjectStore, error: unknown): void;
  /** There is so much in it that not everything is shown. */
  cut(store: ObjectStore): void;
  /** A recording lies there, in its own account's store. */
  found?(recordingId: string): void;
  /** Something there is said of a recording that is another account's. */
  refused?(store: ObjectStore, said: Pick<CatalogueEntry, 'recordingId' | 'accountId'>): void;
}

/** How much of the stores is read. */
export interface ScanBounds {
  /** Also stores that were read before: what began on this day or later, `YYYYMMDD`; '' for everything. Default: only the others. */
  readonly again?: string | undefined;
  /** However much there is. Default: the first million objects. */
  readonly isWhole?: boolean | undefined;
}

export interface StoreScanOptions {
  readonly catalogue: Catalogue;
  /** Null also where nobody knows the account any more. @throws ReelayError `accounts_unavailable` */
  readonly storeOf: (accountId: string) => Promise<ObjectStore | null>;
  /** What lies in the spool is newer there. */
  readonly isSpooled: (recordingId: string) => boolean;
}

/** A store of which nothing was known, until enough of it is. */
interface Reading {
  /** Whose recordings lie there; null: anybody's. */
  readonly owner: string | null;
  /** Resolves when what began lately is known, or can't be. */
  readonly recent: Promise<void>;
  /** The same for everything. */
  readonly whole: Promise<void>;
}

/** One reading of all stores. */
interface Round {
  readonly observer: ScanObserver;
  readonly bounds: ScanBounds;
  /** Places that it has come to: several accounts may share one. */
  readonly begun: Set<string>;
}

/** What began in these last days is read first, ms; of buckets, by a catalogue that begins anew at every start, nothing else. */
const recentMs = 30 * 86_400_000;
/** Objects of a bucket that are listed for one account; each thousand is a request. */
const mostListed = 1_000_000;
/** Stores that are read at once. */
const scannedAtOnce = 4;
/** Recordings that are written into the catalogue at once. */
const writtenAtOnce = 64;
/** Tombstones that are looked after at once. */
const buriedAtOnce = 8;
/** How long a question waits for the stores to be read after a start before it is told to come again, ms. */
const patienceMs = 5000;

/** Reads stores for what the catalogue doesn't know, and has questions wait that can't be answered before. */
export class StoreScan {
  readonly #options: StoreScanOptions;
  /** Places that this process has read, or found in the catalogue as read. */
  readonly #read = new Set<string>();
  /** What is being read for the first time. */
  readonly #reading = new Set<Reading>();
  /** Accounts and stores that have been read once, or in vain: nobody waits for them a second time. */
  readonly #tried = new Set<string>();
  #scanning: Promise<void> = Promise.resolve();
  /** It is not known yet what has to be read. */
  #expected: Latch | null = null;

  constructor(options: StoreScanOptions) {
    this.#options = options;
  }

  /** Has questions wait until a scan has been begun, or it is known that there can be none now. */
  expect(): void {
    this.#expected ??= latch();
  }

  /** The catalogue is away: questions needn't wait for a scan. */
  goWithout(): void {
    this.#expected?.open();
    this.#expected = null;
  }

  /**
   * Takes up the recordings in the stores of these accounts, each store once; may take long. A folder is read whole. Of a bucket, which
   * may hold millions of objects, each account's part is read. A few are read at once, so that one that doesn't answer holds up no other.
   */
  scan(accounts: readonly AccountConfig[], observer: ScanObserver, bounds: ScanBounds = {}): Promise<void> {
    const round: Round = { observer, bounds, begun: new Set() };
    const jobs = accounts
      .filter(({ store }) => store !== null)
      .map((account) => this.#toScan(account, round));
    this.goWithout();
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
   * Waits for stores that are being read for the first time.
   *
   * @param part - for how much of them
   * @param isAsked - whether recordings of this account are asked for
   * @returns whether there were any
   * @throws ReelayError `starting` when that takes too long
   */
  async awaited(
    part: 'recent' | 'whole',
    isAsked: (accountId: string) => boolean = () => true,
  ): Promise<boolean> {
    if (this.#expected !== null) await patience([this.#expected.opened]);
    const reading = [...this.#reading].filter(({ owner }) => owner === null || isAsked(owner));
    if (reading.length === 0) return false;
    await patience(reading.map((each) => each[part]));
    return true;
  }

  #toScan(account: AccountConfig, round: Round): () => Promise<void> {
    const name = JSON.stringify([account.id, account.store]);
    const [recent, whole] = [latch(), latch()];
    const owner = isAnybodys(account) ? null : account.id;
    const reading = { owner, recent: recent.opened, whole: whole.opened };
    if (!this.#tried.has(name)) this.#reading.add(reading);
    const done = (): void => {
      this.#tried.add(name);
      this.#reading.delete(reading);
      recent.open();
      whole.open();
    };
    return async () => {
      await this.#scanAccount(account, round, recent.open).finally(done);
    };
  }

  async #scanAccount(
    account: AccountConfig,
    { observer, bounds, begun }: Round,
    recentDone: () => void,
  ): Promise<void> {
    const store = await this.#options.storeOf(account.id);
    if (store === null) return;
    const prefix = isAnybodys(account) ? '' : `${account.id}/`;
    const place = `${store.name} ${prefix}`;
    if (begun.has(place)) return;
    begun.add(place);
    try {
      const wasRead = await this.#wasRead(place);
      if (wasRead && bounds.again === undefined) return;
      this.#read.add(place);
      const cut = (): void => observer.cut(store);
      const most = bounds.isWhole === true ? Infinity : mostListed;
      const scope = account.store?.type === 'file' ? {} : { prefix, most, cut };
      if (!wasRead || bounds.isWhole === true) await this.#readLedger(store, account, observer);
      for (const part of this.#parts(account, bounds, wasRead)) {
        await this.#scanStore(store, { ...scope, ...part }, observer);
        recentDone();
      }
      await this.#options.catalogue.markRead(place);
    } catch (error) {
      this.#read.delete(place);
      // That is not the store's fault, and it is read when the catalogue is back.
      if (error instanceof ReelayError && error.code === 'catalogue_unavailable') return;
      observer.failed(store, error);
    }
  }

  /** What recordings don't say. Of a store that many accounts share only what is their own is believed. */
  async #readLedger(store: ObjectStore, account: AccountConfig, observer: ScanObserver): Promise<void> {
    const { catalogue, storeOf } = this.#options;
    const some: Tombstone[] = [];
    const burySome = async (): Promise<void> => {
      await Promise.all(some.splice(0).map((tombstone) => this.#bury(store, tombstone, observer)));
    };
    for await (const tombstone of tombstonesIn(store, isAnybodys(account) ? undefined : account.id)) {
      some.push(tombstone);
      if (some.length >= buriedAtOnce) await burySome();
    }
    await burySome();
    for await (const event of undeliveredIn(store, isAnybodys(account) ? undefined : account.id)) {
      const own = await storeOf(event.accountId).catch(() => null);
      if (own?.name !== store.name || !isDelivery(event)) continue;
      const owner = (await catalogue.get(event.recordingId))?.accountId ?? event.accountId;
      if (owner === event.accountId) await catalogue.outbox.post([event]);
      else observer.refused?.(store, event);
    }
  }

  /** A deletion that broke off has left the manifest. Its recording is shown, so that it can be asked for again. */
  async #bury(store: ObjectStore, tombstone: Tombstone, observer: ScanObserver): Promise<void> {
    const { catalogue, storeOf } = this.#options;
    const own = await storeOf(tombstone.accountId).catch(() => null);
    if (own?.name !== store.name) return;
    const folder = recordingFolder({ ...tombstone, startMs: Date.parse(tombstone.startTime) });
    const manifest = `${folder}/${manifestName}`;
    if (isObjectKey(manifest) && (await store.size(manifest)) !== null) return;
    if (!(await catalogue.bury(tombstone))) observer.refused?.(store, tombstone);
  }

  async #wasRead(place: string): Promise<boolean> {
    const { catalogue } = this.#options;
    if (this.#read.has(place)) return true;
    const wasRead = catalogue.isLasting && (await catalogue.wasRead(place));
    if (wasRead) this.#read.add(place);
    return wasRead;
  }

  /** Days that are read, one part after the other: a catalogue that lasts is filled once, and therefore wholly. */
  #parts(
    { store }: AccountConfig,
    { again, isWhole }: ScanBounds,
    wasRead: boolean,
  ): Pick<StoreScope, 'since' | 'before'>[] {
    if (wasRead && again !== undefined) return [{ since: again }];
    if (store?.type === 'file' || isWhole === true) return [{}];
    const recent = dayOf(Date.now() - recentMs);
    return [{ since: recent }, ...(this.#options.catalogue.isLasting ? [{ before: recent }] : [])];
  }

  async #scanStore(store: ObjectStore, scope: StoreScope, observer: ScanObserver): Promise<void> {
    const unavailable = new Map<string, unknown>();
    const writes: CatalogueWrite[] = [];
    const refused = (entry: CatalogueEntry): void => observer.refused?.(store, entry);
    for await (const { folder, manifest } of storedRecordings(store, scope)) {
      const { accountId, recordingId } = manifest;
      if (unavailable.has(accountId)) continue;
      const own = await this.#options.storeOf(accountId).catch((error: unknown) => {
        unavailable.set(accountId, error);
        return null;
      });
      // Only the account's own store speaks for it.
      if (own?.name !== store.name) continue;
      observer.found?.(recordingId);
      if (!this.#options.isSpooled(recordingId))
        writes.push({ entry: entryOf(manifest, folder), chunks: manifest.chunks });
      if (writes.length >= writtenAtOnce) await this.#write(writes.splice(0), refused);
    }
    await this.#write(writes, refused);
    // What is everybody else's is shown; the rest when it can be known whose it is.
    for (const error of unavailable.values()) throw error;
  }

  async #write(writes: readonly CatalogueWrite[], refused: (entry: CatalogueEntry) => void): Promise<void> {
    const { catalogue, isSpooled } = this.#options;
    // One may have been taken up by the spool's own scan meanwhile.
    const foreign = await catalogue.write(writes.filter(({ entry }) => !isSpooled(entry.recordingId)));
    foreign.forEach(refused);
  }
}

/** The day of a moment, as recordings' folders have it. @param ms - since the Unix epoch */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10).replaceAll('-', '');
}

interface Latch {
  readonly opened: Promise<void>;
  readonly open: () => void;
}

/** A promise, and what fulfils it. */
function latch(): Latch {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

async function patience(reading: readonly Promise<void>[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const remedy = 'Ask again in a few seconds.';
    timer = setTimeout(() => reject(new ReelayError('starting', { remedy })), patienceMs);
  });
  await Promise.race([Promise.all(reading), late]).finally(() => clearTimeout(timer));
}

/** Whether recordings of any account may lie in an account's store, below its own prefix. */
function isAnybodys({ id, store }: AccountConfig): boolean {
  return id === '*' || store?.type === 'file';
}
