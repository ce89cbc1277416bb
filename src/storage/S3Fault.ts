import { ReelayError } from '../config/ReelayError.js';
import { StoreFault, type StoreFaultCode } from './StoreFault.js';

/** What the SDK throws, as far as it is looked at. */
interface Thrown {
  readonly name?: string;
  readonly message?: string;
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
}

const remedies = {
  credentials: "Correct the store's access keys (or the credentials of this machine) and send SIGHUP.",
  permission: 'Allow these credentials what docs/stores.md lists, on this bucket and its prefix.',
  bucket: "Create the bucket, or correct the store's bucket, and send SIGHUP.",
  region: "Set the store's region, or its endpoint, to the bucket's own and send SIGHUP.",
  key: "Let these credentials use the encryption key, or correct the store's encryption, and send SIGHUP.",
  feature: "Leave out what this store can't do (tags, storage class, encryption) and send SIGHUP.",
  certificate: "Make the store's certificate one that this machine trusts (NODE_EXTRA_CA_CERTS).",
} as const;

/** S3's own words that are the account's affair, whatever status they come with. */
const accountCodes: Readonly<Record<string, keyof typeof remedies>> = {
  AccessDenied: 'permission',
  AllAccessDisabled: 'permission',
  AccountProblem: 'permission',
  NotSignedUp: 'permission',
  InvalidObjectState: 'permission',
  InvalidAccessKeyId: 'credentials',
  SignatureDoesNotMatch: 'credentials',
  ExpiredToken: 'credentials',
  ExpiredTokenException: 'credentials',
  InvalidToken: 'credentials',
  InvalidSecurity: 'credentials',
  TokenRefreshRequired: 'credentials',
  CredentialsProviderError: 'credentials',
  // Node's word for a line's end in a key that came out of a file.
  ERR_INVALID_CHAR: 'credentials',
  // The Versity gateway's word for an access key that it doesn't know.
  XAdminUserNotFound: 'credentials',
  NoSuchBucket: 'bucket',
  InvalidBucketName: 'bucket',
  EndpointError: 'bucket',
  PermanentRedirect: 'region',
  AuthorizationHeaderMalformed: 'region',
  IllegalLocationConstraintException: 'region',
  NotImplemented: 'feature',
  InvalidStorageClass: 'feature',
  InvalidTag: 'feature',
  InvalidEncryptionAlgorithmError: 'feature',
};

/** Refusals that look final by their status and are not. */
const passingCodes: ReadonlySet<string> = new Set([
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'IncompleteBody',
  'BadDigest',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
  'XAmzContentChecksumMismatch',
  'TemporaryRedirect',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'InternalError',
  'ServiceUnavailable',
]);
const passingStatuses: ReadonlySet<number> = new Set([307, 408, 409, 412, 425, 429]);

/** Says in this program's words what went wrong with a request to S3. Errors of this program's own come back as they are. */
export function s3FaultOf(error: unknown): Error {
  if (error instanceof ReelayError) return error;
  const thrown = error as Thrown;
  const status = thrown.$metadata?.httpStatusCode ?? thrown.$response?.statusCode;
  const code = codeOf(thrown);
  const value = [status, code].filter((part) => part !== undefined).join(' ');
  const kind = accountKind(status, code, thrown);
  const details = { value, cause: error, retryAfterMs: retryAfterMs(thrown.$response?.headers) };
  if (kind !== undefined) return new StoreFault('store_denied', { ...details, remedy: remedies[kind] });
  return new StoreFault(otherCode(status, code, thrown), details);
}

/** The store's word for it, or the operating system's. */
export function codeOf({ name, code }: Thrown): string | undefined {
  if (typeof code === 'string') return code;
  // For a HEAD, which has no body to say more, the SDK makes names up.
  if (
    name === undefined ||
    ['Error', 'Unknown', 'UnknownError', 'NotFound', 'S3ServiceException'].includes(name)
  )
    return undefined;
  return /^\d+$/.test(name) ? undefined : name;
}

function accountKind(
  status: number | undefined,
  code: string | undefined,
  { message = '' }: Thrown,
): keyof typeof remedies | undefined {
  if (code !== undefined) {
    if (passingCodes.has(code)) return undefined;
    if (code.startsWith('KMS.') || (code === 'AccessDenied' && /\bkms\b/i.test(message))) return 'key';
    const known = accountCodes[code];
    if (known !== undefined) return known;
    if (/^(CERT_|ERR_TLS_CERT|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(code)) return 'certificate';
  }
  if (status === 301) return 'region';
  if (status === 401 || status === 403) return 'permission';
  if (status === 501) return 'feature';
  return status === 404 && code !== 'NoSuchKey' && code !== 'NoSuchUpload' ? 'bucket' : undefined;
}

function otherCode(status: number | undefined, code: string | undefined, thrown: Thrown): StoreFaultCode {
  if (code === 'NoSuchUpload') return 'upload_gone';
  if (code !== undefined && passingCodes.has(code)) return 'store_unavailable';
  // Without a status, the operating system's codes (ECONNRESET …), time-outs, and nothing that a store could have said.
  if (status === undefined) {
    const isTransport = typeof thrown.code === 'string' || /^(Timeout|Abort)Error$/.test(thrown.name ?? '');
    return isTransport ? 'store_unavailable' : 'store_refused';
  }
  // An answer that says 200 and can't be read, or that the SDK takes for a failure.
  if (status < 300 || status >= 500 || passingStatuses.has(status)) return 'store_unavailable';
  return 'store_refused';
}

/** @returns ms; RFC 9110, section 10.2.3: seconds or a date */
export function retryAfterMs(headers: Readonly<Record<string, string>> | undefined): number | null {
  const text = headers?.['retry-after']?.trim();
  if (text === undefined || text === '') return null;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
}
