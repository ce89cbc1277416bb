import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import type { Attributes, Context, Span, SpanContext, SpanOptions, Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  type IdGenerator,
  RandomIdGenerator,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
} from '@opentelemetry/semantic-conventions';
import type { Logger } from 'pino';
import { version } from '../../config/version.js';
import { idsIn } from '../../spool/layout.js';
import type { Manifest } from '../../spool/Manifest.js';
import type { ConfirmedObject, FailedAttempt } from '../../storage/UploadObserver.js';
import { spanIdOf, type TraceEvent, traceEvents, traceIdOf } from './RecordingTrace.js';
import { Retries } from './Retries.js';
import { SpanQueue } from './SpanQueue.js';
import type { AnsweredRequest, Traces } from './Tracing.js';

export interface OtlpTracesOptions {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly log: Logger;
}

/** How long one request to the endpoint may take, its repetitions included, ms; and how long the end waits for the last ones. */
const requestMs = 8000;
const stopMs = 1000;
const longestAttribute = 256;
/** Asked every few seconds by machines, for nothing but themselves. */
const untold: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Spans of recordings and requests, sent by OTLP over HTTP with JSON. A span is made when what it is about is over, from what is known then:
 * nothing is kept for calls that are up, and whichever process finishes a recording tells of all of it.
 */
export class OtlpTraces implements Traces {
  readonly #ids = new GivenIds();
  readonly #queue: SpanQueue;
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #retries = new Retries();

  constructor({ endpoint, headers, serviceName, log }: OtlpTracesOptions) {
    const exporter = new OTLPTraceExporter({
      url: endpoint,
      headers: { ...headers },
      timeoutMillis: requestMs,
    });
    this.#queue = new SpanQueue(exporter, log);
    this.#provider = new TracerProvider({
      sampler: new AlwaysOnSampler(),
      idGenerator: this.#ids,
      spanLimits: { attributeValueLengthLimit: longestAttribute },
      resource: resourceFromAttributes({
        [ATTR_SERVICE_NAME]: serviceName,
        [ATTR_SERVICE_VERSION]: version,
        [ATTR_SERVICE_INSTANCE_ID]: randomUUID(),
        'host.name': hostname(),
        'process.pid': process.pid,
      }),
      spanProcessors: [this.#queue],
    });
    this.#tracer = this.#provider.getTracer('reelay', version);
  }

  get spans(): Traces['spans'] {
    const { taken, lost } = this.#queue;
    return { taken, lost };
  }

  /** From when the chunk was sealed until its store had confirmed it. */
  stored({ folder, kind, name, bytes, sealedMs }: ConfirmedObject): void {
    // Those of other objects are the whole recording's.
    if (kind !== 'chunk') return;
    const { recordingId, callId, accountId } = idsIn(folder);
    const index = Number.parseInt(name, 10);
    const attributes = {
      ...about({ recordingId, callId, accountId }),
      'reelay.chunk': index,
      'reelay.bytes': bytes,
    };
    const startTime = sealedMs ?? Date.now();
    const spanId = spanIdOf(recordingId, index);
    const parent = trace.setSpanContext(ROOT_CONTEXT, rootOf(recordingId));
    const retries = this.#retries.take(folder, name);
    this.#span('store chunk', { spanId }, { startTime, attributes }, parent, (span) =>
      addEvents(span, retries),
    );
  }

  retrying({ folder, name, error, code, blame, delayMs }: FailedAttempt): void {
    const attributes = { code: code ?? error.name, blame, delayMs: Math.round(delayMs), object: name ?? '' };
    this.#retries.add(folder, name, { name: 'retry', atMs: Date.now(), attributes });
  }

  finished(manifest: Manifest): void {
    // Of one that failed everything was told when it did.
    const retries = this.#retries.takeAll(manifest.recordingId);
    if (manifest.state !== 'failed') this.#recording(manifest, retries);
  }

  failed(manifest: Manifest): void {
    this.#recording(manifest, []);
  }

  /** Its query, and what stands for the route's parameters, are nobody's business but the recording that it got. */
  answered({ method, route, status, tookMs, recordingId }: AnsweredRequest): void {
    if (route !== null && untold.has(route)) return;
    const attributes: Attributes = {
      [ATTR_HTTP_REQUEST_METHOD]: method,
      [ATTR_HTTP_RESPONSE_STATUS_CODE]: status,
      ...(route === null ? {} : { [ATTR_HTTP_ROUTE]: route }),
      ...(status < 500 ? {} : { [ATTR_ERROR_TYPE]: String(status) }),
    };
    const links = recordingId === null ? [] : [{ context: rootOf(recordingId) }];
    const startTime = Date.now() - tookMs;
    const name = route === null ? method : `${method} ${route}`;
    this.#span(name, null, { kind: SpanKind.SERVER, startTime, attributes, links }, ROOT_CONTEXT, (span) => {
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
    });
  }

  async stop(): Promise<void> {
    const given = new AbortController();
    const late = sleep(stopMs, undefined, { signal: given.signal }).catch(() => undefined);
    await Promise.race([this.#provider.shutdown().catch(() => undefined), late]);
    given.abort();
  }

  #recording(manifest: Manifest, retries: readonly TraceEvent[]): void {
    const { recordingId, state, reason, startTime, chunks, durationSeconds, completeness, gaps } = manifest;
    const attributes: Attributes = {
      ...about(manifest),
      'reelay.provider': manifest.provider,
      'reelay.state': state,
      'reelay.duration_seconds': durationSeconds,
      'reelay.chunks': chunks.length,
      'reelay.gaps': gaps.length,
      'reelay.completeness': [...completeness],
      ...(reason === null ? {} : { 'reelay.reason': reason }),
    };
    const { traceId, spanId } = rootOf(recordingId);
    const options = { startTime: Date.parse(startTime), attributes };
    this.#span('recording', { traceId, spanId }, options, ROOT_CONTEXT, (span) => {
      addEvents(span, [...traceEvents(manifest), ...retries]);
      if (state === 'failed') span.setStatus({ code: SpanStatusCode.ERROR, message: reason ?? 'failed' });
    });
  }

  /** A span that is over. @param ids - null: any */
  #span(
    name: string,
    ids: Partial<SpanContext> | null,
    options: SpanOptions & { readonly startTime: number },
    parent: Context,
    fill: (span: Span) => void,
  ): void {
    const span = this.#ids.given(ids, () => this.#tracer.startSpan(name, options, parent));
    fill(span);
    // Clocks are set now and then.
    span.end(Math.max(options.startTime, Date.now()));
  }
}

/** Gives a span the ids that it shall have, and any others by chance. */
class GivenIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #next: Partial<SpanContext> | null = null;

  given<T>(ids: Partial<SpanContext> | null, make: () => T): T {
    this.#next = ids;
    try {
      return make();
    } finally {
      this.#next = null;
    }
  }

  generateTraceId(): string {
    return this.#next?.traceId ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    return this.#next?.spanId ?? this.#random.generateSpanId();
  }
}

function rootOf(recordingId: string): SpanContext {
  const traceFlags = TraceFlags.SAMPLED;
  return { traceId: traceIdOf(recordingId), spanId: spanIdOf(recordingId), traceFlags, isRemote: true };
}

function about(ids: Pick<Manifest, 'recordingId' | 'callId' | 'accountId'>): Attributes {
  return {
    'reelay.recording_id': ids.recordingId,
    'reelay.call_id': ids.callId,
    'reelay.account_id': ids.accountId,
  };
}

function addEvents(span: Span, events: readonly TraceEvent[]): void {
  for (const { name, atMs, attributes } of events) span.addEvent(name, attributes, atMs);
}
