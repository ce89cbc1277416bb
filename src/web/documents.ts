import type { ThreadStates } from '../config/readiness.js';
import type { Manifest, RecordingState } from '../spool/Manifest.js';

/*
 * Answers of the API, as far as the page uses them. What the server keeps in a module of nothing but types is taken from there; the rest is
 * said here once more, since its modules can't be loaded by a browser.
 */
export type { Manifest, RecordingState };
export type { SystemDocument, StuckUpload } from '../control/monitoring/SystemDocument.js';
export type { ThreadStates };

export type KeyScope = 'read' | 'control' | 'delete';

/** `GET /v1/session`. */
export interface Session {
  readonly name: string;
  readonly isAdmin: boolean;
  readonly scopes: readonly KeyScope[];
}

/** Where the recorder is with a LiveKit room. */
export interface LiveRoom {
  readonly name: string;
  readonly presence: 'joining' | 'joined' | 'silent' | 'audible' | 'reconnecting';
  readonly lanes: readonly string[];
}

/** Of `GET /v1/calls`. */
export interface LiveCall {
  readonly recordingId: string | null;
  readonly recording: 'off' | 'awaited' | 'running' | 'paused' | 'stopped';
  readonly accountId: string;
  readonly provider: string;
  readonly callId: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  /** ISO 8601. */
  readonly startTime: string;
  readonly upstream: 'none' | 'connecting' | 'open' | 'lost';
  /** Of a LiveKit room. */
  readonly room?: LiveRoom;
  readonly samples: number;
  readonly seconds: number;
  /** Of the last half second, 0 to 32768, per channel. */
  readonly peaks: readonly number[];
}

/** Of `GET /v1/recordings`. */
export interface ListedRecording {
  readonly recordingId: string;
  readonly accountId: string;
  readonly provider: string;
  readonly callId: string;
  readonly state: RecordingState;
  readonly reason: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  readonly startTime: string;
  readonly durationSeconds: number;
  readonly completeness: readonly number[];
}

export interface RecordingPage {
  readonly recordings: readonly ListedRecording[];
  readonly next: string | null;
}

/** Of one resolution: per channel the lowest and the highest of each bin, one pair after the other, -128 to 127. */
export interface WaveformLevel {
  readonly samplesPerBin: number;
  readonly bins: number;
  readonly peaks: readonly ArrayLike<number>[];
}

/** `waveform.json`; the finest level first. */
export interface WaveformDocument {
  readonly state: RecordingState;
  readonly sampleRate: number;
  readonly samples: number;
  readonly channels: Manifest['channels'];
  readonly levels: readonly WaveformLevel[];
}

/** `GET …/hold`. */
export interface Hold {
  readonly since: string;
  readonly note: string | null;
}
