import { S3Server } from '../storage/fixtures/S3Server.js';
import type { BucketAccess } from './Bucket.js';
import type { StoreBackend } from './StoreBackend.js';

/** The S3 server of the tests, in this process. */
export class TestServer implements StoreBackend {
  readonly name = 's3rver';
  readonly #server: S3Server;

  private constructor(server: S3Server) {
    this.#server = server;
  }

  static async open(): Promise<TestServer> {
    return new TestServer(await S3Server.start({ buckets: [] }));
  }

  get endpoint(): string {
    return this.#server.endpoint;
  }

  async account(id: string): Promise<BucketAccess> {
    const keys = { accessKeyId: `key-${id}`, secretAccessKey: `secret-of-${id}` };
    await this.#server.addBucket({ name: `bucket-${id}`, ...keys });
    return { endpoint: this.endpoint, bucket: `bucket-${id}`, ...keys };
  }

  async close(): Promise<void> {
    await this.#server.close();
  }
}
