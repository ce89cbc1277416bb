import type { ThreadStates, WorkerName } from '../../config/readiness.js';
import type { Alerts } from './Alerts.js';

/**
 * What somebody should hear of the threads: one that is lost again and again or doesn't come back, and a recorder whose disk
 * refuses. Of the control thread its successor tells; as long as there is none, main's log line is all there is.
 */
export class ThreadAlerts {
  readonly #alerts: Alerts;

  constructor(alerts: Alerts) {
    this.#alerts = alerts;
  }

  take(states: ThreadStates, inTrouble: readonly WorkerName[]): void {
    for (const worker of ['recorder', 'control', 'rooms'] as const) this.#thread(worker, states, inTrouble);
    if (states.recorder === 'blocked')
      this.#alerts.raise('disk of the recorder', {
        code: 'spool_unwritable',
        message: 'the spool cannot be written; audio waits in memory as long as the ring lasts',
      });
    else if (states.recorder === 'ready')
      this.#alerts.resolve('disk of the recorder', 'the spool takes audio again');
  }

  #thread(worker: WorkerName, states: ThreadStates, inTrouble: readonly WorkerName[]): void {
    if (inTrouble.includes(worker))
      this.#alerts.raise(`thread ${worker}`, {
        code: 'thread_lost',
        message: 'a thread is lost again and again, or does not come back; calls go on without it',
        details: { worker, state: states[worker] },
      });
    else this.#alerts.resolve(`thread ${worker}`, 'a thread that was in trouble works again');
  }
}
