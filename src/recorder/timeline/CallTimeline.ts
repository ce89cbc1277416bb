import type { TapRecord } from '../../tap/TapRecord.js';
import type { TimelineState } from './TimelineState.js';

/** From facts to positions, for one call of whichever kind. Positions are samples of the recording. */
export interface CallTimeline {
  readonly state: TimelineState;
  /** Nothing before this position will change; it moves with the records alone. */
  readonly final: number;
  /** Applies the next record of this call. */
  apply(record: TapRecord): void;
  /** Time has come to `arrivalMs` without a record of this call. */
  advance(arrivalMs: number): void;
  /**
   * Records of this call that arrived between these two times may be missing, because the journal was damaged.
   *
   * @param sinceMs - of the last record before
   * @param untilMs - of the first one behind
   */
  damaged(sinceMs: number, untilMs: number): void;
  /** Ends the recording. @returns its length */
  finish(): number;
  /** Position up to which a listener may already be given audio, final or not. */
  preview(): number;
  /** From where on the audio has changed since this was last asked; Infinity when it has not. */
  takeDirty(): number;
  /** Forgets the audio before `position`, which must be final. */
  trim(position: number): void;
}
