import type { Readable } from 'node:stream';

export interface StoredObject {
  /** Relative to the store's root, with forward slashes. */
  readonly key: string;
  readonly bytes: number;
}

/** Bytes of an object, both ends included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * What reelay needs of a place where objects are kept; narrow, so that a bucket, a folder and a test's faulty store look the
 * same. Keys are those of the spool's layout. Every method may be called for one key at a time only.
 */
export interface ObjectStore {
  /** For log lines: kind and place, never a secret. */
  readonly name: string;
  /**
   * Stores a file. Resolves only when the store has confirmed the bytes: by a checksum that it checked itself or by reading
   * them back. Storing the same content again does no harm.
   *
   * @throws ReelayError `checksum_mismatch` when the file's own content isn't what `sha256` says
   */
  put(key: string, file: string, expected: { readonly sha256: string }): Promise<StoredObject>;
  /** @throws ReelayError `object_missing` */
  read(key: string, range?: ByteRange): Promise<Readable>;
  /** Bytes, or null when there is no such object. */
  size(key: string): Promise<number | null>;
  /** Objects whose key begins with the prefix, in no certain order. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Does nothing when there is no such object. */
  delete(key: string): Promise<void>;
}
