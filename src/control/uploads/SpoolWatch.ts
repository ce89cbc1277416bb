import { basename } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../../config/Config.js';
import type { Manifest } from '../../spool/Manifest.js';
import type { RecordingProgress, SpoolEvent } from '../../spool/SpoolEvent.js';
import type { Alerts } from '../monitoring/Alerts.js';
import { Backlog, usualRate } from '../monitoring/Backlog.js';
import type { LiveCalls } from '../library/LiveCalls.js';
import { SpoolBudget } from './SpoolBudget.js';
import { sweepSpool } from './sweepSpool.js';

export interface SpoolWatchOptions {
  readonly spoolDir: string;
  /** What holds now. */
  readonly config: () => Pick<Config, 'spool' | 'limits'>;
  readonly calls: LiveCalls;
  /** Whether a folder that was just seen in the spool is this daemon's. */
  readonly owns: (folder: string) => boolean;
  readonly alerts: Alerts;
  /** Drops copies that are not needed; resolves with the bytes that this gave back. */
  readonly relieve: () => Promise<number>;
  /** Told once at the start, then when it changes. */
  readonly changed: (isFull: boolean) => void;
  readonly log: Logger;
}

/** How often remains of crashes are removed, ms. */
const sweepMs = 3_600_000;

/** Sees to it that the spool keeps within its budget, says what is left of it, and removes what crashes leave behind. */
export class SpoolWatch {
  readonly #options: SpoolWatchOptions;
  readonly #backlog = new Backlog();
  readonly #budget: SpoolBudget;
  /** What is older was left by others; ms since the Unix epoch. */
  readonly #sinceMs = Date.now();
  #sweeping: NodeJS.Timeout | null = null;

  constructor(options: SpoolWatchOptions) {
    this.#options = options;
    this.#budget = new SpoolBudget({
      spoolDir: options.spoolDir,
      limits: () => options.config().spool,
      relieve: () => this.#relieve(),
      changed: (isFull) => this.#changed(isFull),
    });
  }

  /** Measures what is there, says what is left, and goes on doing so. Sweeps now and hourly. */
  async start(): Promise<void> {
    this.#sweeping = setInterval(() => void this.#sweep(), sweepMs).unref();
    await this.#budget.start();
    this.#tellRoom();
    await this.#sweep();
  }

  /** Measures what has changed; it is done every second. */
  async look(): Promise<void> {
    await this.#budget.look();
  }

  async stop(): Promise<void> {
    if (this.#sweeping !== null) clearInterval(this.#sweeping);
    await this.#budget.stop();
  }

  /** A recording that lay in the spool at the start. */
  found(folder: string, manifest: Manifest): void {
    this.#backlog.found(folder, manifest);
  }

  /** What the recorder announces. */
  take(event: SpoolEvent): void {
    this.#backlog.take(event);
    this.#budget.take(event);
  }

  /** How far a live recording is. */
  progressed(recording: RecordingProgress): void {
    this.#budget.progressed(recording);
  }

  /** Files of a recording have gone, or come. */
  touched(folder: string): void {
    this.#budget.touched(folder);
  }

  /** A recording is whole in its store. */
  finished(folder: string): void {
    this.#backlog.finished(folder);
    this.#budget.touched(folder);
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#budget.bytes;
  }

  /** Bytes that may still come until new calls are not recorded. */
  get left(): number {
    return this.#budget.left;
  }

  /** Bytes a second that the calls now up add. */
  get rate(): number {
    return this.#backlog.rateOf(this.#options.calls.all.map(({ recordingId }) => recordingId));
  }

  /** Recordings with audio, live ones included, that are not whole in their store. */
  get unstored(): number {
    return this.#backlog.unstored;
  }

  /** Recordings are refused for want of room, never because making it failed. */
  async #relieve(): Promise<number> {
    const { relieve, log } = this.#options;
    try {
      const freed = await relieve();
      if (freed > 0) log.warn({ freedBytes: freed }, 'the spool was full; copies of what is stored are gone');
      return freed;
    } catch (error) {
      log.error({ err: error }, 'no room could be made in the spool');
      return 0;
    }
  }

  #tellRoom(): void {
    const { bytes, left, rate } = this;
    const { calls } = this.#options.config().limits;
    const hours = (perSecond: number) =>
      perSecond === 0 ? null : Math.round((left / perSecond / 3600) * 10) / 10;
    const buys = {
      hoursOfOneCall: hours(usualRate),
      hoursOfAllCalls: hours(usualRate * calls),
      hoursOfCallsNow: hours(rate),
    };
    this.#options.log.info({ bytes, freeBytes: left, calls, ...buys }, 'what the spool has room for');
  }

  /** By now everything has gone that is stored. */
  #changed(isFull: boolean): void {
    const { alerts, changed, config } = this.#options;
    changed(isFull);
    if (!isFull) return alerts.resolve('spool', 'the spool has room again; new calls are recorded');
    const { bytes, left } = this;
    alerts.raise('spool', {
      code: 'spool_full',
      message: 'the spool has used up its budget; new calls are relayed and not recorded',
      details: { bytes, freeBytes: left, maxBytes: config().spool.maxBytes },
    });
  }

  async #sweep(): Promise<void> {
    const { spoolDir, owns, log } = this.#options;
    const isKept = (folder: string) => this.#backlog.isLive(basename(folder)) || !owns(folder);
    const swept = await sweepSpool(spoolDir, isKept, this.#sinceMs);
    if (swept.length > 0)
      log.info({ files: swept.slice(0, 20), count: swept.length }, 'remains of a crash are gone');
  }
}
