import type { MessagePort } from 'node:worker_threads';
import type { Config } from '../config/Config.js';

/** `workerData` of the recorder thread. */
export interface RecorderData {
  /** Where the tap writes: one ring for each thread that does. */
  readonly rings: readonly SharedArrayBuffer[];
  /** Of the whole process; the recorder writes the cells that are its own. */
  readonly counters: SharedArrayBuffer;
  /** Int32 cell 0: raised by the thread at every turn of its loop. */
  readonly heartbeat: SharedArrayBuffer;
  readonly spoolDir: string;
  /** The daemon's own folder below the spool: journal, checkpoints, and what it adopted. */
  readonly daemonDir: string;
  readonly flushMs: number;
  readonly syncMs: number;
  readonly logLevel: Config['log']['level'];
  /** It has to look through the spool; false when a predecessor has. */
  readonly mends: boolean;
  /** Announcements to the control thread. */
  readonly controlPort: MessagePort;
}

export type ToRecorder =
  /** A new control thread took the place of the old one. */
  | { readonly type: 'control'; readonly port: MessagePort }
  /** Do this to yourself; only with `REELAY_FAULTS=1`. */
  | { readonly type: 'fault'; readonly fault: 'throw' | 'hang' | 'exit' | 'heap' }
  /** Other daemons are gone: their folders below `adopted/` are to be recovered, then `recovered` is posted. */
  | { readonly type: 'recover' }
  /** Take what is in the ring, seal what can be sealed, and post `stopped`. */
  | { readonly type: 'stop' };

export type FromRecorder =
  /** The journal is read and the ring is being emptied. */
  | { readonly type: 'ready' }
  /** What lay below `adopted/` when that was asked for is sealed, or set aside. */
  | { readonly type: 'recovered' }
  /** The whole spool was looked through, which successors need not do again. */
  | { readonly type: 'mended' }
  /** The spool's disk refuses what it is given, so that audio stays in the ring; or takes it again. */
  | { readonly type: 'blocked'; readonly isBlocked: boolean }
  | /** `sealed`: nothing is left for the next start. */ {
      readonly type: 'stopped';
      readonly sealed: boolean;
    };
