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

export interface PutExpectations {
  /** Hex, of the file. */
  readonly sha256: string;
  /** Default: by the key's ending. */
  readonly contentType?: string;
  /** Kept with the object where the store can; ASCII names and values. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Awaited before a multipart upload is begun under the key, so that its remains can be found after a crash. */
  readonly beforeMultipart?: () => Promise<void>;
}

/** A multipart upload that was begun. */
export interface MultipartUpload {
  readonly key: string;
  readonly uploadId: string;
}

/** A part to be sent; `read` is called once per attempt. */
export interface PartBody {
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly read: () => Readable;
}

/** A part that the store has. */
export interface StoredPart {
  /** From 1. */
  readonly number: number;
  readonly bytes: number;
  /** Whatever the store wants to hear again when the upload is completed. */
  readonly tag: string;
  /** Hex, as the store confirmed it; null where it lists parts without checksums. */
  readonly sha256: string | null;
}

/** An object that grows: parts in any order, each of the same size but the last. */
export interface Multipart {
  begin(key: string, options?: Pick<PutExpectations, 'contentType' | 'metadata'>): Promise<MultipartUpload>;
  /** Resolves only when the store has confirmed the part's bytes, or has accepted a checksum that was sent with them. */
  put(upload: MultipartUpload, number: number, body: PartBody): Promise<StoredPart>;
  /** What the store has of the upload; null when it knows no such upload (any more). */
  parts(upload: MultipartUpload): Promise<readonly StoredPart[] | null>;
  /**
   * Makes the object. Resolves only when the store has confirmed it whole, by its checksum or by reading it back; that also
   * holds when an earlier attempt was applied and its answer lost.
   *
   * @param expected - of every part, in order; what was put
   * @throws StoreFault `upload_gone` when the store knows neither the upload nor the finished object
   */
  complete(
    upload: MultipartUpload,
    parts: readonly StoredPart[],
    expected: readonly Pick<PartBody, 'bytes' | 'sha256'>[],
  ): Promise<StoredObject>;
  /** Does nothing when there is no such upload. */
  abort(upload: MultipartUpload): Promise<void>;
  /** Uploads that are open under exactly this key. */
  open(key: string): Promise<readonly MultipartUpload[]>;
}

/**
 * What reelay needs of a place where objects are kept; narrow, so that a bucket, a folder and a test's faulty store look the
 * same. Keys are those of the spool's layout. Every method may be called for one key at a time only, and throws {@link StoreFault}
 * where the store itself fails: its `blame` says who has to do something about it.
 */
export interface ObjectStore {
  /** Kind and place, never a secret: two stores with one name hold the same objects. For log lines and notes. */
  readonly name: string;
  /**
   * Stores a file. Resolves only when the store has confirmed the bytes: by a checksum that it checked itself or by reading
   * them back. Storing the same content again does no harm.
   *
   * @throws ReelayError `checksum_mismatch` when the file's own content isn't what `sha256` says
   */
  put(key: string, file: string, expected: PutExpectations): Promise<StoredObject>;
  /** @throws ReelayError `object_missing` */
  read(key: string, range?: ByteRange): Promise<Readable>;
  /**
   * A URL at which anybody can read the object for so long, without reelay; whether there is one isn't asked.
   *
   * @param seconds - 1 to 604 800
   * @returns null where the store can make none
   */
  presign(key: string, seconds: number): Promise<string | null>;
  /** Bytes, or null when there is no such object. */
  size(key: string): Promise<number | null>;
  /**
   * Objects whose key begins with the prefix, in no certain order.
   *
   * @param after - leaves out keys that sort before it
   */
  list(prefix: string, after?: string): AsyncIterable<StoredObject>;
  /** Does nothing when there is no such object. */
  delete(key: string): Promise<void>;
  readonly multipart: Multipart;
  /** Closes idle connections. */
  close(): void;
}
