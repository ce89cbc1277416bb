import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Bucket, type BucketAccess } from '../../test/acceptance/Bucket.js';
import type { Fault as RequestFault } from '../../test/acceptance/FaultProxy.js';

export type StoreOrder = RequestFault | { readonly type: 'none' };
/** Requests met by a fault since the beginning, and all of them. */
export interface StoreCounts {
  readonly met: number;
  readonly seen: number;
}
export interface StoreAddress {
  /** Of the proxy. */
  readonly endpoint: string;
  /** Past the proxy. */
  readonly access: BucketAccess;
}

/** An S3 store behind a proxy that spoils requests on demand, in a process of its own (`storeProcess.ts`). */
export class StoreHouse {
  readonly downloads = mkdtempSync(join(tmpdir(), 'reelay-chaos-store-'));
  readonly #child: ChildProcess;
  readonly #address: StoreAddress;
  readonly #bucket: Bucket;
  readonly #fetched = new Set<string>();

  private constructor(child: ChildProcess, address: StoreAddress) {
    this.#child = child;
    this.#address = address;
    this.#bucket = new Bucket(address.access);
  }

  static async open(): Promise<StoreHouse> {
    const child = fork(fileURLToPath(new URL('./storeProcess.js', import.meta.url)));
    process.once('exit', () => child.kill('SIGKILL'));
    const [address] = (await once(child, 'message')) as [StoreAddress];
    return new StoreHouse(child, address);
  }

  /** As an account's configuration has it. */
  get entry(): Readonly<Record<string, unknown>> {
    const { endpoint, access } = this.#address;
    const { bucket, accessKeyId, secretAccessKey } = access;
    return { type: 's3', endpoint, bucket, accessKeyId, secretAccessKey };
  }

  /** What happens to every request from now on. */
  async spoil(order: StoreOrder): Promise<StoreCounts> {
    const answered = once(this.#child, 'message') as Promise<[StoreCounts]>;
    this.#child.send(order);
    return (await answered)[0];
  }

  /** Copies what is new in the bucket into {@link downloads}. */
  async fetch(): Promise<void> {
    const objects = await this.#bucket.objects();
    const fresh = [...objects.keys()].filter((key) => !this.#fetched.has(key));
    await this.#bucket.download(fresh, this.downloads);
    for (const key of fresh) this.#fetched.add(key);
  }

  async close(): Promise<void> {
    this.#bucket.close();
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
    rmSync(this.downloads, { recursive: true, force: true });
  }
}
