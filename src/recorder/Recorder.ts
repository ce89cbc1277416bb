import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { ReelayError } from '../config/ReelayError.js';
import type { Manifest } from '../spool/Manifest.js';
import { Quarantine, type SetAside } from '../spool/Quarantine.js';
import type { Announcement, RecordingProgress } from '../spool/SpoolEvent.js';
import type { TapRecord } from '../tap/TapRecord.js';
import { TapReader } from '../tap/TapReader.js';
import { DiskState } from './DiskState.js';
import type { Journal } from './Journal.js';
import { openJournal, recover } from './JournalReader.js';
import type { Recording } from './Recording.js';
import type { RecordingHome } from './RecordingHome.js';
import type { RecordingSet } from './RecordingSet.js';
import { WaitingRecords } from './WaitingRecords.js';

/**
 * Seals that wait for the disk at once. Each is a row of syncs, which a disk does together nearly as fast as one of them; and the other
 * half of the process's pool of file threads (16) is for everybody else.
 */
const sealsAtOnce = 8;
/** At the end a disk that refuses is asked again this often, and for this long altogether, ms. */
const drainAgainMs = 100;
const stopPatienceMs = 10_000;
/** A sync that takes longer is told of like one that fails, ms. */
const slowSyncMs = 5000;
/** How long audio that the journal has may wait until the timelines get it, ms: 25 frames of each party at once. */
const waitingMs = 500;

/** Records between two heartbeats, within a turn. */
const beatEvery = 4096;

export interface RecorderOptions {
  /** Where the tap writes: one ring for each thread that does. */
  readonly rings: readonly SharedArrayBuffer[];
  readonly spoolDir: string;
  readonly daemonDir: string;
  readonly flushMs: number;
  readonly syncMs: number;
  readonly log: Logger;
  readonly announce: (event: Announcement) => void;
  /** The disk refuses, or takes again what it is given. */
  readonly blocked?: (isBlocked: boolean) => void;
  /** Called at every turn of the loop. */
  readonly beat: () => void;
  /** False: a predecessor in this process has looked through the spool, and nothing is missing of its journal. Default: true. */
  readonly mends?: boolean;
  /** The spool was looked through. */
  readonly mended?: () => void;
}

/**
 * How often growing chunks are brought up to date: twice a second, or as seldom as leaves 10 ms for each call, but every 2 s. Two writes
 * for each call twice a second are a quarter of all that 500 calls cost.
 *
 * @param calls - that are being recorded
 * @returns ms
 */
export function progressEveryMs(calls: number): number {
  return Math.min(2000, Math.max(500, 10 * calls));
}

/**
 * The recorder's loop: rings → journal → (waiting, by call) → timelines → chunk files. It wakes by itself, twice per flush interval; nobody ever
 * wakes it per frame. Records leave the ring only after the journal has them, so whatever ends this thread, its successor
 * finds every record in one or the other.
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #log: Logger;
  readonly #tap: TapReader;
  readonly #home: Omit<RecordingHome, 'checkpointPath' | 'synced'>;
  #journal: Journal | null = null;
  #recordings: RecordingSet | null = null;
  /** What the recordings get, once there is one to give it to. */
  readonly #waiting = new WaitingRecords((record) => this.#apply(record));
  #applied = 0;
  #lastSequence = 0;
  #timer: NodeJS.Timeout | null = null;
  #lastSyncMs = 0;
  #lastFlushMs = 0;
  #lastProgressMs = 0;
  readonly #disk = new DiskState((error) => this.#tellDisk(error));
  /** When the oldest sync that is under way was asked for; null when there is none. */
  #syncingSinceMs: number | null = null;
  readonly #quarantine: Quarantine;
  /** Something was set aside. */
  #isDamaged = false;
  #recovering: Promise<void> = Promise.resolve();

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#tap = new TapReader(options.rings);
    const limit = pLimit(sealsAtOnce);
    this.#quarantine = new Quarantine(options.spoolDir, (item) => this.#setAside(item));
    this.#home = {
      spoolDir: options.spoolDir,
      quarantine: this.#quarantine,
      run: (job) => limit(job),
      started: (folder, manifest) => options.announce({ type: 'started', folder, manifest }),
      sealed: (folder, sidecar) => options.announce({ type: 'sealed', folder, sidecar }),
      ended: (folder, manifest) => this.#ended(folder, manifest),
      failed: (ids, error) =>
        this.#log.error({ err: error, ...ids, code: 'spool_unwritable' }, 'the spool refuses; trying again'),
    };
  }

  /** Reads the own journal, starts the loop, and recovers behind it what former daemons left. */
  start(): void {
    const opening = openJournal(this.#options.daemonDir, this.#home, this.#log);
    let step = opening.next();
    while (step.done !== true) {
      this.#options.beat();
      step = opening.next();
    }
    this.#journal = step.value.journal;
    this.#recordings = step.value.recordings;
    this.#lastSequence = step.value.lastSequence;
    this.#turn();
    void this.recover(this.#options.mends !== false || this.#isDamaged);
  }

  /**
   * Takes what is left in the ring, ends what is live as interrupted, and seals it. A disk that refuses gets some seconds; what
   * could not be written by then is lost with this process, and what the journal has is sealed by the next start.
   *
   * @returns whether everything is sealed
   */
  async stop(): Promise<boolean> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#recordings === null || this.#journal === null) return false;
    const beating = setInterval(this.#options.beat, 200);
    const late = new AbortController();
    const patience = sleep(stopPatienceMs, false, { signal: late.signal }).catch(() => false);
    const sealed = await Promise.race([this.#finish(this.#journal, this.#recordings, late.signal), patience]);
    late.abort();
    clearInterval(beating);
    if (!sealed)
      this.#log.error({ code: 'spool_unwritable' }, 'not everything is sealed; the next start goes on');
    else this.#journal.close();
    return sealed;
  }

  async #finish(journal: Journal, recordings: RecordingSet, given: AbortSignal): Promise<boolean> {
    for (;;) {
      this.#drain(journal);
      if (this.#tap.isEmpty) break;
      if (given.aborted) return false;
      await sleep(drainAgainMs);
    }
    this.#waiting.flush();
    recordings.finish('process_ended');
    await recordings.settled();
    return true;
  }

  #turn(): void {
    this.#options.beat();
    if (this.#journal !== null && this.#recordings !== null) this.#work(this.#journal, this.#recordings);
    this.#timer = setTimeout(() => this.#turn(), this.#options.flushMs / 2);
  }

  #work(journal: Journal, recordings: RecordingSet): void {
    this.#drain(journal);
    const now = performance.now();
    // Half the interval: what arrives just after a sync waits for the whole of the next one.
    if (now - this.#lastSyncMs >= this.#options.syncMs / 2) {
      this.#lastSyncMs = now;
      this.#sync(journal, now);
    }
    this.#disk.look(now);
    if (now - this.#lastFlushMs >= waitingMs) {
      this.#lastFlushMs = now;
      this.#waiting.flush();
    }
    if (now - this.#lastProgressMs >= progressEveryMs(recordings.liveCount)) {
      this.#lastProgressMs = now;
      this.#waiting.flush();
      this.#progress(recordings.live);
      this.#release(journal, recordings);
    }
  }

  /** Gives the disk back what nobody needs, off this thread. One that refuses even that is asked again. */
  #release(journal: Journal, recordings: RecordingSet): void {
    journal
      .release(recordings.neededAfter(this.#lastSequence) + 1)
      .then(() => recordings.forget(journal.firstSequence))
      .catch((error: unknown) => this.#refused(error));
  }

  /** Everything that waits in the ring goes into the journal, then to the timelines by and by; only then does the ring get it back. */
  #drain(journal: Journal): void {
    // A predecessor may have ended between journal and ring: what it wrote down already is passed over.
    const { pieces, first, last } = this.#tap.peek(this.#lastSequence);
    if (pieces.length > 0) {
      try {
        journal.append(pieces, first, last);
      } catch (error) {
        this.#refused(error);
        return;
      }
      for (const records of pieces) this.#waiting.add(records);
      this.#lastSequence = last;
    }
    this.#tap.release();
  }

  /** A ring that has filled up holds more than can be applied between two heartbeats, where others want the processor too. */
  #apply(record: TapRecord): void {
    this.#recordings?.applyOne(record);
    if (++this.#applied % beatEvery === 0) this.#options.beat();
  }

  #progress(live: readonly Recording[]): void {
    const recordings: RecordingProgress[] = [];
    for (const recording of live) {
      this.#options.beat();
      try {
        const peaks = recording.progress();
        const { recordingId, folder, samples } = recording;
        recordings.push({ recordingId, folder, samples, peaks });
      } catch (error) {
        this.#refused(error);
      }
    }
    if (recordings.length > 0) this.#options.announce({ type: 'progress', recordings });
  }

  /**
   * Renders and seals what lies below `adopted/`, one recovery after the other. Never rejects.
   *
   * @param mends - looks through the rest of the spool, too
   */
  recover(mends = true): Promise<void> {
    const run = async (): Promise<void> => {
      const recovery = recover(this.#options.daemonDir, this.#home, this.#log);
      let step = await recovery.next();
      for (; step.done !== true; step = await recovery.next()) await this.#breathe();
      // What waits for the next start may be what the rest belongs to.
      if (!step.value || !mends) return;
      const mending = await this.#mending();
      while ((await mending.next()).done !== true) await this.#breathe();
      this.#options.mended?.();
    };
    this.#recovering = this.#recovering
      .then(run)
      .catch((error: unknown) =>
        this.#log.error({ err: error }, 'recovery stopped; what is left waits for the next start'),
      );
    return this.#recovering;
  }

  /** Loaded when it is needed: what reads documents takes longer to load than all the rest, and audio waits in memory meanwhile. */
  async #mending(): Promise<AsyncGenerator<void, void, void>> {
    const { mendSpool } = await import('./mendSpool.js');
    const { spoolDir, daemonDir, announce } = this.#options;
    const has = (recordingId: string) => this.#recordings?.has(recordingId) !== false;
    return mendSpool({ spoolDir, daemonDir, quarantine: this.#quarantine, has, announce, log: this.#log });
  }

  #ended(folder: string, manifest: Manifest): void {
    const { recordingId, callId, accountId, provider, state, reason, durationSeconds, gaps } = manifest;
    const about = { recordingId, callId, accountId, provider, state, reason, durationSeconds };
    this.#log.info({ ...about, gaps: gaps.length }, 'recording sealed');
    this.#options.announce({ type: 'ended', folder, manifest });
  }

  async #breathe(): Promise<void> {
    this.#options.beat();
    await new Promise((resolve) => setImmediate(resolve));
  }

  #setAside(item: SetAside): void {
    this.#isDamaged = true;
    const { code, message } = new ReelayError('spool_unreadable', { value: item.path });
    this.#log.error({ ...item, code }, message);
    this.#options.announce({ type: 'setAside', item });
  }

  /** Off this thread. A disk that hangs answers neither well nor badly, and is told of all the same. */
  #sync(journal: Journal, nowMs: number): void {
    const sinceMs = (this.#syncingSinceMs ??= nowMs);
    if (nowMs - sinceMs > slowSyncMs) this.#refused(new Error(`a sync has taken ${slowSyncMs} ms`));
    journal
      .sync()
      .catch((error: unknown) => this.#refused(error))
      .finally(() => (this.#syncingSinceMs = null));
  }

  #refused(error: unknown): void {
    this.#disk.refused(error, performance.now());
  }

  #tellDisk(error: unknown): void {
    this.#options.blocked?.(error !== null);
    if (error === null) {
      this.#log.info('the spool accepts audio again');
      return;
    }
    const told = new ReelayError('spool_unwritable', {
      cause: error,
      value: error instanceof Error ? error.message : undefined,
      remedy: 'Make room or mend the disk; audio waits in memory as long as the ring lasts.',
    });
    this.#log.error({ err: told, code: told.code }, told.message);
  }
}
