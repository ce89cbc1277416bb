import { ReelayError, type ErrorCode } from '../config/ReelayError.js';

/**
 * Who has to do something about a store that failed. `transient`: nobody, it is tried again. `account`: whoever configured
 * the account (wrong or expired keys, no such bucket, no permission); it is parked. `ours`: a request that no try can mend.
 */
export type Blame = 'transient' | 'account' | 'ours';

const blames = {
  store_unavailable: 'transient',
  store_denied: 'account',
  store_refused: 'ours',
  upload_gone: 'transient',
} as const satisfies Partial<Readonly<Record<ErrorCode, Blame>>>;

export type StoreFaultCode = keyof typeof blames;

/** A store that failed. `value` is the store's own word for it, for example `503 SlowDown`. */
export class StoreFault extends ReelayError {
  declare readonly code: StoreFaultCode;
  readonly blame: Blame;
  /** How long the store asked to be left alone (`Retry-After`), ms; null where it said nothing. */
  readonly retryAfterMs: number | null;

  constructor(
    code: StoreFaultCode,
    details: { value?: unknown; remedy?: string; cause?: unknown; retryAfterMs?: number | null } = {},
  ) {
    super(code, details);
    this.name = 'StoreFault';
    this.blame = blames[code];
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}
