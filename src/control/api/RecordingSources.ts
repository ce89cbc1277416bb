import type { FastifyRequest } from 'fastify';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import type { KeyScope } from '../../config/ApiKey.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { AuditTrail } from './AuditTrail.js';
import type { Scope } from './Keyring.js';
import type { Library } from '../library/Library.js';
import type { LiveCalls } from '../library/LiveCalls.js';
import type { Throttle } from './Throttle.js';

/** What the routes of recordings and calls answer from. */
export interface RecordingSources {
  readonly library: Library;
  readonly calls: LiveCalls;
  /** All audio that goes out passes it. */
  readonly throttle: Throttle;
  /** Told what a request turns out to be about. */
  readonly trail: AuditTrail;
  /**
   * @param deed - what it wants to do; default: to read; null: that is asked later, of {@link insistOn}
   * @throws ReelayError `unauthorized`, `forbidden`, `too_many_attempts`
   */
  readonly scopeOf: (request: FastifyRequest, deed?: KeyScope | null) => Scope;
}

/**
 * What somebody may not see is looked for like what isn't there, with the same waits, refusals and words: no answer tells the one from the
 * other. So whether a key may do what it wants is asked last.
 *
 * @param deed - what it wants to do; default: to read
 * @returns null for a recording that a call has named and the recorder not yet announced
 * @throws ReelayError `not_found`, also for what somebody else may see; `recording_deleted`, `forbidden`
 */
export async function findRecording(
  sources: RecordingSources,
  scope: Scope,
  id: string,
  deed: KeyScope = 'read',
): Promise<CatalogueEntry | null> {
  const { library, calls, trail } = sources;
  const caller = calls.accountOfRecording(id);
  const isOwnCall = caller !== undefined && scope.sees(caller);
  const entry = isOwnCall ? await library.known(id) : await library.find(id, scope.sees);
  if (entry === undefined && (!isOwnCall || (await isBuried(library, id, caller))))
    throw await absent(sources, scope, id, deed);
  const accountId = entry?.accountId ?? caller;
  if (accountId === undefined || !scope.sees(accountId)) throw notFound(id);
  trail.found(scope, { accountId, recordingId: id });
  insistOn(scope, deed);
  return entry ?? null;
}

/** @throws ReelayError `forbidden` */
export function insistOn(scope: Scope, deed: KeyScope): void {
  if (!scope.may(deed))
    throw new ReelayError('forbidden', { remedy: `Use a key whose scopes have ${deed}.` });
}

/** Its call is remembered for some time, also when the recording is gone already. What another account says of it doesn't count. */
async function isBuried(library: Library, id: string, accountId: string): Promise<boolean> {
  return (await library.tombstone(id).catch(() => undefined))?.accountId === accountId;
}

/** Of a recording that was deleted its account is told so. Whoever has a link isn't the account: to them it has come to its end. */
async function absent(
  { library, trail }: RecordingSources,
  scope: Scope,
  id: string,
  deed: KeyScope,
): Promise<ReelayError> {
  const tombstone = await library.tombstone(id);
  const isOwn = tombstone !== undefined && scope.sees(tombstone.accountId);
  if (isOwn) trail.found(scope, { accountId: tombstone.accountId, recordingId: id });
  if (scope.isOfLink === true) return deadLink();
  if (!isOwn) return notFound(id);
  insistOn(scope, deed);
  return new ReelayError('recording_deleted', { value: `${id}, at ${tombstone.deletedTime}` });
}

export function notFound(value: string): ReelayError {
  return new ReelayError('not_found', {
    value,
    remedy: 'Check the id, and whether the key is of its account.',
  });
}

/** What becomes of every link that opens nothing, or nothing any more. */
export function deadLink(): ReelayError {
  const remedy = 'Ask whoever gave you the link for another one.';
  return new ReelayError('not_found', { value: 'a link that is wrong or has expired', remedy });
}
