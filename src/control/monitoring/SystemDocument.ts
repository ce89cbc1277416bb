import type { ErrorCode } from '../../config/ReelayError.js';
import type { ThreadStates } from '../../config/readiness.js';

/** `GET /v1/system`: how the daemon is, for people. What is to be recorded over time is at `/metrics`. Times are ISO 8601. */
export interface SystemDocument {
  readonly version: string;
  /** Of the process. */
  readonly startTime: string;
  readonly threads: ThreadStates;
  /** What has to be mended by somebody, the latest last. */
  readonly alerts: readonly AlertDocument[];
  readonly calls: {
    readonly live: number;
    readonly sinceStart: number;
    readonly streams: number;
    /** Records that found no room between relay and recorder; each is in a named gap. */
    readonly droppedRecords: number;
    /** 0: calls are taken and recorded, 1: new ones are not recorded, 2: new ones are refused. */
    readonly overloadLevel: number;
  };
  readonly latency: LatencyDocument;
  readonly spool: {
    readonly bytes: number;
    /** What may still come until new calls are not recorded. */
    readonly freeBytes: number;
    /** How long that lasts for the calls that are up, if no store takes anything; null without calls. */
    readonly secondsLeft: number | null;
    readonly unstoredRecordings: number;
    /** Age of the oldest sealed chunk that isn't stored; null where none waits. */
    readonly oldestUnstoredSeconds: number | null;
  };
  readonly catalogue: { readonly isUp: boolean; readonly waitingEntries: number };
  readonly uploads: {
    /** Since the control thread began. */
    readonly storedChunks: number;
    readonly storedBytes: number;
    readonly retries: number;
    /** The longest first; at most 200. */
    readonly stuck: readonly StuckUpload[];
    /** All there are. */
    readonly stuckCount: number;
  };
  readonly process: { readonly residentBytes: number; readonly cpuSeconds: number };
}

export interface AlertDocument {
  /** What is in trouble, for example an account. */
  readonly about: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly since: string;
}

/** Of the time since `since`: some ten seconds, or back to the last time that anybody asked. Quantiles are in ms, 0 where nothing was measured. */
export interface LatencyDocument {
  readonly since: string;
  /** A frame's time from its being read to its being handed to the other socket. */
  readonly relay: readonly {
    readonly direction: 'to_bot' | 'to_provider';
    readonly p50Ms: number;
    readonly p99Ms: number;
  }[];
  /** How late a thread comes to what arrives. */
  readonly loops: readonly {
    readonly thread: 'media' | 'recorder' | 'control' | 'frames';
    readonly p99Ms: number;
  }[];
}

/** What can't be stored at the moment, and why. */
export interface StuckUpload {
  readonly accountId: string;
  /** Null: it is about all recordings of the account. */
  readonly recordingId: string | null;
  readonly callId: string | null;
  readonly code: ErrorCode;
  /** For people, with what to do about it. */
  readonly message: string;
  /** When it last worked, or was tried first. */
  readonly since: string;
  /** Failed attempts since then. */
  readonly tries: number;
  /** Null where somebody has to do something first. */
  readonly nextTry: string | null;
}
