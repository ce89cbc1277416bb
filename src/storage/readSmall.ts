import { ReelayError } from '../config/ReelayError.js';
import type { ObjectStore } from './ObjectStore.js';

/**
 * An object that is small, whole: stores are written to by others, too, and what lies there under a name of ours may have any size.
 *
 * @param mostBytes - of a larger one nothing is taken, and no more than this is read
 * @returns null where there is none, or a larger one
 * @throws the store's own error
 */
export async function readSmall(store: ObjectStore, key: string, mostBytes: number): Promise<Buffer | null> {
  const stream = await store.read(key).catch(unlessMissing);
  if (stream === null) return null;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > mostBytes) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function unlessMissing(error: unknown): null {
  if (error instanceof ReelayError && error.code === 'object_missing') return null;
  throw error;
}
