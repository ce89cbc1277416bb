import type { MessagePort } from 'node:worker_threads';
import type { AccountConfig, Config } from '../config/Config.js';
import type { ThreadStates, WorkerName } from '../config/readiness.js';
import type { RecordingOutcome, RecordingRequest, RecordingSwitch } from '../tap/RecordingRequest.js';
import type { RoomOutcome, RoomRequest } from '../tap/RoomRequest.js';

export type { ThreadStates };

/** What the command line gives on top of the configuration file; undefined where a flag was not given. */
export interface ServeFlags {
  readonly config?: string;
  readonly upstream?: string;
  readonly store?: string;
  readonly mediaPort?: number;
  readonly controlPort?: number;
  /** A daemon that runs on the same spool is asked to end its calls and to give its ports back. */
  readonly takeOver?: boolean;
}

/** `workerData` of the control thread. */
export interface ControlData {
  readonly flags: ServeFlags;
  /** Set for a successor: the configuration that is in force; a restart of the thread is not a reload. */
  readonly config: Config | null;
  /** Set for a successor: the port that its predecessor listened on, which matters where the configured one is 0. */
  readonly listenPort?: number;
  readonly counters: SharedArrayBuffer;
  /** Int32 cell 0: raised by the thread every 200 ms while its event loop turns. */
  readonly heartbeat: SharedArrayBuffer;
  /** Announcements of the recorder ({@link SpoolEvent}). */
  readonly recorderPort: MessagePort;
  /** Whether `begin` need not be waited for: a successor's main holds the lock already. */
  readonly begun: boolean;
  /** False: the control port is another daemon's. Default true. */
  readonly listens?: boolean;
  /** Int32 cell 0: 1 while everything in the spool is this daemon's; default: it is. */
  readonly alone?: SharedArrayBuffer;
  /** For a successor: recordings in the spool that are this daemon's when not everything is. */
  readonly own?: readonly string[];
  /** Signs start tokens of accounts that have no auth token; 32 random bytes of this process. */
  readonly tokenKey: Uint8Array;
  /** Signs links and cookies where no `control.linkSecret` is configured; 32 random bytes of this process. */
  readonly linkKey: Uint8Array;
  /** Which implementation of the audio kernels the media process runs. */
  readonly kernels: 'native' | 'typescript';
}

/** A live call as `GET /v1/calls` lists it. */
export interface LiveCall {
  readonly recordingId: string | null;
  readonly recording: RecordingSwitch;
  readonly accountId: string;
  readonly provider: string;
  readonly callId: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  /** ISO 8601. */
  readonly startTime: string;
  readonly streams: readonly string[];
  readonly upstream: 'none' | 'connecting' | 'open' | 'lost';
  /** Of a LiveKit room. */
  readonly room?: LiveRoom;
}

/** Where the recorder is with a LiveKit room. */
export interface LiveRoom {
  readonly name: string;
  readonly sid: string;
  /** `silent`: it is in the room, and nobody has published anything yet. */
  readonly presence: 'joining' | 'joined' | 'silent' | 'audible' | 'reconnecting';
  /** Names of the lanes that are there now. */
  readonly lanes: readonly string[];
}

/** What has become of some calls. */
export interface CallsNotice {
  /** What was told before is void. */
  readonly isWhole: boolean;
  /** Null: the call is over. */
  readonly changes: readonly { readonly id: number; readonly call: LiveCall | null }[];
}

/** A plain HTTP request of the media port, answered by control. */
export interface PlainRequest {
  readonly method: string;
  /** Path and query as received. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
  readonly remoteAddress: string;
}

export interface PlainResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type ToControl =
  /**
   * Main holds the spool's lock: from now on control may look into the spool and store what is its own there, and listen, if it
   * `listens` already; answered with `begun`.
   */
  | { readonly type: 'begin'; readonly listens: boolean }
  /** The control port should be free. */
  | { readonly type: 'listen' }
  /** The last other daemon is gone and what it left is recovered: everything in the spool is this daemon's. */
  | { readonly type: 'alone' }
  /** Another daemon takes the control port; answered with `handedOver`. Nothing new in the spool is this daemon's, unless announced. */
  | { readonly type: 'handOver' }
  | { readonly type: 'reload' }
  | { readonly type: 'http'; readonly id: number; readonly request: PlainRequest }
  /** Which calls are up: at first the whole list, in several messages, then what changes, about four times a second. */
  | ({ readonly type: 'calls' } & CallsNotice)
  | {
      readonly type: 'threads';
      readonly states: ThreadStates;
      /** Lost again and again, or not coming back. */
      readonly inTrouble?: readonly WorkerName[];
    }
  /** A new recorder took the place of the old one. */
  | { readonly type: 'recorder'; readonly port: MessagePort }
  /** A call names an account that the configuration doesn't list; answered with `account`. */
  | { readonly type: 'lookup'; readonly id: number; readonly accountId: string }
  /** Answer to `record`. */
  | { readonly type: 'recorded'; readonly id: number; readonly outcome: RecordingOutcome }
  /** Answer to `room`. */
  | { readonly type: 'roomed'; readonly id: number; readonly outcome: RoomOutcome }
  /** What main has logged about recordings. */
  | { readonly type: 'lines'; readonly lines: readonly string[] }
  /** Finish what can be finished within this time, ms, and post `stopped`. Sent again when there is less patience. */
  | { readonly type: 'stop'; readonly patienceMs: number };

export type FaultKind = 'throw' | 'hang' | 'exit' | 'heap';

export type FromControl =
  /** The configuration, at start and after each successful reload. */
  | { readonly type: 'config'; readonly config: Config }
  /** The configuration is unusable; `message` is for people. At start this ends the daemon. */
  | { readonly type: 'configError'; readonly message: string }
  /** Listening on the control port. */
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'httpAnswer'; readonly id: number; readonly response: PlainResponse }
  /** Answer to `lookup`. */
  | {
      readonly type: 'account';
      readonly id: number;
      /** Null: there is none. `unavailable`: nobody could be asked. */
      readonly account: AccountConfig | 'unavailable' | null;
    }
  /** Whether the spool's budget is used up: from now on new calls are relayed and not recorded, or recorded again. */
  | { readonly type: 'spool'; readonly full: boolean }
  /** The recording of a call that is up shall be started, paused, resumed or stopped; answered with `recorded`. */
  | { readonly type: 'record'; readonly id: number; readonly request: RecordingRequest }
  /** A LiveKit room is to be recorded; answered with `roomed`. */
  | { readonly type: 'room'; readonly id: number; readonly request: RoomRequest }
  /** `POST /v1/faults` for another thread; control applies its own itself. */
  | { readonly type: 'fault'; readonly thread: 'recorder' | 'rooms'; readonly fault: FaultKind }
  /** Answer to `begin`: what lies in the spool is known. */
  | { readonly type: 'begun' }
  /** Answer to `handOver`: the control port is free, and these are the recordings in the spool that are known. */
  | { readonly type: 'handedOver'; readonly own: readonly string[] }
  /** Answer to `stop`: recordings that are not yet in their store. */
  | { readonly type: 'stopped'; readonly unstored: number };
