import { createRequire } from 'node:module';
import type { CatalogueWriter } from '../../catalogue/CatalogueWriter.js';
import type { Counters } from '../../tap/Counters.js';
import type { ThreadStates } from '../ControlMessage.js';
import type { SpoolWatch } from '../uploads/SpoolWatch.js';
import type { StuckUploads } from '../uploads/StuckUploads.js';
import type { Alerts } from './Alerts.js';
import { LatencyWindow } from './LatencyWindow.js';
import type { SystemDocument } from './SystemDocument.js';

export interface SystemSources {
  readonly counters: Counters;
  readonly threads: () => ThreadStates;
  readonly alerts: () => Pick<Alerts, 'open'>;
  readonly spool: () => Pick<SpoolWatch, 'bytes' | 'left' | 'rate' | 'unstored'>;
  readonly catalogue: () => Pick<CatalogueWriter, 'isUp' | 'waiting'>;
  readonly stuck: () => Pick<StuckUploads, 'list' | 'count'>;
  /** Since the thread began. */
  readonly stored: () => Promise<{
    readonly chunks: number;
    readonly bytes: number;
    readonly retries: number;
  }>;
  /** ms since the Unix epoch, null when nothing waits. */
  readonly oldestUnstoredMs: () => number | null;
}

/** Troubles that one answer tells of. */
const mostStuck = 200;

/** How the daemon is: what its parts know of themselves, put together when somebody asks. */
export class SystemReport {
  readonly #sources: SystemSources;
  readonly #latency: LatencyWindow;
  readonly #version: string;

  constructor(sources: SystemSources) {
    this.#sources = sources;
    this.#latency = new LatencyWindow(sources.counters);
    const { version } = createRequire(import.meta.url)('reelay/package.json') as { version: string };
    this.#version = version;
  }

  async read(): Promise<SystemDocument> {
    const { threads, alerts, catalogue } = this.#sources;
    const { isUp, waiting } = catalogue();
    return {
      version: this.#version,
      startTime: new Date(Date.now() - process.uptime() * 1000).toISOString(),
      threads: threads(),
      alerts: alerts().open,
      calls: this.#calls(),
      latency: this.#latency.read(),
      spool: this.#spool(),
      catalogue: { isUp, waitingEntries: waiting },
      uploads: await this.#uploads(),
      process: processNow(),
    };
  }

  #calls(): SystemDocument['calls'] {
    const { counters } = this.#sources;
    return {
      live: counters.get('calls'),
      sinceStart: counters.get('callsTotal'),
      streams: counters.get('streams'),
      droppedRecords: counters.get('tapDroppedRecords'),
      overloadLevel: counters.get('overloadLevel'),
    };
  }

  #spool(): SystemDocument['spool'] {
    const { spool, oldestUnstoredMs } = this.#sources;
    const { bytes, left, rate, unstored } = spool();
    const oldest = oldestUnstoredMs();
    return {
      bytes,
      freeBytes: left,
      secondsLeft: rate === 0 ? null : left / rate,
      unstoredRecordings: unstored,
      oldestUnstoredSeconds: oldest === null ? null : Math.max(0, (Date.now() - oldest) / 1000),
    };
  }

  async #uploads(): Promise<SystemDocument['uploads']> {
    const { stuck, stored } = this.#sources;
    const { chunks, bytes, retries } = await stored();
    const troubles = stuck();
    return {
      storedChunks: chunks,
      storedBytes: bytes,
      retries,
      stuck: troubles.list(mostStuck),
      stuckCount: troubles.count,
    };
  }
}

function processNow(): SystemDocument['process'] {
  const { user, system } = process.cpuUsage();
  return { residentBytes: process.memoryUsage.rss(), cpuSeconds: (user + system) / 1e6 };
}
