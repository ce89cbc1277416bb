import type { ErrorCode, ReelayError } from '../config/ReelayError.js';
import type { Manifest } from '../spool/Manifest.js';
import type { Blame } from './StoreFault.js';
import type { UploadStep } from './UploadStep.js';

/** Something that the store has confirmed. */
export interface ConfirmedObject {
  readonly folder: string;
  /** What it is: `part` is a piece of an `audio.wav` that is not complete yet. */
  readonly kind: 'chunk' | 'lane' | 'sidecar' | 'part' | 'audio' | 'portal' | 'signature' | 'manifest';
  /** Below the recording's folder; of a portal's object the whole key. */
  readonly name: string;
  /** Bytes that were sent for it just now: 0 for an `audio.wav` whose parts were counted one by one. */
  readonly bytes: number;
  /** Of a chunk: when it was sealed, ms since the Unix epoch; null otherwise. */
  readonly sealedMs: number | null;
}

export interface FailedAttempt {
  readonly folder: string;
  /** Below the recording's folder: what was being stored; null where it wasn't one object. */
  readonly name: string | null;
  readonly error: Error;
  readonly delayMs: number;
  readonly blame: Blame;
  /** Null for an error that is not of the catalogue. */
  readonly code: ErrorCode | null;
}

/** Told what happens; must not throw, unless it is a test that plays a crash. */
export interface UploadObserver {
  stored(object: ConfirmedObject): void;
  /** An attempt failed and is made again after `delayMs`. */
  retrying(attempt: FailedAttempt): void;
  /** A recording can't go on by itself; it is looked at again after a minute. */
  stuck(trouble: { readonly folder: string; readonly error: Error }): void;
  /** The final manifest is in the store. The spool's folder goes when this resolves. */
  finished(folder: string, manifest: Manifest): Promise<void>;
  /** Nothing of this account is tried any more until it is un-parked; told once per parking. */
  parked(account: { readonly accountId: string; readonly code: ErrorCode; readonly error: Error }): void;
  /** Its store works again, or the configuration was read anew. */
  unparked(account: { readonly accountId: string }): void;
  /** This recording alone can't go on, because its account's store changed or is gone; told once per recording and reason. */
  held(trouble: { readonly folder: string; readonly error: ReelayError }): void;
  /** It goes on. */
  released(recording: { readonly folder: string }): void;
  /** For tests that end the process at a certain moment. */
  step?(name: UploadStep): void;
}
