import { basename } from 'node:path';
import type { Logger } from 'pino';
import { idsIn } from '../../spool/layout.js';
import type { Manifest } from '../../spool/Manifest.js';
import type { Clock } from '../../storage/Clock.js';
import type { ConfirmedObject } from '../../storage/UploadObserver.js';
import { endingOf, type RecordingEvent } from './RecordingEvents.js';

export interface EventWatchOptions {
  readonly tell: (event: RecordingEvent) => void;
  /** Whether anybody wants to know of this account's recordings. */
  readonly isWanted: (accountId: string) => boolean;
  /** A recording in the spool; null where it isn't there any more. */
  readonly read: (folder: string) => Promise<Uploading | null>;
  /** So long a recording may go without anything of it being stored, ms; that of its chunks is added. */
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

interface Live {
  readonly folder: string;
  readonly chunkMs: number;
  /** When it began, or something of it was stored. */
  sinceMs: number;
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

/** Turns what recorder and uploader say into events for accounts. */
export class EventWatch {
  readonly #options: EventWatchOptions;
  readonly #live = new Map<string, Live>();
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

  /** A recording has begun, or lay in the spool when this thread did. Told again it is the same event. */
  started(folder: string, manifest: Manifest): void {
    if (manifest.state !== 'recording' || !this.#options.isWanted(manifest.accountId)) return;
    const live = {
      folder,
      chunkMs: manifest.chunkSeconds * 1000,
      sinceMs: this.#now(),
      isStalled: false,
    };
    if (!this.#live.has(manifest.recordingId)) this.#live.set(manifest.recordingId, live);
    this.#options.tell({ type: 'recording.started', manifest });
  }

  /** Its call is over; what isn't stored yet is the backlog's matter. */
  ended({ recordingId }: Manifest): void {
    this.#live.delete(recordingId);
  }

  stored({ folder, kind, name }: ConfirmedObject): void {
    const live = this.#live.get(basename(folder));
    if (live !== undefined) {
      live.sinceMs = this.#now();
      live.isStalled = false;
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

  /** It is in its store, whole. What was stored while nobody looked comes first. */
  finished(manifest: Manifest): void {
    this.#live.delete(manifest.recordingId);
    this.#lines.delete(manifest.recordingId);
    if (!this.#options.isWanted(manifest.accountId)) return;
    const { layout = 'chunks', chunks, state } = manifest;
    const isInChunks = (layout === 'chunks' || layout === 'both') && state !== 'failed';
    if (isInChunks)
      for (const { index } of chunks)
        this.#options.tell({ type: 'recording.chunk.stored', manifest, chunk: index });
    this.#options.tell({ type: endingOf(manifest), manifest });
  }

  /** Nothing of it is kept. */
  failed(manifest: Manifest): void {
    if (this.#options.isWanted(manifest.accountId))
      this.#options.tell({ type: 'recording.failed', manifest });
  }

  /** Tells of recordings of which nothing was stored for too long, each once until something is. */
  look(): void {
    for (const live of this.#live.values()) {
      if (live.isStalled || this.#now() - live.sinceMs < this.#options.stalledMs() + live.chunkMs) continue;
      live.isStalled = true;
      void this.#read(live.folder, (manifest, chunk) =>
        this.#options.tell({ type: 'recording.stalled', manifest, chunk }),
      );
    }
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
   */
  async #read(folder: string, then: (manifest: Manifest, missing: number) => void): Promise<void> {
    try {
      const found = await this.#options.read(folder);
      if (found === null) return;
      const line = this.#lineOf(folder);
      for (const index of found.stored) if (index >= line.told) line.stored.add(index);
      for (; line.stored.delete(line.told); line.told++)
        this.#options.tell({ type: 'recording.chunk.stored', manifest: found.manifest, chunk: line.told });
      then(found.manifest, line.told);
    } catch (error) {
      const about = { err: error, ...idsIn(folder), folder };
      this.#options.log.debug(about, 'an event could not be told yet');
    }
  }

  #now(): number {
    return this.#options.clock.now();
  }
}
