import { type ErrorCode, ReelayError } from '../../config/ReelayError.js';

/** The HTTP status of an error, where it isn't the server's own fault. */
const statuses: Partial<Record<ErrorCode, number>> = {
  unauthorized: 401,
  forbidden: 403,
  too_many_attempts: 429,
  not_found: 404,
  recording_failed: 409,
  recording_not_live: 409,
  recording_held: 409,
  recording_unstored: 409,
  recording_deleted: 410,
  no_store: 409,
  range_unsatisfiable: 416,
  request_invalid: 400,
  wav_too_long: 422,
  starting: 503,
  catalogue_unavailable: 503,
  too_many_downloads: 503,
  accounts_unavailable: 503,
  signature_missing: 403,
  signature_invalid: 403,
  account_unknown: 403,
  account_loopback_only: 403,
  room_unknown: 404,
  room_denied: 502,
  room_unreachable: 503,
  rooms_full: 503,
  spool_full: 503,
  overloaded: 503,
  draining: 503,
  too_many_streams: 503,
};

export interface HttpError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly code: string; readonly message: string; readonly remedy: string | null };
}

/** What an error looks like to who asked: an unexpected one tells nothing of the inside. */
export function httpErrorOf(error: unknown): HttpError {
  if (!(error instanceof ReelayError)) {
    const isTheirs = clientStatusOf(error) !== undefined;
    const value = isTheirs ? (error as Error).message : undefined;
    return httpErrorOf(new ReelayError(isTheirs ? 'request_invalid' : 'internal', { value }));
  }
  const status = statuses[error.code] ?? 500;
  const headers: Record<string, string> = {};
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="reelay"';
  if (status === 503) headers['retry-after'] = '2';
  if (status === 429) headers['retry-after'] = '60';
  return {
    status,
    headers,
    body: { code: error.code, message: error.message, remedy: error.remedy ?? null },
  };
}

/** Fastify's own complaints about a request (a body that isn't JSON, one that is too long) carry their status. */
function clientStatusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}
