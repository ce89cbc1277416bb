import { StoreFault } from './StoreFault.js';

const MiB = 2 ** 20;

/** What S3 allows (its documentation, "Amazon S3 multipart upload limits"); Azure allows more of everything but the least part. */
export const minPartBytes = 5 * MiB;
export const maxPartBytes = 5 * 1024 * MiB;
export const maxParts = 10_000;
/** What S3 (5 GiB) and Azure (5000 MiB) both take with one request. */
export const maxPlainBytes = 5000 * MiB;
export const maxObjectBytes = 5 * 1024 * 1024 * MiB;

export interface PartRange {
  /** From 1. */
  readonly number: number;
  /** Offset of its first byte. */
  readonly start: number;
  readonly bytes: number;
}

/**
 * The smallest part, in whole MiB and no less than 5 MiB, with which an object of up to so many bytes needs 10,000 parts at most.
 *
 * @throws StoreFault `store_refused` past 5 TiB
 */
export function partBytesFor(totalBytes: number): number {
  if (totalBytes > maxObjectBytes) {
    const remedy = 'A store takes up to 5 TiB as one object; record in chunks.';
    throw new StoreFault('store_refused', { value: `${totalBytes} bytes`, remedy });
  }
  return Math.max(minPartBytes, Math.ceil(totalBytes / maxParts / MiB) * MiB);
}

/** Equal parts, the last one shorter; one empty part for an empty object. */
export function partsOf(totalBytes: number, partBytes: number): PartRange[] {
  const count = Math.max(1, Math.ceil(totalBytes / partBytes));
  return Array.from({ length: count }, (_, index) => {
    const start = index * partBytes;
    return { number: index + 1, start, bytes: Math.min(partBytes, totalBytes - start) };
  });
}
