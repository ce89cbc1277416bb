import type { Config } from '../config/Config.js';
import type { Counters } from '../tap/Counters.js';
import type { Admitted } from './Admission.js';
import type { CallTable } from './CallTable.js';
import { UpgradeRefusal } from './UpgradeRefusal.js';

/** Sockets at once that have yet to prove an account which is being looked up. */
const maxUnproven = 64;
/** Sockets of recordings at once that have proven nothing and keep open, which are not closed from here. */
const maxStrangers = 64;

/** Whether there is a place for one more socket, by the limits and what is up. */
export class SocketPlaces {
  readonly #calls: Pick<CallTable, 'live'>;
  readonly #counters: Counters;

  constructor({ calls, counters }: { readonly calls: Pick<CallTable, 'live'>; readonly counters: Counters }) {
    this.#calls = calls;
    this.#counters = counters;
  }

  /** @throws UpgradeRefusal `too_many_streams` */
  insist({ limits }: Config): void {
    const { calls, pendingStreams } = limits;
    if (this.#calls.live >= calls) throw tooMany(calls);
    if (this.#counters.get('pendingStreams') >= pendingStreams) throw tooMany(pendingStreams);
  }

  /** One whose account isn't proven yet. @throws UpgradeRefusal `too_many_streams` */
  insistForStranger({ endpoint }: Admitted): void {
    if (this.#counters.get('unprovenStreams') >= maxUnproven) throw tooMany(maxUnproven);
    if (endpoint === 'record' && this.#counters.get('strangers') >= maxStrangers) throw tooMany(maxStrangers);
  }
}

function tooMany(limit: number): UpgradeRefusal {
  return new UpgradeRefusal(503, 'too_many_streams', { value: limit });
}
