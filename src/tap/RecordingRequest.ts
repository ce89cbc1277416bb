import type { ErrorCode } from '../config/ReelayError.js';
import type { PauseMode } from './TapRecord.js';

/**
 * What is being kept of a call. `off`: nothing. `awaited`: nothing until somebody asks for it. `stopped`: its recording has ended and the
 * call goes on.
 */
export type RecordingSwitch = 'off' | 'awaited' | 'running' | 'paused' | 'stopped';

/** What can be done with the recording of a call that is up. */
export type RecordingDeed =
  { readonly deed: 'pause'; readonly mode: PauseMode } | { readonly deed: 'start' | 'resume' | 'stop' };

/** What somebody wants done, and with which one. */
export type RecordingRequest =
  | { readonly deed: 'start'; readonly accountId: string; readonly callId: string }
  | { readonly deed: 'pause'; readonly recordingId: string; readonly mode: PauseMode }
  | { readonly deed: 'resume' | 'stop'; readonly recordingId: string };

/** What has become of it. */
export type RecordingOutcome =
  | { readonly recordingId: string; readonly recording: RecordingSwitch }
  | { readonly code: ErrorCode; readonly value: string };
