import { ReelayError } from '../config/ReelayError.js';
import { StoreFault } from './StoreFault.js';
import { retryAfterMs } from './S3Fault.js';

/** What the SDK throws, as far as it is looked at. */
interface Thrown {
  readonly name?: string;
  readonly message?: string;
  readonly code?: unknown;
  readonly statusCode?: number;
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
}

const remedies = {
  credentials: "Correct the store's connectionString or sasUrl (it may have expired) and send SIGHUP.",
  permission: 'Allow this signature or key what docs/stores.md lists, on this container.',
  container: "Create the container, or correct the store's container or account, and send SIGHUP.",
} as const;

/** Azure's own words that are the account's affair, whatever status they come with. */
const accountCodes: Readonly<Record<string, keyof typeof remedies>> = {
  AuthenticationFailed: 'credentials',
  InvalidAuthenticationInfo: 'credentials',
  NoAuthenticationInformation: 'credentials',
  KeyBasedAuthenticationNotPermitted: 'credentials',
  ContainerNotFound: 'container',
  ContainerDisabled: 'container',
  InvalidResourceName: 'container',
  ResourceNotFound: 'container',
  AccountIsDisabled: 'container',
};

/** Refusals that look final by their status and are not. */
const passingCodes: ReadonlySet<string> = new Set([
  'Md5Mismatch',
  'Crc64Mismatch',
  'OperationTimedOut',
  'ServerBusy',
]);
const passingStatuses: ReadonlySet<number> = new Set([408, 409, 412, 425, 429]);

/** Says in this program's words what went wrong with a request to Azure. Errors of this program's own come back as they are. */
export function azureFaultOf(error: unknown): Error {
  if (error instanceof ReelayError) return error;
  const thrown = error as Thrown;
  const { statusCode: status } = thrown;
  const code = wordOf(thrown);
  const value = [status, code ?? (status === undefined ? thrown.name : undefined)]
    .filter((part) => part !== undefined)
    .join(' ');
  const retryAfter = thrown.response?.headers?.get('retry-after');
  const details = {
    value,
    cause: withoutSignature(thrown),
    retryAfterMs: retryAfter === undefined ? null : retryAfterMs({ 'retry-after': retryAfter }),
  };
  const kind = accountKind(status, code);
  if (kind !== undefined) return new StoreFault('store_denied', { ...details, remedy: remedies[kind] });
  return new StoreFault(isPassing(status, code, thrown) ? 'store_unavailable' : 'store_refused', details);
}

/** The service's word for it, such as `BlobNotFound`. */
export function azureCodeOf(error: unknown): string | undefined {
  return wordOf(error as Thrown);
}

/** An answer to a HEAD has it in its headers only. */
function wordOf({ code, response }: Thrown): string | undefined {
  return typeof code === 'string' ? code : response?.headers?.get('x-ms-error-code');
}

function accountKind(
  status: number | undefined,
  code: string | undefined,
): keyof typeof remedies | undefined {
  const known = code === undefined ? undefined : accountCodes[code];
  if (known !== undefined) return known;
  if (status === 401) return 'credentials';
  if (status === 403) return 'permission';
  return status === 404 ? 'container' : undefined;
}

function isPassing(status: number | undefined, code: string | undefined, { name }: Thrown): boolean {
  if (code !== undefined && passingCodes.has(code)) return true;
  if (status === undefined) return code !== undefined || name === 'AbortError' || name === 'RestError';
  return status < 300 || status >= 500 || passingStatuses.has(status);
}

/** The SDK's errors hold the request, and with it the URL and its signature. */
function withoutSignature({ name = 'Error', message = '' }: Thrown): Error {
  return new Error(`${name}: ${message.replace(/\?[^\s"']*/g, '?…')}`);
}
