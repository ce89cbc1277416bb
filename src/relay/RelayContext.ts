import type { Logger } from 'pino';
import type { Counters } from '../tap/Counters.js';
import type { Admission } from './Admission.js';
import type { CallTable } from './CallTable.js';
import type { Heartbeats } from './Heartbeats.js';
import type { StalledSockets } from './StalledSockets.js';

/** What every stream of one media server shares. */
export interface RelayContext {
  readonly admission: Admission;
  readonly calls: CallTable;
  readonly counters: Counters;
  readonly heartbeats: Heartbeats;
  readonly stalls: StalledSockets;
  readonly log: Logger;
  /** To be called when something that a list of calls shows has changed. */
  readonly onChange: () => void;
}
