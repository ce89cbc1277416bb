import type { Outbox } from './Delivery.js';
import type { Manifest, ManifestChunk, RecordingState } from '../spool/Manifest.js';

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

/** A chunk as its sidecar and the manifest describe it. */
export type CatalogueChunk = Pick<ManifestChunk, 'index' | 'startSample' | 'samples' | 'bytes' | 'sha256'>;

/** What is known of a recording that was deleted. */
export interface CatalogueTombstone {
  readonly recordingId: string;
  readonly accountId: string;
  readonly callId: string;
  /** ISO 8601. */
  readonly startTime: string;
  readonly deletedTime: string;
  readonly cause: 'request' | 'retention';
  readonly by: string;
}

/** An entry, and those of its chunks that are new or may have changed. */
export interface CatalogueWrite {
  readonly entry: CatalogueEntry;
  readonly chunks?: readonly CatalogueChunk[] | undefined;
}

/** Accounts that may be seen: one, or all but some. */
export type Visibility = { readonly only: string } | { readonly except: readonly string[] };

export interface CatalogueQuery {
  /** Default: all accounts. */
  readonly visible?: Visibility | undefined;
  readonly account?: string | undefined;
  readonly callId?: string | undefined;
  readonly state?: RecordingState | undefined;
  /** Earliest start, ms since the Unix epoch. */
  readonly fromMs?: number | undefined;
  /** The start lies before it, ms since the Unix epoch. */
  readonly toMs?: number | undefined;
  /**
   * What the recording's id, the call's id or one of the numbers begins with, or what one of the numbers ends with. Case doesn't
   * count, and in numbers nothing but digits does.
   */
  readonly search?: string | undefined;
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
 * does so again.
 *
 * Every method of one that is a database throws ReelayError `catalogue_unavailable` when that can't be reached or doesn't answer in
 * time; then it has to be opened again.
 */
export interface Catalogue {
  /** Whether it remembers across starts which places have been read. */
  readonly isLasting: boolean;
  /** Whether other daemons write to it, too, whose recordings lie in spools that are not this one's. */
  readonly isShared: boolean;
  /** @throws ReelayError also `catalogue_locked` */
  open(): Promise<void>;
  /**
   * Adds entries or replaces those with the same recording ids. Of one recording given twice the later counts. What its account has
   * deleted isn't written again: whoever read its manifest before comes too late.
   *
   * @returns entries that it didn't take, because another account has a recording of that id: manifests lie where others may write
   * @throws ReelayError also `catalogue_refused`, when the database is well and doesn't take one of them; then none is written
   */
  write(writes: readonly CatalogueWrite[]): Promise<readonly CatalogueEntry[]>;
  /** What its recordings' accounts are told; kept with it, and away when it is. */
  readonly outbox: Outbox;
  /** Does nothing where there is no such recording. */
  remove(recordingId: string): Promise<void>;
  /**
   * Puts a tombstone into the place of a recording, whether or not it knew it.
   *
   * @returns false where another account has a recording of that id, which stays
   */
  bury(tombstone: CatalogueTombstone): Promise<boolean>;
  tombstone(recordingId: string): Promise<CatalogueTombstone | undefined>;
  get(recordingId: string): Promise<CatalogueEntry | undefined>;
  /** In order; null where chunks are not kept and only the manifest knows them. */
  chunks(recordingId: string): Promise<readonly CatalogueChunk[] | null>;
  /**
   * Newest start first. A recording that is added while somebody turns pages appears on no later page, and none appears twice.
   *
   * @throws ReelayError also `request_invalid` for a cursor that was not given out
   */
  list(query: CatalogueQuery): Promise<CataloguePage>;
  /** The first account behind this one, in some order that stays the same, which has recordings; undefined where there is none. */
  accountAfter(accountId: string): Promise<string | undefined>;
  /** Whether a place was read from beginning to end. @param place - a store and the part of it */
  wasRead(place: string): Promise<boolean>;
  markRead(place: string): Promise<void>;
  /** Makes what was written survive a loss of power. Nothing may be written meanwhile; reading may go on. */
  sync(): Promise<void>;
  /** Gives the database back; it may be opened again. Never throws. */
  close(): Promise<void>;
}

/** Whether recordings of an account may be seen. */
export function isVisible(visible: Visibility | undefined, accountId: string): boolean {
  if (visible === undefined) return true;
  return 'only' in visible ? visible.only === accountId : !visible.except.includes(accountId);
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
