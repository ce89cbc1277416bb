import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';

/** Spans that wait or are under way; what comes beyond is lost. */
const mostSpans = 2048;
/** Spans of one request, how long they wait for others, ms, and after what time nobody waits for the answer, ms. */
const batchSpans = 256;
const waitMs = 2000;
const answerMs = 10_000;

/**
 * Spans on their way to the endpoint: the SDK's own batches, with a bound on everything that isn't answered yet, and a count of what
 * became of it. That the endpoint doesn't take any is told once, and once that it does again.
 */
export class SpanQueue implements SpanProcessor {
  taken = 0;
  lost = 0;
  readonly #batches: BatchSpanProcessor;
  readonly #log: Logger;
  #pending = 0;
  #isRefused = false;

  constructor(exporter: SpanExporter, log: Logger) {
    this.#log = log;
    this.#batches = new BatchSpanProcessor({
      exporter: this.#watched(exporter),
      maxQueueSize: mostSpans,
      maxExportBatchSize: batchSpans,
      scheduledDelayMillis: waitMs,
      exportTimeoutMillis: answerMs,
    });
  }

  onStart(): void {
    // A span counts when it is over.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#pending >= mostSpans) {
      this.lost++;
      return;
    }
    this.#pending++;
    this.#batches.onEnd(span);
  }

  async forceFlush(): Promise<void> {
    await this.#batches.forceFlush();
  }

  async shutdown(): Promise<void> {
    await this.#batches.shutdown();
  }

  #watched(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          this.#pending -= spans.length;
          const isTaken = result.error === undefined;
          if (isTaken) this.taken += spans.length;
          else this.lost += spans.length;
          this.#tell(isTaken ? null : result.error);
          done(result);
        }),
      shutdown: async () => await exporter.shutdown(),
      forceFlush: async () => await exporter.forceFlush?.(),
    };
  }

  /** @param error - null: spans were taken. What the endpoint has answered may hold anything, so it isn't told */
  #tell(error: Error | null | undefined): void {
    if (this.#isRefused === (error !== null)) return;
    this.#isRefused = error !== null;
    if (error === null) this.#log.info('traces are taken again');
    else this.#log.warn({ reason: reasonOf(error) }, 'traces are not taken by their endpoint');
  }
}

/** The system's code, the status of HTTP, or what kind of error it was. */
function reasonOf(error: (Error & { readonly code?: unknown }) | undefined): string | number | undefined {
  const { code, name } = error ?? {};
  return typeof code === 'string' || typeof code === 'number' ? code : name;
}
