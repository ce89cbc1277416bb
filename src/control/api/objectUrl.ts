import { z } from 'zod';
import type { ObjectStore } from '../../storage/ObjectStore.js';

/** How long a URL of the store is good, s. */
const goodSeconds = 300;

/** `direct=true`: the client would rather fetch from the store itself. */
export const direct = z.enum(['true', 'false']).optional();

/**
 * Where the client can fetch an object without reelay; whoever has the URL can.
 *
 * @param bytes - that the object has, if it is the one that is meant
 * @returns null where it has to be answered here: the store signs nothing, or doesn't have it
 */
export async function objectUrl(
  store: ObjectStore | null,
  { key, bytes }: { readonly key: string; readonly bytes: number },
): Promise<string | null> {
  if (store === null || (await store.size(key)) !== bytes) return null;
  return await store.presign(key, goodSeconds);
}
