import type { Logger } from 'pino';
import type { BridgePool } from '../bridge/BridgePool.js';
import type { Counters } from '../tap/Counters.js';
import type { Admission } from './Admission.js';
import type { ArrivalLine } from './ArrivalLine.js';
import type { Call } from './Call.js';
import type { CallTable } from './CallTable.js';
import type { FastPath } from './FastPath.js';
import type { Heartbeats } from './Heartbeats.js';
import type { ProviderBuffers } from './ProviderBuffers.js';
import type { StalledSockets } from './StalledSockets.js';
import type { UpstreamNames } from './UpstreamNames.js';

/** What every stream of one media server shares. */
export interface RelayContext {
  readonly admission: Admission;
  readonly arrivals: ArrivalLine;
  /** Undefined: nobody carries calls into rooms. */
  readonly bridges: Pick<BridgePool, 'route'> | undefined;
  readonly buffers: ProviderBuffers;
  readonly calls: CallTable;
  readonly counters: Counters;
  /** Undefined: there is none, and `ws` moves all frames. */
  readonly fast: FastPath | undefined;
  readonly heartbeats: Heartbeats;
  readonly stalls: StalledSockets;
  readonly names: UpstreamNames;
  readonly log: Logger;
  /** To be called when something that a list of calls shows of a call has changed. */
  readonly onChange: (call: Call) => void;
}
