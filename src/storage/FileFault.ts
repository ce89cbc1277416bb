import { ReelayError } from '../config/ReelayError.js';
import { StoreFault } from './StoreFault.js';

/** An error of the file that is being stored, on its way through code that takes every error for the store's. */
export class SourceError extends Error {
  constructor(cause: unknown) {
    super('the file that is being stored cannot be read', { cause });
  }
}

const deniedRemedy = "Let this user write in the store's folder, or configure another.";
const unavailableRemedy = "Look at the disk of the store's folder.";

/** Says in this program's words what went wrong in a store's folder. What isn't the folder's fault comes back as it was. */
export function fileFaultOf(error: unknown): Error {
  if (error instanceof SourceError) return error.cause as Error;
  const { code, path } = error as NodeJS.ErrnoException;
  if (error instanceof ReelayError || code === undefined) return error as Error;
  const value = path === undefined ? code : `${code} ${path}`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new StoreFault('store_denied', { value, cause: error, remedy: deniedRemedy });
  return new StoreFault('store_unavailable', { value, cause: error, remedy: unavailableRemedy });
}

/** Runs something in a store's folder. */
export async function inFolder<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw fileFaultOf(error);
  }
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
