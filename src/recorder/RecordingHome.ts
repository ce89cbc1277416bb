import type { Manifest, Sidecar } from '../spool/Manifest.js';
import type { Quarantine } from '../spool/Quarantine.js';
import type { CallFacts } from '../tap/TapRecord.js';

/** Whose a recording is: what every log line about it carries. */
export type RecordingIds = Pick<CallFacts, 'recordingId' | 'callId' | 'accountId' | 'provider'>;

/** Where a recording puts its files, and whom it tells. */
export interface RecordingHome {
  readonly spoolDir: string;
  readonly checkpointPath: (recordingId: string) => string;
  /** Runs jobs that wait for the disk, a bounded number at once. */
  readonly run: <T>(job: () => Promise<T>) => Promise<T>;
  /** Puts the journal onto the disk: what is sealed must never be ahead of what it was rendered from. */
  readonly synced: () => Promise<void>;
  /** Whether a record survives a loss of power; default: each does. */
  readonly isSynced?: (sequence: number) => boolean;
  readonly sealed: (folder: string, sidecar: Sidecar) => void;
  readonly started: (folder: string, manifest: Manifest) => void;
  readonly ended: (folder: string, manifest: Manifest) => void;
  /** A job on the disk failed; it will be tried again. */
  readonly failed: (ids: RecordingIds, error: unknown) => void;
  /** Where what is in a recording's way is set aside. */
  readonly quarantine?: Quarantine;
  /** The journal is damaged: a growing chunk of a former life may hold what it doesn't give any more. */
  readonly isDamaged?: boolean;
}
