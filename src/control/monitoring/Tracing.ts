import type { Logger } from 'pino';
import type { Config } from '../../config/Config.js';
import type { Manifest } from '../../spool/Manifest.js';
import type { ConfirmedObject, FailedAttempt } from '../../storage/UploadObserver.js';

/** A request of the control port that has had its answer. */
export interface AnsweredRequest {
  readonly method: string;
  /** The route's pattern; null where there is no such route. */
  readonly route: string | null;
  readonly status: number;
  /** How long it took, ms. */
  readonly tookMs: number;
  /** The recording that it asked for and got. */
  readonly recordingId: string | null;
}

/** What traces are made from. Whoever tells of something knows nothing of what becomes of it: nothing here throws or is waited for. */
export interface Traces {
  stored(object: ConfirmedObject): void;
  retrying(attempt: FailedAttempt): void;
  /** A recording is whole in its store. */
  finished(manifest: Manifest): void;
  /** Nothing of a recording is kept. */
  failed(manifest: Manifest): void;
  answered(request: AnsweredRequest): void;
  /** Spans that were taken by the endpoint, and that were lost. */
  readonly spans: { readonly taken: number; readonly lost: number };
  /** Hands over what there is; soon over in any case. Never rejects. */
  stop(): Promise<void>;
}

const nothing = (): void => undefined;

/** Where nobody wants any. */
export const noTraces: Traces = {
  stored: nothing,
  retrying: nothing,
  finished: nothing,
  failed: nothing,
  answered: nothing,
  spans: { taken: 0, lost: 0 },
  stop: async () => Promise.resolve(),
};

/** Traces as they are configured. Without an endpoint OpenTelemetry's SDK isn't even loaded. */
export function tracesFor(tracing: Config['tracing'], log: Logger): Traces {
  const { endpoint } = tracing;
  if (endpoint === null) return noTraces;
  const options = { ...tracing, endpoint, log };
  return new LateTraces(
    import('./OtlpTraces.js').then(({ OtlpTraces }) => new OtlpTraces(options)),
    log,
  );
}

/** What happens while the exporter is being loaded is told to it when it is there, in order. */
class LateTraces implements Traces {
  readonly #loading: Promise<Traces>;
  #loaded: Traces | null = null;

  constructor(loading: Promise<Traces>, log: Logger) {
    this.#loading = loading
      .catch((error: unknown) => {
        log.error({ err: error }, 'there are no traces: OpenTelemetry cannot be loaded');
        return noTraces;
      })
      .then((traces) => (this.#loaded = traces));
  }

  stored(object: ConfirmedObject): void {
    this.#tell((traces) => traces.stored(object));
  }

  retrying(attempt: FailedAttempt): void {
    this.#tell((traces) => traces.retrying(attempt));
  }

  finished(manifest: Manifest): void {
    this.#tell((traces) => traces.finished(manifest));
  }

  failed(manifest: Manifest): void {
    this.#tell((traces) => traces.failed(manifest));
  }

  answered(request: AnsweredRequest): void {
    this.#tell((traces) => traces.answered(request));
  }

  get spans(): Traces['spans'] {
    return this.#loaded?.spans ?? noTraces.spans;
  }

  async stop(): Promise<void> {
    await (await this.#loading).stop();
  }

  #tell(what: (traces: Traces) => void): void {
    if (this.#loaded !== null) what(this.#loaded);
    else void this.#loading.then(what);
  }
}
