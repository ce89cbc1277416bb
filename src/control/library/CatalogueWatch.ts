import { uptime } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import { catalogueAt } from '../../catalogue/catalogueAt.js';
import { type CatalogueObserver, CatalogueWriter } from '../../catalogue/CatalogueWriter.js';
import { type ErrorCode, ReelayError } from '../../config/ReelayError.js';
import type { Alerts } from '../monitoring/Alerts.js';
import type { CatalogueNote } from './CatalogueNote.js';
import { dayOf, type ScanBounds } from './StoreScan.js';

export interface CatalogueWatchOptions {
  /** As the configuration has it. */
  readonly url: string;
  readonly note: CatalogueNote;
  readonly alerts: Alerts;
  /** It can be asked: what it may lack is to be looked for, within `bounds`. @param isShort - entries found no room while it was away */
  readonly ready: (isShort: boolean) => void;
  /** It can't be asked. */
  readonly away: () => void;
  readonly log: Logger;
}

/** How long the catalogue may be away before somebody is told, ms: a daemon that hands over, or a server that starts again, takes less. */
const alertAfterMs = 10_000;
/** How long a start waits for it, ms; then it goes on without. */
const patienceMs = 1000;
const dayMs = 86_400_000;

/** Has the catalogue opened, tells alerts and log how it is, and knows what it may lack. */
export class CatalogueWatch implements CatalogueObserver {
  readonly catalogue: CatalogueWriter;
  readonly #options: CatalogueWatchOptions;
  /** Null: it is there, or somebody has been told. */
  #telling: NodeJS.Timeout | null = null;
  /** The day before it went away, `YYYYMMDD`; null while it is there. */
  #awaySince: string | null = null;
  #isEnding = false;
  #started: Promise<void> | null = null;
  #noteRead: Promise<void> = Promise.resolve();
  /** What it lacks is known, and somebody sees to it. */
  #prepared: Promise<void> = Promise.resolve();
  #again: string | null = null;
  /** The machine went down: what was written last is looked for when the catalogue says what that was. */
  #isPowerLost = false;

  constructor(options: CatalogueWatchOptions) {
    this.#options = options;
    const catalogue = catalogueAt(options.url, (path, error) => this.#tellSetAside(path, error));
    this.catalogue = new CatalogueWriter(catalogue, this);
  }

  /** How much of the stores has to be read so that the catalogue lacks nothing. */
  get bounds(): ScanBounds {
    return this.#again === null ? {} : { again: this.#again };
  }

  /** Begins to open it, once; resolves when it is open, or when it takes longer than a start should. */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    this.#noteRead = this.#readNote();
    const waited = new AbortController();
    const late = sleep(patienceMs, undefined, { signal: waited.signal }).catch(() => undefined);
    await Promise.race([this.catalogue.open().then(() => this.#prepared), late]);
    waited.abort();
  }

  async #readNote(): Promise<void> {
    const { note } = this.#options;
    const found = await note.begin().catch((error: unknown) => this.#tellUnnoted(error));
    this.#again = found?.behind ?? null;
    this.#isPowerLost = this.catalogue.isLasting && !this.catalogue.isShared && found?.isPowerLost === true;
  }

  /** Stores were read within these bounds, and none failed. */
  storesRead({ again }: ScanBounds): void {
    if (!this.catalogue.isUp || this.#isPowerLost || (again ?? null) !== this.#again) return;
    this.#again = null;
    this.#options.note.caughtUp().catch((error: unknown) => this.#tellUnnoted(error));
  }

  /** Writes what waits and gives the database back. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    this.#tellNobody();
    const wasUp = this.catalogue.isUp;
    await this.catalogue.close();
    if (wasUp) await this.#options.note.end().catch((error: unknown) => this.#tellUnnoted(error));
  }

  async down(error: Error): Promise<void> {
    const { log, note } = this.#options;
    const day = dayOf(Date.now() - dayMs);
    if (this.#awaySince === null && !this.#isEnding) {
      log.warn(
        { err: error, code: codeOf(error) },
        'the catalogue cannot be asked; what is to be written waits',
      );
      this.#telling = setTimeout(() => this.#raise(error), alertAfterMs);
    }
    this.#awaySince ??= day;
    this.#options.away();
    await this.#noteRead;
    await note.fallBehind(day).catch((reason: unknown) => this.#tellUnnoted(reason));
  }

  up(dropped: number): void {
    const { alerts, log } = this.#options;
    this.#tellNobody();
    alerts.resolve('catalogue', 'the catalogue can be asked again');
    if (this.#awaySince !== null) log.info({ dropped }, 'the catalogue can be asked; what waited is written');
    this.#prepared = this.#prepare(dropped > 0, this.#awaySince ?? '');
    this.#awaySince = null;
  }

  refused(entry: CatalogueEntry, error: Error): void {
    const { recordingId, callId, accountId, provider } = entry;
    const about = { code: codeOf(error), err: error, recordingId, callId, accountId, provider };
    this.#options.log.error(about, 'the catalogue does not take a recording; it is in no list');
  }

  /** @param since - day before it went away, `YYYYMMDD` */
  async #prepare(isShort: boolean, since: string): Promise<void> {
    await this.#noteRead;
    if (isShort) this.#lacksFrom(since);
    if (this.#isPowerLost) await this.#findLastDay();
    if (this.#again === null && !this.#isPowerLost)
      await this.#options.note.caughtUp().catch((error: unknown) => this.#tellUnnoted(error));
    this.#options.ready(isShort);
  }

  /** What is newest in it was there shortly before the machine went down; what it has lost began later, or is in it as unfinished. */
  async #findLastDay(): Promise<void> {
    const bootMs = Date.now() - uptime() * 1000;
    try {
      const { entries } = await this.catalogue.list({ limit: 1, toMs: bootMs });
      const [newest] = entries;
      // Where there is none, all stores are read anyway.
      if (newest !== undefined) this.#lacksFrom(dayOf(Date.parse(newest.startTime) - dayMs));
      this.#isPowerLost = false;
    } catch {
      // Away again; it is looked for when it is back.
    }
  }

  #lacksFrom(day: string): void {
    if (this.#again === null || day < this.#again) this.#again = day;
    this.#options.note.fallBehind(this.#again).catch((error: unknown) => this.#tellUnnoted(error));
  }

  #raise(error: Error): void {
    this.#telling = null;
    this.#options.alerts.raise('catalogue', {
      code: codeOf(error),
      message:
        'the catalogue cannot be asked: lists are refused; calls and recordings go on, and are listed when it is back',
      details: { err: error },
    });
  }

  #tellNobody(): void {
    if (this.#telling !== null) clearTimeout(this.#telling);
    this.#telling = null;
  }

  #tellSetAside(path: string, error: unknown): void {
    const code: ErrorCode = 'catalogue_unreadable';
    this.#options.log.error({ code, err: error, path }, 'the catalogue could not be read and is built anew');
  }

  #tellUnnoted(error: unknown): undefined {
    this.#options.log.warn({ err: error }, 'it could not be noted how the catalogue is');
  }
}

function codeOf(error: Error): ErrorCode {
  return error instanceof ReelayError ? error.code : 'catalogue_unavailable';
}
