import { basename } from 'node:path';
import type { Logger } from 'pino';
import { idsIn } from '../../spool/layout.js';
import type { Manifest } from '../../spool/Manifest.js';
import type { ConfirmedObject } from '../../storage/UploadObserver.js';
import { endingOf, type RecordingEvent } from './RecordingEvents.js';

export interface EventWatchOptions {
  readonly tell: (event: RecordingEvent) => void;
  /** Whether anybody wants to know of this account's recordings. */
  readonly isWanted: (accountId: string) => boolean;
  /** The manifest of a recording in the spool; null where it isn't there any more. */
  readonly read: (folder: string) => Promise<Manifest | null>;
  /** So long a recording may go without anything of it being stored, ms; that of its chunks is added. */
  readonly stalledMs: () => number;
  readonly log: Logger;
  /** ms. Default: `performance.now`. */
  readonly nowMs?: () => number;
}

interface Live {
  readonly folder: string;
  readonly chunkMs: number;
  /** When it began, or something of it was stored. */
  sinceMs: number;
  /** Chunks that are stored. */
  stored: number;
  isStalled: boolean;
}

/** How often it is looked for what has stalled, ms. */
const lookMs = 10_000;

/** Turns what recorder and uploader say into events for accounts. */
export class EventWatch {
  readonly #options: EventWatchOptions;
  readonly #live = new Map<string, Live>();
  #looking: NodeJS.Timeout | null = null;

  constructor(options: EventWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#looking ??= setInterval(() => this.look(), lookMs).unref();
  }

  stop(): void {
    if (this.#looking !== null) clearInterval(this.#looking);
    this.#looking = null;
  }

  /** A recording has begun, or lay in the spool when this thread did. Told again it is the same event. */
  started(folder: string, manifest: Manifest): void {
    if (manifest.state !== 'recording' || !this.#options.isWanted(manifest.accountId)) return;
    const live = {
      folder,
      chunkMs: manifest.chunkSeconds * 1000,
      sinceMs: this.#now(),
      stored: 0,
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
    if (live !== undefined) live.stored = Math.max(live.stored, Number(index) + 1);
    const [accountId = ''] = folder.split('/');
    if (!this.#options.isWanted(accountId)) return;
    void this.#read(folder, (manifest) =>
      this.#options.tell({ type: 'recording.chunk.stored', manifest, chunk: Number(index) }),
    );
  }

  /** It is in its store, whole. What was stored while nobody looked comes first. */
  finished(manifest: Manifest): void {
    this.#live.delete(manifest.recordingId);
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
      const { folder, stored } = live;
      void this.#read(folder, (manifest) =>
        this.#options.tell({ type: 'recording.stalled', manifest, chunk: stored }),
      );
    }
  }

  async #read(folder: string, then: (manifest: Manifest) => void): Promise<void> {
    try {
      const manifest = await this.#options.read(folder);
      if (manifest !== null) then(manifest);
    } catch (error) {
      const about = { err: error, ...idsIn(folder), folder };
      this.#options.log.debug(about, 'an event could not be told yet');
    }
  }

  #now(): number {
    return (this.#options.nowMs ?? (() => performance.now()))();
  }
}
