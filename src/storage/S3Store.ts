import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { S3StoreConfig } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { type Clock, clockOf } from './Clock.js';
import { contentTypeOf, isObjectKey, partsOfKey, plainMetadata } from './objectKey.js';
import type { ByteRange, Multipart, ObjectStore, PutExpectations, StoredObject } from './ObjectStore.js';
import { maxPartBytes, minPartBytes, partBytesFor, partsOf } from './partSize.js';
import { S3Connection } from './S3Connection.js';
import { S3Multipart } from './S3Multipart.js';
import { S3Reading } from './S3Reading.js';
import { StoreFault } from './StoreFault.js';
import { Sums } from './Sums.js';

/** Parts of one file that are under way at once; each is in memory while it is. */
const partsAtOnce = 2;

/**
 * Objects of a bucket of AWS S3, or of anything that speaks its protocol. An object counts as stored when the store has given
 * back the SHA-256 that was sent with it, which it only does when it has compared it; one that gives none back (an older
 * compatible store) is read back and hashed. The ETag is never asked.
 */
export class S3Store implements ObjectStore {
  readonly name: string;
  readonly multipart: Multipart;
  readonly #config: S3StoreConfig;
  readonly #connection: S3Connection;
  readonly #reading: S3Reading;

  /** @param clock - of the deadlines of its requests */
  constructor(config: S3StoreConfig, clock: Clock = clockOf()) {
    const region =
      config.region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1';
    this.name = nameOf(config, region);
    this.#config = config;
    this.#connection = new S3Connection(config, region, clock);
    this.#reading = new S3Reading(this.#connection, config.bucket);
    this.multipart = new S3Multipart({
      connection: this.#connection,
      reading: this.#reading,
      bucket: config.bucket,
      keyOf: (key) => this.#keyOf(key),
      inputOf: (key, options) => this.#inputOf(key, options),
    });
  }

  async put(key: string, file: string, expected: PutExpectations): Promise<StoredObject> {
    const input = this.#inputOf(key, expected);
    const { size: bytes } = await stat(file);
    // Where nobody takes down that an upload in parts was begun, none is: then it is one request, as far as S3 takes one.
    const isPlain = expected.beforeMultipart === undefined && bytes <= maxPartBytes;
    const partBytes = isPlain ? Math.max(bytes, 1) : partBytesFor(bytes);
    const isWhole = bytes <= partBytes;
    if (!isWhole) await expected.beforeMultipart?.();
    const sizes = partsOf(bytes, partBytes).map((part) => part.bytes);
    const body = checked(file, sizes, expected.sha256);
    const checksum = isWhole
      ? { ChecksumSHA256: base64(expected.sha256) }
      : { ChecksumAlgorithm: 'SHA256' as const };
    const params = { ...input, ...checksum, Body: body, ContentLength: bytes };
    const echoed = await this.#connection
      .attemptSending(input.Key, bytes, async ({ sdk, client, fail }) => {
        if (isWhole && bytes > minPartBytes) {
          // lib-storage would hold all of it in memory.
          if (body.errored !== null) throw body.errored;
          body.on('error', fail);
          return (await client.send(new sdk.PutObjectCommand(params))).ChecksumSHA256;
        }
        // When the file fails, the upload hears of it by itself and tidies up before it says so.
        const { Upload } = await import('@aws-sdk/lib-storage');
        const upload = new Upload({
          client: client as never,
          params,
          partSize: Math.max(partBytes, minPartBytes),
          queueSize: partsAtOnce,
        });
        return (await upload.done()).ChecksumSHA256;
      })
      .finally(() => body.destroy());
    if (!(await this.#reading.confirm(input.Key, body.parts, echoed, isWhole))) {
      const remedy = 'The store gives back other bytes than it was given; they are sent again.';
      throw new StoreFault('store_unavailable', { value: key, remedy });
    }
    return { key, bytes };
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const pieces = await this.#reading.open(this.#keyOf(key), range);
    if (pieces === null) throw new ReelayError('object_missing', { value: key });
    return Readable.from(pieces, { objectMode: false, highWaterMark: 256 * 1024 });
  }

  async presign(key: string, seconds: number): Promise<string> {
    return await this.#connection.presign(this.#keyOf(key), seconds);
  }

  async size(key: string): Promise<number | null> {
    return (await this.#reading.head(this.#keyOf(key)))?.bytes ?? null;
  }

  async *list(prefix: string, after?: string): AsyncGenerator<StoredObject> {
    const root = this.#config.prefix === '' ? '' : `${this.#config.prefix}/`;
    const input = { Bucket: this.#config.bucket, Prefix: root + prefix };
    let from: { StartAfter?: string; ContinuationToken?: string } =
      after === undefined || after === '' ? {} : { StartAfter: root + after };
    for (;;) {
      const page = await this.#connection.attempt(
        0,
        async ({ sdk, client }) => await client.send(new sdk.ListObjectsV2Command({ ...input, ...from })),
      );
      // An answer of something else than a store looks like an empty bucket.
      if (page.IsTruncated === undefined && page.Name === undefined)
        throw new StoreFault('store_unavailable', { value: '200 without a listing' });
      for (const { Key: found, Size: bytes } of page.Contents ?? []) {
        const key = found?.slice(root.length) ?? '';
        if (bytes !== undefined && isObjectKey(key)) yield { key, bytes };
      }
      if (page.NextContinuationToken === undefined || page.IsTruncated !== true) return;
      if (page.NextContinuationToken === from.ContinuationToken)
        throw new StoreFault('store_unavailable', { value: '200 without its next page' });
      from = { ContinuationToken: page.NextContinuationToken };
    }
  }

  async delete(key: string): Promise<void> {
    const input = { Bucket: this.#config.bucket, Key: this.#keyOf(key) };
    try {
      await this.#connection.attempt(0, ({ sdk, client }) => client.send(new sdk.DeleteObjectCommand(input)));
    } catch (error) {
      if (!(error instanceof StoreFault && error.value === '404 NoSuchKey')) throw error;
    }
  }

  close(): void {
    this.#connection.close();
  }

  #keyOf(key: string): string {
    const plain = partsOfKey(key).join('/');
    return this.#config.prefix === '' ? plain : `${this.#config.prefix}/${plain}`;
  }

  /** What every way of making an object is told about it. */
  #inputOf(key: string, { contentType, metadata = {} }: Pick<PutExpectations, 'contentType' | 'metadata'>) {
    const { bucket, storageClass, encryption, tags } = this.#config;
    return {
      Bucket: bucket,
      Key: this.#keyOf(key),
      ContentType: contentType ?? contentTypeOf(key),
      Metadata: plainMetadata(metadata),
      ...(storageClass === null ? {} : { StorageClass: storageClass as 'STANDARD' }),
      ...(Object.keys(tags).length === 0 ? {} : { Tagging: new URLSearchParams(tags).toString() }),
      ...(encryption === null ? {} : encryptionOf(encryption)),
    };
  }
}

/** A file on its way, held against what it is said to be. */
function checked(file: string, sizes: readonly number[], expected: string): Sums {
  const sums = new Sums(sizes, (sha256) => {
    const remedy = 'The file in the spool is not what its sidecar says.';
    return sha256 === expected ? null : new ReelayError('checksum_mismatch', { value: file, remedy });
  });
  const source = createReadStream(file, { highWaterMark: 256 * 1024 });
  source.on('error', (error) => sums.destroy(error));
  sums.on('close', () => source.destroy());
  // Whoever sends it hears of it too.
  sums.on('error', () => undefined);
  return source.pipe(sums);
}

function encryptionOf(encryption: NonNullable<S3StoreConfig['encryption']>) {
  if (encryption.type === 'sse-s3') return { ServerSideEncryption: 'AES256' as const };
  const { kmsKeyId } = encryption;
  return {
    ServerSideEncryption: 'aws:kms' as const,
    ...(kmsKeyId === null ? {} : { SSEKMSKeyId: kmsKeyId }),
  };
}

function nameOf({ endpoint, bucket, prefix }: S3StoreConfig, region: string): string {
  const url = endpoint === null ? null : new URL(endpoint);
  const where = url === null ? region : `${url.origin}${url.pathname}`.replace(/\/+$/, '');
  return ['s3:' + where, bucket, ...(prefix === '' ? [] : [prefix])].join('/');
}

function base64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
