import type { AccountConfig } from '../config/Config.js';
import type { ErrorCode } from '../config/ReelayError.js';
import type { RecordingSwitch } from './RecordingRequest.js';

/** A LiveKit room that shall be recorded, unless it is already. */
export interface RoomRequest {
  /** With its `livekit`. */
  readonly account: AccountConfig;
  readonly name: string;
  readonly sid: string;
  /** Somebody has asked for this room; else it is one of those that the account has recorded anyway. */
  readonly isAsked: boolean;
}

/** What has become of it. */
export type RoomOutcome =
  | {
      readonly recordingId: string;
      readonly callId: string;
      readonly recording: RecordingSwitch;
      /** False: it was being recorded already. */
      readonly isNew: boolean;
    }
  | { readonly code: ErrorCode; readonly value: string };
