import type { Logger } from 'pino';
import type { Config } from '../../config/Config.js';
import type { WorkerName } from '../../config/readiness.js';
import type { Manifest } from '../../spool/Manifest.js';
import { Counters } from '../../tap/Counters.js';
import type { ThreadStates } from '../ControlMessage.js';
import { Alerts } from './Alerts.js';
import type { CallLog } from './CallLog.js';
import { Metrics, type MetricSources } from './Metrics.js';
import { OverloadAlert } from './OverloadAlert.js';
import { SystemReport, type SystemSources } from './SystemReport.js';
import { ThreadAlerts } from './ThreadAlerts.js';
import { type Traces, tracesFor } from './Tracing.js';

/** What the other parts of the thread are asked, at the moment when somebody wants to know. */
type Asked = Pick<MetricSources, 'spool' | 'catalogue' | 'parkedAccounts' | 'oldestUnstoredMs'> &
  Pick<SystemSources, 'stuck'>;

export interface MonitoringOptions {
  readonly counters: SharedArrayBuffer;
  readonly callLog: CallLog;
  readonly tracing: Config['tracing'];
  readonly asked: Asked;
  readonly log: Logger;
}

/** Whatever tells people and their programs how the daemon is: metrics, alerts, traces, the report, and the lines of each call. */
export class Monitoring {
  readonly metrics: Metrics;
  readonly alerts: Alerts;
  readonly traces: Traces;
  readonly callLog: CallLog;
  readonly report: SystemReport;
  readonly #overload: OverloadAlert;
  readonly #threadAlerts: ThreadAlerts;
  readonly #log: Logger;
  #threads: ThreadStates = { media: 'ready', recorder: 'starting', control: 'ready' };

  constructor({ counters, callLog, tracing, asked, log }: MonitoringOptions) {
    this.#log = log;
    this.callLog = callLog;
    this.traces = tracesFor(tracing, log);
    this.metrics = this.#measure(counters, asked);
    this.alerts = new Alerts(log, ({ code }) => this.metrics.alerts.inc({ alert: code }));
    this.#threadAlerts = new ThreadAlerts(this.alerts);
    this.#overload = new OverloadAlert(new Counters(counters), this.alerts);
    this.report = this.#describe(counters, asked);
  }

  /** What main last said of the threads. */
  get threads(): ThreadStates {
    return this.#threads;
  }

  /** @param inTrouble - those that are lost again and again, or don't come back */
  threadsChanged(states: ThreadStates, inTrouble: readonly WorkerName[]): void {
    this.#threads = states;
    this.#threadAlerts.take(states, inTrouble);
  }

  start(): void {
    this.callLog.start();
    this.#overload.start();
  }

  /** A recording of which no audio is kept. */
  failed(manifest: Manifest): void {
    const { recordingId, accountId, claimedAccountId, callId, provider, reason } = manifest;
    this.metrics.recordingsFailed.inc({ reason: reason ?? 'unknown' });
    const about = { code: reason, recordingId, accountId, claimedAccountId, callId, provider };
    this.#log.error(about, 'a recording failed; no audio of it is kept');
    this.traces.failed(manifest);
  }

  /** Nothing is raised from now on that comes from a daemon's ending. */
  stop(): void {
    this.#overload.stop();
  }

  /** Resolves when what was logged and traced has gone where it belongs. To be called last. */
  async flush(): Promise<void> {
    await Promise.all([this.callLog.flush(), this.traces.stop()]);
  }

  #measure(counters: SharedArrayBuffer, asked: Asked): Metrics {
    return new Metrics({
      ...asked,
      counters: new Counters(counters),
      threads: () => this.#threads,
      linesLost: () => this.callLog.lost,
      spans: () => this.traces.spans,
    });
  }

  #describe(counters: SharedArrayBuffer, asked: Asked): SystemReport {
    return new SystemReport({
      ...asked,
      counters: new Counters(counters),
      threads: () => this.#threads,
      alerts: () => this.alerts,
      stored: async () => await this.metrics.stored(),
    });
  }
}
