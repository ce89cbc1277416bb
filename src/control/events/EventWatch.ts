import { basename } from 'node:path';
import type { Logger } from 'pino';
import { idsIn } from '../../spool/layout.js';
import type { Manifest } from '../../spool/Manifest.js';
import type { Clock } from '../../storage/Clock.js';
import { minPartBytes } from '../../storage/partSize.js';
import type { ConfirmedObject } from '../../storage/UploadObserver.js';
import { endingOf, type RecordingEvent } from './RecordingEvents.js';

export interface EventWatchOptions {
  /** Resolves when the event is kept; never rejects. */
  readonly tell: (event: RecordingEvent) => Promise<void>;
  /** Whether anybody wants to know of this account's recordings. */
  readonly isWanted: (accountId: string) => boolean;
  /** A recording in the spool; null where it isn't there any more. */
  readonly read: (folder: string) => Promise<Uploading | null>;
  /** So long a recording may go without anything of it being stored, though there is something to be stored; ms. */
  readonly stalledMs: () => number;
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  readonly log: Logger;
}

/** A recording on its way to the store. */
export interface Uploading {
  readonly manifest: Manifest;
  /** Indexes of the chunks that the store is noted to have confirmed. */
  readonly stored: readonly number[];
}

/** A recording that is not whole in its store. */
interface Unstored {
  readonly folder: string;
  /** When it began or ended, or something of it was stored. */
  sinceMs: number;
  /** So long there may be nothing to be stored; ms. */
  readonly idleMs: number;
  /** Its call is over: that it has stalled is told once, and not again when some of it was stored. */
  readonly isOver: boolean;
  isStalled: boolean;
}

/** The chunks of a recording, which are stored several at once and told of one after the other. */
interface Line {
  /** Those that were told of: all before this one. */
  told: number;
  /** Those that are stored, from there on. */
  readonly stored: Set<number>;
}

/** How often it is looked for what has stalled, ms. */
const lookMs = 10_000;
/** Recordings that are watched; beyond, the one that was met first isn't any more. */
const mostWatched = 10_000;
/** Events that are told at once of a recording of which a predecessor may have told, or not. */
const toldAtOnce = 32;
/** Of what was over for longer when this thread began whoever was here before has told, ms. */
const recentMs = 3_600_000;

/** Turns what recorder and uploader say into events for accounts. */
export class EventWatch {
  readonly #options: EventWatchOptions;
  readonly #unstored = new Map<string, Unstored>();
  /** Of recordings of which something was stored and not all. */
  readonly #lines = new Map<string, Line>();
  #looking: AbortController | null = null;

  constructor(options: EventWatchOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#looking !== null) return;
    this.#looking = new AbortController();
    void this.#lookAgain(this.#looking.signal);
  }

  stop(): void {
    this.#looking?.abort();
    this.#looking = null;
  }

  /** A recording has begun. Told again it is the same event. */
  started(folder: string, manifest: Manifest): void {
    if (manifest.state !== 'recording' || !this.#options.isWanted(manifest.accountId)) return;
    if (!this.#unstored.has(manifest.recordingId))
      this.#watch(manifest, { folder, idleMs: idleMsOf(manifest), isOver: false });
    void this.#options.tell({ type: 'recording.started', manifest });
  }

  /** It lay in the spool when this thread began. Nobody knows whether whoever was here before came to tell of what happened last. */
  found(folder: string, manifest: Manifest): void {
    const { state, endTime, accountId } = manifest;
    if (endTime === null || state === 'recording') return this.started(folder, manifest);
    const isRecent = Date.now() - Date.parse(endTime) < recentMs;
    if (state !== 'failed') this.ended(folder, manifest);
    if (!isRecent || !this.#options.isWanted(accountId)) return;
    void this.#options.tell({
      type: state === 'failed' ? 'recording.failed' : 'recording.started',
      manifest,
    });
  }

  /** Its call is over, and all of it can be stored. */
  ended(folder: string, manifest: Manifest): void {
    const { recordingId, accountId, state } = manifest;
    const isStalled = this.#unstored.get(recordingId)?.isStalled ?? false;
    this.#unstored.delete(recordingId);
    if (state === 'failed' || !this.#options.isWanted(accountId)) return;
    this.#watch(manifest, { folder, idleMs: 0, isOver: true, isStalled });
  }

  stored({ folder, kind, name }: ConfirmedObject): void {
    const unstored = this.#unstored.get(basename(folder));
    if (unstored !== undefined) {
      unstored.sinceMs = this.#now();
      unstored.isStalled &&= unstored.isOver;
    }
    const [, index] = /^(\d+)-audio\.wav$/.exec(name) ?? [];
    if (kind !== 'chunk' || index === undefined) return;
    const [accountId = ''] = folder.split('/');
    if (!this.#options.isWanted(accountId)) return;
    const line = this.#lineOf(folder);
    this.#lines.set(basename(folder), line);
    line.stored.add(Number(index));
    void this.#read(folder, () => undefined);
  }

  /** It is in its store, whole. What was stored while nobody looked comes first. Resolves when what is told of it is kept. */
  async finished(manifest: Manifest): Promise<void> {
    const { recordingId, accountId, layout = 'chunks', chunks, state } = manifest;
    const { told = 0 } = this.#lines.get(recordingId) ?? {};
    this.#unstored.delete(recordingId);
    this.#lines.delete(recordingId);
    if (!this.#options.isWanted(accountId)) return;
    const isInChunks = (layout === 'chunks' || layout === 'both') && state !== 'failed';
    const untold = isInChunks ? chunks.filter(({ index }) => index >= told) : [];
    const { tell } = this.#options;
    while (untold.length > 0) {
      const some = untold.splice(0, toldAtOnce);
      await Promise.all(
        some.map(({ index }) => tell({ type: 'recording.chunk.stored', manifest, chunk: index })),
      );
    }
    await tell({ type: endingOf(manifest), manifest });
  }

  /** Nothing of it is kept. */
  failed(manifest: Manifest): void {
    if (this.#options.isWanted(manifest.accountId))
      void this.#options.tell({ type: 'recording.failed', manifest });
  }

  /** Tells of recordings of which nothing was stored for too long, each once until something is. */
  look(): void {
    for (const unstored of this.#unstored.values()) {
      const mostMs = this.#options.stalledMs() + unstored.idleMs;
      if (unstored.isStalled || this.#now() - unstored.sinceMs < mostMs) continue;
      unstored.isStalled = true;
      void this.#tellStalled(unstored);
    }
  }

  async #tellStalled(unstored: Unstored): Promise<void> {
    const recordingId = basename(unstored.folder);
    const isRead = await this.#read(unstored.folder, (manifest, chunk) => {
      // It may have ended, or been finished, meanwhile.
      if (this.#unstored.get(recordingId) === unstored)
        void this.#options.tell({ type: 'recording.stalled', manifest, chunk });
    });
    // Else at the next look.
    if (!isRead) unstored.isStalled = false;
  }

  #watch(
    { recordingId }: Manifest,
    what: Pick<Unstored, 'folder' | 'idleMs' | 'isOver'> & Partial<Unstored>,
  ): void {
    this.#unstored.set(recordingId, { sinceMs: this.#now(), isStalled: false, ...what });
    const [oldest] = this.#unstored.keys();
    if (this.#unstored.size > mostWatched && oldest !== undefined) this.#unstored.delete(oldest);
  }

  async #lookAgain(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#options.clock.sleep(lookMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      this.look();
    }
  }

  #lineOf(folder: string): Line {
    return this.#lines.get(basename(folder)) ?? { told: 0, stored: new Set() };
  }

  /**
   * Tells of the chunks that are stored, up to the first that isn't: the ones behind it wait for it, or for the end.
   *
   * @param then - told the index of that one
   * @returns false where the folder can't be read for now
   */
  async #read(folder: string, then: (manifest: Manifest, missing: number) => void): Promise<boolean> {
    try {
      const found = await this.#options.read(folder);
      if (found === null) {
        this.#unstored.delete(basename(folder));
        return true;
      }
      const line = this.#lineOf(folder);
      for (const index of found.stored) if (index >= line.told) line.stored.add(index);
      for (; line.stored.delete(line.told); line.told++)
        void this.#options.tell({
          type: 'recording.chunk.stored',
          manifest: found.manifest,
          chunk: line.told,
        });
      then(found.manifest, line.told);
      return true;
    } catch (error) {
      const about = { err: error, ...idsIn(folder), folder };
      this.#options.log.debug(about, 'an event could not be told yet');
      return false;
    }
  }

  #now(): number {
    return this.#options.clock.now();
  }
}

/** For how long nothing of a recording can be stored while its call is up, because there is nothing whole; ms. */
function idleMsOf({ layout = 'chunks', chunkSeconds, sampleRate, channels }: Manifest): number {
  if (layout === 'jambonz') return Infinity;
  const chunkMs = chunkSeconds * 1000;
  if (layout !== 'single') return chunkMs;
  // The second part goes first, when it is full.
  return chunkMs + (2 * minPartBytes * 1000) / (sampleRate * channels.length * 2);
}
