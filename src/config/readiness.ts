/** How each thread is. */
export interface ThreadStates {
  /** `overloaded`: new calls are refused. */
  readonly media: 'ready' | 'overloaded' | 'draining';
  readonly recorder: WorkerState | 'blocked';
  readonly control: WorkerState;
  /** The thread that joins LiveKit rooms; missing where no account has a LiveKit server. */
  readonly rooms?: WorkerState;
}

/**
 * A worker is `restarting` from the moment at which it is lost until its successor works. It is `stuck` when it doesn't answer and
 * can't be ended either, because the system doesn't let it go (a disk that hangs): no successor starts before it has ended. A
 * recorder whose disk refuses is `blocked`: it lives, and audio waits in the ring.
 */
export type WorkerState = 'starting' | 'ready' | 'restarting' | 'stuck';

export type WorkerName = 'recorder' | 'control' | 'rooms';

/** Why calls that begin now are relayed and not recorded. */
export type Unrecorded = 'spool_full' | 'overloaded';

/** The body of `/readyz`. */
export interface Readiness {
  /** New calls are taken. */
  readonly ready: boolean;
  readonly status: ThreadStates['media'];
  /** Whether calls are being written down; `ready` may be true without. */
  readonly recording: ThreadStates['recorder'] | Unrecorded;
  readonly threads: ThreadStates;
}

/**
 * What `/readyz` answers on both ports. It is about calls: they are taken without a recorder too, and what they say waits in the
 * ring; a balancer that took the daemon out for that would end the calls' way here for nothing.
 */
export function readinessOf(
  threads: ThreadStates,
  unrecorded?: Unrecorded,
): { readonly status: 200 | 503; readonly body: Readiness } {
  const ready = threads.media === 'ready';
  const recording: Readiness['recording'] =
    threads.recorder === 'ready' ? (unrecorded ?? 'ready') : threads.recorder;
  const body = { ready, status: threads.media, recording, threads };
  return { status: ready ? 200 : 503, body };
}
