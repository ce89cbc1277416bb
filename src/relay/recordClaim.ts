import type { AccountConfig } from '../config/Config.js';
import type { ErrorCode } from '../config/ReelayError.js';
import type { CallFacts } from '../tap/TapRecord.js';
import type { FoundAccount } from './AccountFinder.js';
import type { Admitted } from './Admission.js';
import { hasSecret } from './Evidence.js';

/** Whose a recording of jambonz's own is. */
export type RecordClaim =
  /** An account's. Null: it is recorded first, and who uploads it finds the account. */
  | { readonly kind: 'recorded'; readonly accountId: string; readonly account: AccountConfig | null }
  /** It is written down that there was a call, under an account that may see it. */
  | {
      readonly kind: 'failed';
      readonly accountId: string;
      readonly reason: NonNullable<CallFacts['failed']>;
      readonly claimedAccountId?: string;
    }
  /** Nobody may be told of it but whoever reads the log. */
  | { readonly kind: 'unplaced'; readonly code: ErrorCode };

/** The account id of a recording whose socket never said one and could be anybody's. */
export const unnamedAccount = 'unknown';

/**
 * Holds what a recording's first frame says against what its socket has proven.
 *
 * @param accountId - as the first frame names it; null where none came
 * @param found - the account of that id
 */
export function recordClaim(admitted: Admitted, accountId: string | null, found: FoundAccount): RecordClaim {
  if (accountId === null) return unnamed(admitted, found);
  if (found === 'unavailable') {
    return admitted.speaksForAll || admitted.mayNameUnknown
      ? { kind: 'recorded', accountId, account: null }
      : { kind: 'unplaced', code: 'accounts_unavailable' };
  }
  if (found === null) {
    return admitted.speaksForAll || admitted.mayNameUnknown
      ? { kind: 'failed', accountId, reason: 'unknown_account' }
      : mismatch(admitted, accountId);
  }
  return isProven(admitted, found)
    ? { kind: 'recorded', accountId, account: found }
    : mismatch(admitted, accountId);
}

function isProven(admitted: Admitted, account: AccountConfig): boolean {
  if (admitted.speaksForAll || admitted.proven.has(account.id)) return true;
  const isConfigured = admitted.config.accounts.some(({ id }) => id === account.id);
  if (isConfigured || !admitted.evidence.proves(account)) return false;
  // Showing the secret of one account is no proof for another that has none, though both be on this machine.
  return !admitted.hasShownSecret || hasSecret(account, admitted.dialect.name);
}

/** Only `*` takes a call that names no account at all. */
function unnamed(admitted: Admitted, catchAll: FoundAccount): RecordClaim {
  if (catchAll !== null && catchAll !== 'unavailable' && isProven(admitted, catchAll))
    return { kind: 'recorded', accountId: unnamedAccount, account: catchAll };
  const accountId = placeOf(admitted) ?? unnamedAccount;
  const mayBeTold = accountId !== unnamedAccount || admitted.speaksForAll || admitted.mayNameUnknown;
  return mayBeTold
    ? { kind: 'failed', accountId, reason: 'unknown_account' }
    : { kind: 'unplaced', code: 'account_unknown' };
}

/** It is shown to the account whose secret opened the socket; that which was named has nothing to do with it. */
function mismatch(admitted: Admitted, claimedAccountId: string): RecordClaim {
  const accountId = placeOf(admitted);
  return accountId === null
    ? { kind: 'unplaced', code: 'account_mismatch' }
    : { kind: 'failed', accountId, reason: 'account_mismatch', claimedAccountId };
}

function placeOf({ proven, hasShownSecret }: Admitted): string | null {
  return hasShownSecret ? ([...proven].find((id) => id !== '*') ?? null) : null;
}
