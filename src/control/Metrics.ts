import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { type CounterName, type Counters, latencyBounds } from '../tap/Counters.js';
import type { ThreadStates } from './ControlMessage.js';

/** Metrics of the media thread: its counter, their public name, and what it is. */
const fromMedia: readonly (readonly [CounterName, string, string])[] = [
  ['calls', 'reelay_calls', 'Calls that are up'],
  ['callsTotal', 'reelay_calls_total', 'Calls since the start'],
  ['streams', 'reelay_streams', 'Provider sockets that have started a stream'],
  ['pendingStreams', 'reelay_pending_streams', 'Provider sockets without a start message'],
  ['framesFromProvider', 'reelay_provider_frames_total', 'Audio frames that providers sent'],
  ['framesFromUpstream', 'reelay_upstream_frames_total', 'Audio frames that bots sent'],
  ['bytesFromProvider', 'reelay_provider_bytes_total', 'Bytes that providers sent'],
  ['bytesFromUpstream', 'reelay_upstream_bytes_total', 'Bytes that bots sent'],
  ['invalidMessages', 'reelay_invalid_messages_total', 'Messages that their dialect does not allow'],
  ['refusedUpgrades', 'reelay_refused_upgrades_total', 'WebSocket upgrades that were refused'],
  ['refusedStreams', 'reelay_refused_streams_total', 'Streams that were refused at their start message'],
  ['upstreamLost', 'reelay_upstream_lost_total', 'Bot sockets that broke'],
  ['upstreamReconnects', 'reelay_upstream_reconnects_total', 'Bot sockets that were opened again'],
  [
    'framesDroppedToUpstream',
    'reelay_upstream_dropped_frames_total',
    'Frames dropped because a bot reads slowly',
  ],
  [
    'upstreamPauses',
    'reelay_upstream_pauses_total',
    'Times a bot was paused because a provider reads slowly',
  ],
  ['tapRecords', 'reelay_tap_records_total', 'Records written to the ring'],
  ['tapDroppedRecords', 'reelay_tap_dropped_frames_total', 'Records dropped because the ring was full'],
  ['tapRingBytes', 'reelay_tap_ring_bytes', 'Bytes that wait in the ring'],
  ['recorderRestarts', 'reelay_recorder_restarts_total', 'Times the recorder thread was started again'],
  ['controlRestarts', 'reelay_control_restarts_total', 'Times the control thread was started again'],
];

/** Read at a scrape. */
export interface MetricSources {
  readonly counters: Counters;
  readonly threads: () => ThreadStates;
  readonly spoolBytes: () => number;
  /** ms since the Unix epoch, null when nothing waits. */
  readonly oldestUnstoredMs: () => number | null;
}

/** Everything that `/metrics` shows. */
export class Metrics {
  readonly registry = new Registry();
  readonly chunksStored: Counter;
  readonly bytesStored: Counter;
  readonly uploadRetries: Counter;
  readonly recordingsStored: Counter<'state'>;

  constructor(sources: MetricSources) {
    for (const [name, metric, help] of fromMedia) this.#read(metric, help, () => sources.counters.get(name));
    this.registry.registerMetric(latency(sources.counters));
    this.#read('reelay_spool_bytes', 'Bytes of the files in the spool', sources.spoolBytes);
    this.#read(
      'reelay_oldest_unstored_chunk_seconds',
      'Age of the oldest sealed chunk that is not stored',
      () => {
        const oldest = sources.oldestUnstoredMs();
        return oldest === null ? 0 : Math.max(0, (Date.now() - oldest) / 1000);
      },
    );
    this.#read('reelay_process_resident_bytes', 'Resident memory of the process', () =>
      process.memoryUsage.rss(),
    );
    this.#read('reelay_process_cpu_seconds_total', 'CPU time of the process', () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
    this.#threads(sources.threads);
    this.chunksStored = this.#counter('reelay_chunks_stored_total', 'Chunks that their store has confirmed');
    this.bytesStored = this.#counter('reelay_stored_bytes_total', 'Bytes that stores have confirmed');
    this.uploadRetries = this.#counter('reelay_upload_retries_total', 'Attempts to store that failed');
    this.recordingsStored = new Counter({
      name: 'reelay_recordings_stored_total',
      help: 'Recordings that are whole in their store, by final state',
      labelNames: ['state'],
      registers: [this.registry],
    });
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.registry] });
  }

  /** A value that is somebody else's: read when it is asked for. */
  #read(name: string, help: string, value: () => number): void {
    const type = name.endsWith('_total') ? 'counter' : 'gauge';
    this.registry.registerMetric(foreign(name, help, type, () => [{ value: value(), labels: {} }]));
  }

  #threads(threads: () => ThreadStates): void {
    new Gauge({
      name: 'reelay_thread_ready',
      help: '1 for a thread that does its work',
      labelNames: ['thread'],
      registers: [this.registry],
      collect() {
        for (const [thread, state] of Object.entries(threads()))
          this.set({ thread }, state === 'ready' ? 1 : 0);
      },
    });
  }
}

interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

/** prom-client's own counters and histograms can't be set to what another thread has counted, so they are written out here. */
function foreign(name: string, help: string, type: string, values: () => readonly Value[]): Metric {
  const get = () => Promise.resolve({ name, help, type, values: values(), aggregator: 'sum' });
  return { name, help, type, get, aggregator: 'sum', reset: () => undefined } as unknown as Metric;
}

function latency(counters: Counters): Metric {
  const name = 'reelay_relay_latency_seconds';
  const help = 'Time of a frame from its arrival to its being handed to the other socket';
  return foreign(name, help, 'histogram', () => {
    const { counts, sum } = counters.latency();
    let total = 0;
    const buckets = counts.map((count, index): Value => {
      total += count;
      const bound = latencyBounds[index];
      return {
        metricName: `${name}_bucket`,
        labels: { le: bound ?? '+Inf' },
        value: total,
      };
    });
    const totals = { sum, count: total };
    const ends = Object.entries(totals).map(([end, value]) => ({
      metricName: `${name}_${end}`,
      labels: {},
      value,
    }));
    return [...buckets, ...ends];
  });
}
