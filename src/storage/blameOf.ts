import { type ErrorCode, ReelayError } from '../config/ReelayError.js';
import { type Blame, StoreFault } from './StoreFault.js';

/** Errors of the upload path that are no {@link StoreFault}; all others of the catalogue are ours. */
const blames: Readonly<Partial<Record<ErrorCode, Blame>>> = {
  store_changed: 'account',
  no_store: 'account',
  unknown_account: 'account',
  accounts_unavailable: 'transient',
};

/** Whose fault a failure is. What nobody has a code for is taken for one of a network or a disk, which passes. */
export function blameOf(error: unknown): Blame {
  if (error instanceof StoreFault) return error.blame;
  if (error instanceof ReelayError) return blames[error.code] ?? 'ours';
  return 'transient';
}

export function codeOf(error: unknown): ErrorCode | null {
  return error instanceof ReelayError ? error.code : null;
}
