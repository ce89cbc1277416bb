import type { BucketAccess } from './Bucket.js';

/** An S3 service on this machine, in which every account has a bucket and a key of its own. */
export interface StoreBackend {
  /** For people. */
  readonly name: string;
  readonly endpoint: string;
  /** Makes a bucket and a key that is good for it alone. */
  account(id: string): Promise<BucketAccess>;
  close(): Promise<void>;
}
