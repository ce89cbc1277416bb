import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';

export interface BucketAccess {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A bucket as anybody with its key sees it, by the SDK's own client and past every proxy. */
export class Bucket {
  readonly name: string;
  readonly #client: S3Client;

  constructor({ endpoint, bucket, accessKeyId, secretAccessKey }: BucketAccess) {
    this.name = bucket;
    this.#client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
  }

  /** Every object of recordings, bytes by key; not what is noted beside them, whenever that comes. */
  async objects(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (let token: string | undefined; ;) {
      const page = await this.#client.send(
        new ListObjectsV2Command({ Bucket: this.name, ContinuationToken: token }),
      );
      for (const { Key = '', Size = 0 } of page.Contents ?? [])
        if (!/(?:^|\/)_reelay\//.test(Key)) found.set(Key, Size);
      if (page.IsTruncated !== true) return found;
      token = page.NextContinuationToken;
    }
  }

  async read(key: string): Promise<Buffer> {
    const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.name, Key: key }));
    if (Body === undefined) throw new Error(`${key} has no body`);
    return Buffer.from(await Body.transformToByteArray());
  }

  /** Copies objects into a folder, as any tool would. */
  async download(keys: Iterable<string>, dir: string): Promise<void> {
    for (const key of keys) {
      const file = join(dir, key);
      await mkdir(dirname(file), { recursive: true });
      const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.name, Key: key }));
      await pipeline(Body as Readable, createWriteStream(file));
    }
  }

  /** Keys of multipart uploads that were begun and neither completed nor aborted. */
  async openUploads(): Promise<string[]> {
    const { Uploads = [] } = await this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.name }));
    return Uploads.map(({ Key }) => Key ?? '');
  }

  /** @returns the status with which the service refuses, or null when it lets one read */
  async refuses(key: string | undefined): Promise<number | null> {
    try {
      if (key === undefined) await this.#client.send(new ListObjectsV2Command({ Bucket: this.name }));
      else await this.read(key);
      return null;
    } catch (error) {
      return (
        (error as { readonly $metadata?: { readonly httpStatusCode?: number } }).$metadata?.httpStatusCode ??
        0
      );
    }
  }

  close(): void {
    this.#client.destroy();
  }
}
