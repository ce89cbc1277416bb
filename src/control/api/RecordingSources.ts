import type { FastifyRequest } from 'fastify';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import type { KeyScope } from '../../config/ApiKey.js';
import { ReelayError } from '../../config/ReelayError.js';
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
  /**
   * @param deed - what it wants to do; default: to read
   * @throws ReelayError `unauthorized`, `forbidden`, `too_many_attempts`
   */
  readonly scopeOf: (request: FastifyRequest, deed?: KeyScope) => Scope;
}

/**
 * @returns null for a recording that a call has named and the recorder not yet announced
 * @throws ReelayError `not_found`, also for what somebody else may see; `recording_deleted`
 */
export async function findRecording(
  { library, calls }: RecordingSources,
  scope: Scope,
  id: string,
): Promise<CatalogueEntry | null> {
  const caller = calls.accountOfRecording(id);
  const entry = caller === undefined ? await library.find(id) : await library.known(id);
  const accountId = entry?.accountId ?? caller;
  if (accountId === undefined) throw await absent(library, scope, id);
  if (!scope.sees(accountId)) throw notFound(id);
  if (entry !== undefined) return entry;
  // A call may have named it long ago, and it is gone by now.
  if ((await library.tombstone(id)) !== undefined) throw await absent(library, scope, id);
  return null;
}

/** Of a recording that was deleted its account is told so. */
async function absent(library: Library, scope: Scope, id: string): Promise<ReelayError> {
  const tombstone = await library.tombstone(id);
  if (tombstone === undefined || !scope.sees(tombstone.accountId)) return notFound(id);
  return new ReelayError('recording_deleted', { value: `${id}, at ${tombstone.deletedTime}` });
}

export function notFound(value: string): ReelayError {
  return new ReelayError('not_found', {
    value,
    remedy: 'Check the id, and whether the key is of its account.',
  });
}
