import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CatalogueWriter } from '../../catalogue/CatalogueWriter.js';
import type { CounterName, Counters } from '../../tap/Counters.js';
import type { ThreadStates } from '../ControlMessage.js';
import { foreign } from './ForeignMetric.js';
import type { SpoolWatch } from '../uploads/SpoolWatch.js';
import { threadMetrics } from './threadMetrics.js';
import type { Traces } from './Tracing.js';

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
  ['tapDroppedRecords', 'reelay_tap_dropped_frames_total', 'Records that found no room in the ring'],
  ['tapRingBytes', 'reelay_tap_ring_bytes', 'Bytes that wait in the ring'],
  ['tapRingCapacityBytes', 'reelay_tap_ring_capacity_bytes', 'Bytes that have room in the ring'],
  ['recorderRestarts', 'reelay_recorder_restarts_total', 'Times the recorder thread was started again'],
  ['unprovenStreams', 'reelay_unproven_streams', 'Provider sockets whose account has not been proven yet'],
  ['drainedStreams', 'reelay_drained_streams', 'Sockets of /record that are read to their end for nothing'],
  ['accountQuestions', 'reelay_account_questions_total', 'Accounts that were asked for'],
  [
    'accountQuestionsUnanswered',
    'reelay_account_questions_unanswered_total',
    'Accounts that were asked for and nobody answered',
  ],
  [
    'overloadLevel',
    'reelay_overload_level',
    '0: calls are taken and recorded, 1: new ones are not recorded, 2: new ones are refused',
  ],
  ['bridgeProcesses', 'reelay_bridge_processes', 'Processes that are ready to carry calls into rooms'],
  ['bridgedCalls', 'reelay_bridged_calls', 'Calls that are being carried into rooms'],
  ['bridgeRestarts', 'reelay_bridge_restarts_total', 'Times a bridge process was lost'],
  ['bridgeFailures', 'reelay_bridge_failures_total', 'Calls whose bridge failed, or was not to be had'],
  ['bridgeRssBytes', 'reelay_bridge_memory_bytes', 'Resident memory of the bridge processes'],
  ['bridgeClears', 'reelay_bridge_clears_total', 'Times an agent was interrupted and what waited was cut'],
  ['controlRestarts', 'reelay_control_restarts_total', 'Times the control thread was started again'],
  [
    'roomsThreadRestarts',
    'reelay_rooms_restarts_total',
    'Times the thread that joins rooms was started again',
  ],
  ['rooms', 'reelay_rooms', 'LiveKit rooms that are being recorded, or are to be'],
  ['roomLanes', 'reelay_room_lanes', 'Participants’ tracks that are heard in them'],
  ['roomProcesses', 'reelay_room_processes', 'Processes that join rooms'],
  ['roomProcessesLost', 'reelay_room_processes_lost_total', 'Processes that join rooms and ended unasked'],
  ['roomRingBytes', 'reelay_room_ring_bytes', 'Bytes that wait in the ring of rooms'],
  ['roomDroppedRecords', 'reelay_room_dropped_frames_total', 'Audio of rooms that found no room in the ring'],
];

/** Read at a scrape. */
export interface MetricSources {
  readonly counters: Counters;
  readonly threads: () => ThreadStates;
  readonly spool: () => Pick<SpoolWatch, 'bytes' | 'left' | 'rate' | 'unstored'>;
  readonly catalogue: () => Pick<CatalogueWriter, 'isUp' | 'waiting' | 'dropped'>;
  /** Log lines about recordings that were lost, by the thread that lost them. */
  readonly linesLost: () => Readonly<Record<string, number>>;
  readonly spans: () => Traces['spans'];
  readonly parkedAccounts: () => number;
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
  readonly uploadFailures: Counter<'blame'>;
  readonly recordingsFailed: Counter<'reason'>;
  readonly alerts: Counter<'alert'>;
  readonly eventTries: Counter<'outcome'>;
  readonly eventsDropped: Counter;
  readonly quarantined: Counter;
  readonly chunkStored: Histogram;

  constructor(sources: MetricSources) {
    for (const [name, metric, help] of fromMedia) this.#read(metric, help, () => sources.counters.get(name));
    for (const metric of threadMetrics(sources.counters)) this.registry.registerMetric(metric);
    this.#spool(sources);
    this.#catalogue(sources);
    this.#read(
      'reelay_parked_accounts',
      'Accounts whose store refuses them; they wait for somebody',
      sources.parkedAccounts,
    );
    this.#read(
      'reelay_oldest_unstored_chunk_seconds',
      'Age of the oldest sealed chunk that is not stored',
      () => {
        const oldest = sources.oldestUnstoredMs();
        return oldest === null ? 0 : Math.max(0, (Date.now() - oldest) / 1000);
      },
    );
    this.#process();
    this.#lines(sources);
    this.#spans(sources);
    this.#bridges(sources);
    this.#threads(sources.threads);
    this.chunksStored = this.#counter('reelay_chunks_stored_total', 'Chunks that their store has confirmed');
    this.bytesStored = this.#counter('reelay_stored_bytes_total', 'Bytes that stores have confirmed');
    this.uploadRetries = this.#counter('reelay_upload_retries_total', 'Attempts to store that failed');
    this.recordingsStored = this.#labelled(
      'reelay_recordings_stored_total',
      'Recordings that are whole in their store, by final state',
      'state',
      [],
    );
    this.uploadFailures = this.#labelled(
      'reelay_upload_failures_total',
      'Attempts to store that failed, by whose fault it is',
      'blame',
      ['transient', 'account', 'ours'],
    );
    this.recordingsFailed = this.#labelled(
      'reelay_recordings_failed_total',
      'Recordings of which no audio is kept, by reason',
      'reason',
      ['no_store', 'unknown_account', 'account_mismatch', 'spool_full', 'overloaded'],
    );
    this.eventTries = this.#labelled(
      'reelay_webhook_tries_total',
      'Tries to deliver an event to an endpoint of an account',
      'outcome',
      ['delivered', 'failed', 'givenUp'],
    );
    this.eventsDropped = this.#counter(
      'reelay_webhook_events_dropped_total',
      'Events that no account will be told of, since they could not be kept or their account not be looked up',
    );
    this.alerts = this.#labelled('reelay_alerts_total', 'Alerts that began, by code', 'alert', [
      'store_denied',
      'store_changed',
      'no_store',
      'unknown_account',
      'spool_full',
      'spool_unreadable',
      'overloaded',
      'thread_lost',
      'spool_unwritable',
      'catalogue_unavailable',
      'catalogue_locked',
      'room_unreachable',
      'room_denied',
    ]);
    this.quarantined = this.#counter(
      'reelay_quarantined_files_total',
      'Files and folders in the spool that could not be read and were set aside',
    );
    this.chunkStored = new Histogram({
      name: 'reelay_chunk_stored_seconds',
      help: 'Time of a chunk from its being sealed to its being confirmed by its store',
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200],
      registers: [this.registry],
    });
  }

  /** What stores have confirmed since the thread began, and what they had to be asked again for. */
  async stored(): Promise<{ readonly chunks: number; readonly bytes: number; readonly retries: number }> {
    const [chunks, bytes, retries] = await Promise.all(
      [this.chunksStored, this.bytesStored, this.uploadRetries].map(async (counter) => {
        const { values } = await counter.get();
        return values[0]?.value ?? 0;
      }),
    );
    return { chunks: chunks ?? 0, bytes: bytes ?? 0, retries: retries ?? 0 };
  }

  #process(): void {
    this.#read('reelay_process_resident_bytes', 'Resident memory of the process', () =>
      process.memoryUsage.rss(),
    );
    this.#read('reelay_process_cpu_seconds_total', 'CPU time of the process', () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
  }

  #spool({ spool }: MetricSources): void {
    this.#read('reelay_spool_bytes', 'Bytes of the files in the spool', () => spool().bytes);
    this.#read(
      'reelay_spool_free_bytes',
      'Bytes that may still come until new calls are not recorded',
      () => spool().left,
    );
    this.#read('reelay_spool_seconds_left', 'How long that lasts for the calls that are up', () =>
      spool().rate === 0 ? Infinity : spool().left / spool().rate,
    );
    this.#read(
      'reelay_unstored_recordings',
      'Recordings in the spool that are not whole in their store',
      () => spool().unstored,
    );
  }

  #catalogue({ catalogue }: MetricSources): void {
    this.#read('reelay_catalogue_up', '1 while the catalogue can be asked', () => (catalogue().isUp ? 1 : 0));
    this.#read(
      'reelay_catalogue_waiting_entries',
      'Recordings that wait to be written into the catalogue',
      () => catalogue().waiting,
    );
    this.#read(
      'reelay_catalogue_dropped_entries_total',
      'Recordings that found no room among these and are looked for again in spool and stores',
      () => catalogue().dropped,
    );
  }

  #lines({ linesLost }: MetricSources): void {
    this.registry.registerMetric(
      foreign(
        'reelay_log_lines_lost_total',
        'Log lines about recordings that bundles will not have',
        'counter',
        () => Object.entries(linesLost()).map(([thread, value]) => ({ value, labels: { thread } })),
      ),
    );
  }

  #spans({ spans }: MetricSources): void {
    const name = 'reelay_trace_spans_total';
    const help = 'Spans of traces, by what became of them';
    this.registry.registerMetric(
      foreign(name, help, 'counter', () =>
        Object.entries(spans()).map(([outcome, value]) => ({ value, labels: { outcome } })),
      ),
    );
  }

  #bridges({ counters }: MetricSources): void {
    const name = 'reelay_bridge_dropped_seconds_total';
    const help = 'Audio between phones and rooms that came too late to be worth its delay';
    const dropped = (counter: CounterName, direction: string) => ({
      value: counters.get(counter) / 1000,
      labels: { direction },
    });
    this.registry.registerMetric(
      foreign(name, help, 'counter', () => [
        dropped('bridgeDroppedToRoomMs', 'to_room'),
        dropped('bridgeDroppedToPhoneMs', 'to_phone'),
      ]),
    );
  }

  /** @param values - of the label, shown from the start, so that the first one counts as a change */
  #labelled<Label extends string>(
    name: string,
    help: string,
    label: Label,
    values: readonly string[],
  ): Counter<Label> {
    const counter = new Counter({ name, help, labelNames: [label], registers: [this.registry] });
    for (const value of values) counter.labels(value).inc(0);
    return counter;
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
