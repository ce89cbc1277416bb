import { readdir } from 'node:fs/promises';
import type { Metric } from 'prom-client';
import { directions, gcKinds, loopNames, refusalReasons, threadNames } from '../../tap/Counters.js';
import type { Counters } from '../../tap/Counters.js';
import { foreign, foreignHistogram } from './ForeignMetric.js';

/** A p99.9 is told to a fifth; 66 bounds and twice as many lines. */
const latencyBounds = { fromUs: 16, toUs: 2 ** 20, perDoubling: 4 };
const delayBounds = { fromUs: 2 ** 10, toUs: 2 ** 22, perDoubling: 2 };
const pauseBounds = { fromUs: 2 ** 8, toUs: 2 ** 21, perDoubling: 1 };

/** What each thread measures of itself, and what the process has open. */
export function threadMetrics(counters: Counters): Metric[] {
  return [
    latency(counters),
    loopDelay(counters),
    gcPause(counters),
    heap(counters),
    refusals(counters),
    stalled(counters),
    openFiles(),
  ];
}

function latency(counters: Counters): Metric {
  const help = 'Time of a frame from its being read to its being handed to the other socket';
  return foreignHistogram(
    'reelay_relay_latency_seconds',
    help,
    latencyBounds,
    directions.map((direction) => ({ labels: { direction }, histogram: counters.latency[direction] })),
  );
}

function loopDelay(counters: Counters): Metric {
  const help = 'How late a thread comes to what arrives, at any moment';
  return foreignHistogram(
    'reelay_event_loop_delay_seconds',
    help,
    delayBounds,
    loopNames.map((thread) => ({ labels: { thread }, histogram: counters.loopDelay[thread] })),
  );
}

function gcPause(counters: Counters): Metric {
  const members = threadNames.flatMap((thread) =>
    gcKinds.map((kind) => ({ labels: { thread, kind }, histogram: counters.gcPause[thread][kind] })),
  );
  const help = 'How long garbage collection stops a thread';
  return foreignHistogram('reelay_gc_pause_seconds', help, pauseBounds, members);
}

function heap(counters: Counters): Metric {
  const help = 'JavaScript heap that each thread uses, as of the last second';
  return foreign('reelay_process_heap_bytes', help, 'gauge', () =>
    threadNames.map((thread) => ({ labels: { thread }, value: counters.get(`${thread}HeapBytes`) })),
  );
}

function refusals(counters: Counters): Metric {
  const help = 'WebSocket upgrades that were refused, by reason';
  return foreign('reelay_refused_upgrades_total', help, 'counter', () =>
    refusalReasons.map((reason) => ({ labels: { reason }, value: counters.refusals(reason) })),
  );
}

function stalled(counters: Counters): Metric {
  const help = 'Sockets given up because their peer took nothing of what waited for it';
  return foreign('reelay_stalled_sockets_total', help, 'counter', () => [
    { labels: { side: 'provider' }, value: counters.get('stalledProviders') },
    { labels: { side: 'bot' }, value: counters.get('stalledUpstreams') },
  ]);
}

/** Where the system tells; elsewhere the metric has no value. */
function openFiles(): Metric {
  const help = 'Files and sockets that the process has open';
  return foreign('reelay_process_open_fds', help, 'gauge', async () => {
    const open = await readdir('/proc/self/fd').catch(() => null);
    return open === null ? [] : [{ labels: {}, value: open.length }];
  });
}
