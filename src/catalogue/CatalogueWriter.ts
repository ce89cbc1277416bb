import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { ReelayError } from '../config/ReelayError.js';
import type {
  Catalogue,
  CatalogueChunk,
  CatalogueEntry,
  CataloguePage,
  CatalogueQuery,
  CatalogueTombstone,
  CatalogueWrite,
} from './Catalogue.js';
import type { Outbox } from './Delivery.js';
import { SteadyOutbox } from './SteadyOutbox.js';
import { WriteQueue } from './WriteQueue.js';

/** Told how the catalogue is; must not throw or reject. */
export interface CatalogueObserver {
  /** It can't be asked from now on. Who waits for a write goes on when this has resolved. */
  down(error: Error): Promise<void>;
  /** It can be asked, and what waited is in it. @param dropped - entries that found no room meanwhile */
  up(dropped: number): void;
  /** It is well and doesn't take this one: something is wrong with it, or it is another account's. */
  refused(entry: CatalogueEntry, error: Error): void;
}

export interface CatalogueWriterOptions {
  /** Recordings that wait while the catalogue is away. Default 50,000, some 50 MB. */
  readonly mostWaiting?: number;
  /** How long a loss of power may take back what was written, ms. Default 10,000. */
  readonly syncMs?: number;
  /** Recordings that are written without a sync at most: their sync holds a thread up. Default 4096, some 10 MiB. */
  readonly mostUnsynced?: number;
  /** Pauses between tries to open it, ms; each is twice the one before. Default 100 and 5000. */
  readonly backoff?: { readonly first: number; readonly most: number };
}

/**
 * A catalogue that may be away. Writes never fail and wait until it is back; questions fail with `catalogue_unavailable` at once,
 * unless a write that waits has the answer, or it is being opened for the first time. It is opened again and again until it is there.
 *
 * Everything that is written goes through here, one thing after the other and in small steps: between two of them the thread's other
 * work has its turn.
 */
export class CatalogueWriter implements Catalogue {
  readonly outbox: Outbox;
  readonly #inner: Catalogue;
  readonly #observer: CatalogueObserver;
  readonly #options: Required<CatalogueWriterOptions>;
  readonly #queue: WriteQueue;
  #state: 'up' | 'down' | 'closed' = 'down';
  /** Why it has to be opened again. */
  #fault: Error | null = null;
  /** Told when all writes up to theirs are written, or can't be now. */
  readonly #waiters: { readonly upTo: number; readonly go: () => void }[] = [];
  /** Resolves when nobody writes. */
  #writing: Promise<unknown> = Promise.resolve();
  #wake: () => void = () => undefined;
  #woken: Promise<void> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  /** The first try to open it is over. */
  #tried: Promise<void> = Promise.resolve();
  /** The observer knows that it is away. */
  #told: Promise<void> = Promise.resolve();
  /** When the first thing was written since the last sync, ms since the Unix epoch. */
  #unsyncedSince: number | null = null;
  /** Recordings since then. */
  #unsynced = 0;
  #droppedBefore = 0;

  constructor(inner: Catalogue, observer: CatalogueObserver, options: CatalogueWriterOptions = {}) {
    this.#inner = inner;
    this.outbox = new SteadyOutbox(() => inner.outbox, {
      read: async (work) => await this.#ask(work),
      write: async (work) => await this.#alone(() => this.#ask(work)),
    });
    this.#observer = observer;
    this.#options = {
      mostWaiting: 50_000,
      syncMs: 10_000,
      mostUnsynced: 4096,
      backoff: { first: 100, most: 5000 },
      ...options,
    };
    this.#queue = new WriteQueue(this.#options.mostWaiting);
    this.#sleepAgain();
  }

  get isLasting(): boolean {
    return this.#inner.isLasting;
  }

  get isShared(): boolean {
    return this.#inner.isShared;
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  /** Recordings that wait to be written. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Entries that found no room while it was away, since the start. */
  get dropped(): number {
    return this.#queue.dropped;
  }

  /** Begins to open it. Resolves after the first try, however that went. */
  async open(): Promise<void> {
    this.#tried = new Promise<void>((resolve) => {
      this.#running = this.#run(resolve);
    });
    await this.#tried;
  }

  /** Tries to open it now, where that was to be tried later. */
  nudge(): void {
    this.#wake();
  }

  /**
   * Resolves when it is written; while the catalogue is away, when the observer knows that.
   *
   * @returns none: the observer is told of those that it doesn't take
   */
  async write(writes: readonly CatalogueWrite[]): Promise<readonly []> {
    for (const each of writes) if (!this.#queue.add(each)) this.#observer.refused(each.entry, ofAnother());
    if (this.#state === 'closed') await this.#tell(this.#unavailable());
    if (this.#state === 'down') await this.#tried;
    if (this.#state !== 'up') {
      await this.#told;
      return [];
    }
    this.#wake();
    await this.#written();
    return [];
  }

  async remove(recordingId: string): Promise<void> {
    await this.#asUp();
    this.#queue.forget(recordingId);
    await this.#alone(() => this.#ask(() => this.#inner.remove(recordingId)));
  }

  async bury(tombstone: CatalogueTombstone): Promise<boolean> {
    await this.#asUp();
    const waiting = this.#queue.get(tombstone.recordingId);
    if (waiting?.accountId === tombstone.accountId) this.#queue.forget(tombstone.recordingId);
    return await this.#alone(() => this.#ask(() => this.#inner.bury(tombstone)));
  }

  async tombstone(recordingId: string): Promise<CatalogueTombstone | undefined> {
    return await this.#ask(() => this.#inner.tombstone(recordingId));
  }

  async get(recordingId: string): Promise<CatalogueEntry | undefined> {
    return this.#queue.get(recordingId) ?? (await this.#ask(() => this.#inner.get(recordingId)));
  }

  async chunks(recordingId: string): Promise<readonly CatalogueChunk[] | null> {
    await this.#asUp();
    return await this.#ask(() => this.#inner.chunks(recordingId));
  }

  async list(query: CatalogueQuery): Promise<CataloguePage> {
    await this.#asUp();
    return await this.#ask(() => this.#inner.list(query));
  }

  async accountAfter(accountId: string): Promise<string | undefined> {
    return await this.#ask(() => this.#inner.accountAfter(accountId));
  }

  async wasRead(place: string): Promise<boolean> {
    return await this.#ask(() => this.#inner.wasRead(place));
  }

  /** After everything that was to be written before. */
  async markRead(place: string): Promise<void> {
    await this.#asUp();
    await this.#alone(() => this.#ask(() => this.#inner.markRead(place)));
  }

  async sync(): Promise<void> {
    await this.#asUp();
    await this.#alone(() => this.#inner.sync());
  }

  /** Writes what waits, if that is possible, and ends. What comes later is not written by this process. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    if (this.#state === 'up') await this.#written();
    this.#state = 'closed';
    this.#wake();
    await this.#running;
    await this.#alone(() => this.#inner.close());
    this.#goOn();
  }

  async #run(tried: () => void): Promise<void> {
    const { first, most } = this.#options.backoff;
    let pause = first;
    while (this.#state !== 'closed') {
      try {
        await this.#alone(() => this.#inner.open());
        await this.#drain();
        pause = first;
        this.#rise();
        tried();
        await this.#serve();
      } catch (error) {
        this.#sleepAgain();
        await this.#fall(error as Error);
        tried();
        // Somebody may have closed or nudged it while that was being told.
        await this.#wokenWithin(pause);
        pause = Math.min(pause * 2, most);
      }
    }
    tried();
  }

  /** Writes what comes, until something fails or it is closed. */
  async #serve(): Promise<void> {
    const { syncMs } = this.#options;
    while (this.#state === 'up') {
      this.#sleepAgain();
      await this.#drain();
      if (this.#fault !== null) throw this.#fault;
      const age = this.#unsyncedSince === null ? 0 : Date.now() - this.#unsyncedSince;
      if (age >= syncMs) await this.#makeSafe();
      else if (this.#queue.size === 0)
        await (this.#unsyncedSince === null ? this.#woken : this.#wokenWithin(syncMs - age));
    }
  }

  async #drain(): Promise<void> {
    while (this.#queue.size > 0 && this.#state !== 'closed' && this.#fault === null) {
      await this.#alone(() => this.#writeSome());
      if (this.#unsynced >= this.#options.mostUnsynced) await this.#makeSafe();
      this.#goOn(this.#queue.done);
      await nextTurn();
    }
  }

  async #makeSafe(): Promise<void> {
    await this.#alone(() => this.#inner.sync());
    this.#unsyncedSince = null;
    this.#unsynced = 0;
  }

  async #writeSome(): Promise<void> {
    const batch = this.#queue.take();
    if (batch.length === 0) return;
    try {
      const foreign = await this.#inner.write(batch).catch(async (error: unknown) => {
        if (!isRefusal(error)) throw error;
        // One of them spoils it for all.
        const others: CatalogueEntry[] = [];
        for (const each of batch) others.push(...(await this.#writeOne(each)));
        return others;
      });
      for (const entry of foreign) this.#observer.refused(entry, ofAnother());
    } catch (error) {
      this.#queue.putBack();
      throw error;
    }
    this.#queue.written();
    this.#unsyncedSince ??= Date.now();
    this.#unsynced += batch.length;
  }

  async #writeOne(write: CatalogueWrite): Promise<readonly CatalogueEntry[]> {
    try {
      return await this.#inner.write([write]);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#observer.refused(write.entry, error);
      return [];
    }
  }

  #rise(): void {
    if (this.#state !== 'down') return;
    this.#state = 'up';
    const dropped = this.#queue.dropped - this.#droppedBefore;
    this.#droppedBefore = this.#queue.dropped;
    this.#observer.up(dropped);
  }

  async #fall(error: Error): Promise<void> {
    if (this.#state === 'up') this.#state = 'down';
    this.#fault = null;
    this.#unsyncedSince = null;
    this.#unsynced = 0;
    await this.#tell(error);
    this.#goOn();
    await this.#alone(() => this.#inner.close());
  }

  #tell(error: Error): Promise<void> {
    this.#told = this.#observer.down(error);
    return this.#told;
  }

  /** Waits until everything that was to be written until now is. @throws ReelayError `catalogue_unavailable` */
  async #asUp(): Promise<void> {
    await this.#tried;
    if (this.#state === 'up') await this.#written();
    if (this.#state !== 'up') throw this.#unavailable();
  }

  async #written(): Promise<void> {
    const upTo = this.#queue.asked;
    if (this.#queue.done >= upTo) return;
    await new Promise<void>((go) => this.#waiters.push({ upTo, go }));
  }

  #goOn(done = Infinity): void {
    for (let next = this.#waiters[0]; next !== undefined && next.upTo <= done; next = this.#waiters[0]) {
      this.#waiters.shift();
      next.go();
    }
  }

  /** One question. One that shows that the catalogue is away has it opened again. */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    await this.#tried;
    if (this.#state !== 'up') throw this.#unavailable();
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof ReelayError) || error.code !== 'catalogue_unavailable') throw error;
      if (this.isUp) this.#fault = error;
      this.#wake();
      // Where the database is and what it said is for the log, and not for whoever asked.
      throw this.#unavailable();
    }
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#writing.then(work);
    this.#writing = mine.catch(() => undefined);
    return await mine;
  }

  #sleepAgain(): void {
    this.#woken = new Promise((resolve) => (this.#wake = resolve));
  }

  async #wokenWithin(ms: number): Promise<void> {
    const timer = new AbortController();
    await Promise.race([this.#woken, sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
  }

  #unavailable(): ReelayError {
    const remedy = 'Ask again in a few seconds; calls and their recordings go on meanwhile.';
    return new ReelayError('catalogue_unavailable', { remedy });
  }
}

function ofAnother(): ReelayError {
  return new ReelayError('catalogue_refused', { value: 'another account has a recording of this id' });
}

function isRefusal(error: unknown): error is ReelayError {
  return error instanceof ReelayError && error.code === 'catalogue_refused';
}
