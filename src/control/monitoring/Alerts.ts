import type { Logger } from 'pino';
import type { ErrorCode } from '../../config/ReelayError.js';
import type { AlertDocument } from './SystemDocument.js';

/** Something that somebody has to do something about, and that doesn't pass by itself. */
export interface Alert {
  readonly code: ErrorCode;
  /** For people. */
  readonly message: string;
  /** For the log line; never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * What is wrong at the moment. Whoever is paged by it is paged once: an alert is told when it begins and when it is over, at the
 * same level, so that both take the same way, and never in between.
 */
export class Alerts {
  readonly #log: Logger;
  readonly #raised: (alert: Alert) => void;
  readonly #open = new Map<string, Alert & { readonly sinceMs: number }>();

  /** @param raised - told of each beginning; must not throw */
  constructor(log: Logger, raised: (alert: Alert) => void) {
    this.#log = log;
    this.#raised = raised;
  }

  /** @param about - what is in trouble, for example an account; it has one alert at a time */
  raise(about: string, alert: Alert): void {
    if (this.#open.get(about)?.code === alert.code) return;
    this.#open.set(about, { ...alert, sinceMs: Date.now() });
    this.#log.error({ ...alert.details, alert: true, code: alert.code }, alert.message);
    this.#raised(alert);
  }

  /** What is wrong now. */
  get open(): AlertDocument[] {
    return [...this.#open].map(([about, { code, message, sinceMs }]) => ({
      about,
      code,
      message,
      since: new Date(sinceMs).toISOString(),
    }));
  }

  /** Does nothing where nothing was wrong. */
  resolve(about: string, message: string): void {
    const alert = this.#open.get(about);
    if (alert === undefined) return;
    this.#open.delete(about);
    this.#log.error({ ...alert.details, alert: true, resolved: true, code: alert.code }, message);
  }
}
