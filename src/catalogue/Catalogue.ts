import type { Manifest, RecordingState } from '../spool/Manifest.js';

/** One line of the catalogue: what lists and look-ups need of a recording. The manifest has the rest. */
export interface CatalogueEntry {
  readonly recordingId: string;
  readonly accountId: string;
  readonly provider: string;
  readonly callId: string;
  readonly state: RecordingState;
  readonly reason: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  /** ISO 8601. */
  readonly startTime: string;
  readonly endTime: string | null;
  /** Hz. */
  readonly sampleRate: number;
  readonly channels: number;
  /** Per channel. */
  readonly samples: number;
  readonly durationSeconds: number;
  readonly completeness: readonly number[];
  /** Where the recording lies, below the spool and in the store alike. */
  readonly folder: string;
}

export interface CatalogueQuery {
  /** Accounts that may be seen; undefined: all. */
  readonly visible?: ((accountId: string) => boolean) | undefined;
  readonly account?: string | undefined;
  readonly callId?: string | undefined;
  readonly state?: RecordingState | undefined;
  /** Earliest start, ms since the Unix epoch. */
  readonly fromMs?: number | undefined;
  /** The start lies before it, ms since the Unix epoch. */
  readonly toMs?: number | undefined;
  /** 1 to 1000. */
  readonly limit: number;
  /** The `next` of an earlier answer. */
  readonly cursor?: string | undefined;
}

export interface CataloguePage {
  readonly entries: readonly CatalogueEntry[];
  /** Opaque; null on the last page. */
  readonly next: string | null;
}

/**
 * The index of recordings. It is derived from the manifests in spool and stores and may be lost at any time; whoever fills it
 * does so again. Methods return promises because the implementations for several daemons are databases.
 */
export interface Catalogue {
  /** Adds an entry or replaces the one with the same recording id. */
  upsert(entry: CatalogueEntry): Promise<void>;
  get(recordingId: string): Promise<CatalogueEntry | undefined>;
  /**
   * Newest start first. A recording that is added while somebody turns pages appears on no later page, and none appears twice.
   *
   * @throws ReelayError `request_invalid` for a cursor that was not given out
   */
  list(query: CatalogueQuery): Promise<CataloguePage>;
}

/**
 * One literal, so that all entries have the same shape for V8: what is put together with spreads gets a hidden class of its own, which
 * for an entry takes more memory than the entry.
 */
export function entryOf(manifest: Manifest, folder: string): CatalogueEntry {
  return {
    recordingId: manifest.recordingId,
    accountId: manifest.accountId,
    provider: manifest.provider,
    callId: manifest.callId,
    state: manifest.state,
    reason: manifest.reason,
    from: manifest.from,
    to: manifest.to,
    direction: manifest.direction,
    startTime: manifest.startTime,
    endTime: manifest.endTime,
    sampleRate: manifest.sampleRate,
    samples: manifest.samples,
    durationSeconds: manifest.durationSeconds,
    completeness: manifest.completeness,
    channels: manifest.channels.length,
    folder,
  };
}
