import type { Readable } from 'node:stream';
import type {
  CreateMultipartUploadCommandInput,
  ListMultipartUploadsCommandOutput,
} from '@aws-sdk/client-s3';
import { ReelayError } from '../config/ReelayError.js';
import type {
  Multipart,
  MultipartUpload,
  PartBody,
  PutExpectations,
  StoredObject,
  StoredPart,
} from './ObjectStore.js';
import type { S3Connection } from './S3Connection.js';
import type { S3Reading } from './S3Reading.js';
import { StoreFault } from './StoreFault.js';
import { Sums } from './Sums.js';

export interface S3MultipartOptions {
  readonly connection: S3Connection;
  readonly reading: S3Reading;
  readonly bucket: string;
  /** A key in the bucket for one of reelay's. */
  readonly keyOf: (key: string) => string;
  readonly inputOf: (
    key: string,
    options: Pick<PutExpectations, 'contentType' | 'metadata'>,
  ) => CreateMultipartUploadCommandInput;
}

/** A Complete may take as long as sending so many bytes, and some more for a long object: AWS may need minutes. */
const joinBytes = 2 * 2 ** 20;
const joinShare = 1 / 1024;

/** Multipart uploads of a bucket. Parts carry their SHA-256, and the whole object is confirmed by the one over those. */
export class S3Multipart implements Multipart {
  readonly #options: S3MultipartOptions;

  constructor(options: S3MultipartOptions) {
    this.#options = options;
  }

  async begin(
    key: string,
    options: Pick<PutExpectations, 'contentType' | 'metadata'> = {},
  ): Promise<MultipartUpload> {
    const { connection, inputOf } = this.#options;
    const input = { ...inputOf(key, options), ChecksumAlgorithm: 'SHA256' as const };
    const { UploadId: uploadId } = await connection.attempt(0, ({ sdk, client }) =>
      client.send(new sdk.CreateMultipartUploadCommand(input)),
    );
    if (uploadId === undefined) throw unreadable('upload id');
    return { key, uploadId };
  }

  async put(upload: MultipartUpload, number: number, body: PartBody): Promise<StoredPart> {
    const source = body.read();
    const sums = new Sums([], (sha256) => (sha256 === body.sha256 ? null : mismatch(upload.key)));
    sums.on('error', () => undefined);
    source.on('error', (error) => sums.destroy(error));
    sums.on('close', () => source.destroy());
    const checksum = Buffer.from(body.sha256, 'hex').toString('base64');
    try {
      const answer = await this.#send(upload, number, body.bytes, checksum, source.pipe(sums));
      if (answer.tag === undefined) throw unreadable('ETag');
      const isEchoed = answer.sha256 === checksum;
      return { number, bytes: body.bytes, tag: answer.tag, sha256: isEchoed ? body.sha256 : null };
    } finally {
      sums.destroy();
    }
  }

  async parts(upload: MultipartUpload): Promise<readonly StoredPart[] | null> {
    const { connection } = this.#options;
    const found: StoredPart[] = [];
    let marker: string | undefined;
    try {
      do {
        const input = {
          ...this.#target(upload),
          ...(marker === undefined ? {} : { PartNumberMarker: marker }),
        };
        const page = await connection.attempt(
          0,
          async ({ sdk, client }) => await client.send(new sdk.ListPartsCommand(input)),
        );
        if (page.UploadId === undefined) throw unreadable('list of parts');
        for (const part of page.Parts ?? []) {
          const { PartNumber: number, Size: bytes, ETag: tag, ChecksumSHA256: sum } = part;
          if (number === undefined || bytes === undefined || tag === undefined) throw unreadable('part');
          const sha256 = sum === undefined ? null : Buffer.from(sum, 'base64').toString('hex');
          found.push({ number, bytes, tag, sha256 });
        }
        const next: string | undefined = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
        if (next !== undefined && next === marker) throw unreadable('next page');
        marker = next;
      } while (marker !== undefined);
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
    return found;
  }

  async complete(
    upload: MultipartUpload,
    parts: readonly StoredPart[],
    expected: readonly Pick<PartBody, 'bytes' | 'sha256'>[],
  ): Promise<StoredObject> {
    const { reading, keyOf } = this.#options;
    const bytes = expected.reduce((sum, part) => sum + part.bytes, 0);
    try {
      const echoed = await this.#join(upload, parts, bytes);
      if (await reading.confirm(keyOf(upload.key), expected, echoed, false))
        return { key: upload.key, bytes };
    } catch (error) {
      // An earlier attempt may have been applied and its answer lost.
      if (!isGone(error)) throw error;
      if (await reading.holds(keyOf(upload.key), expected)) return { key: upload.key, bytes };
    }
    // Neither does the upload serve any more whose object has other bytes than were put.
    throw new StoreFault('upload_gone', { value: upload.key });
  }

  async abort(upload: MultipartUpload): Promise<void> {
    try {
      await this.#options.connection.attempt(0, ({ sdk, client }) =>
        client.send(new sdk.AbortMultipartUploadCommand(this.#target(upload))),
      );
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async open(key: string): Promise<readonly MultipartUpload[]> {
    const { connection, bucket, keyOf } = this.#options;
    const found: MultipartUpload[] = [];
    const fullKey = keyOf(key);
    let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | null = {};
    while (from !== null) {
      const input = { Bucket: bucket, Prefix: fullKey, ...from };
      const page: ListMultipartUploadsCommandOutput = await connection.attempt(
        0,
        async ({ sdk, client }) => await client.send(new sdk.ListMultipartUploadsCommand(input)),
      );
      if (page.IsTruncated === undefined && page.Bucket === undefined) throw unreadable('list of uploads');
      for (const { Key, UploadId: uploadId } of page.Uploads ?? [])
        if (Key === fullKey && uploadId !== undefined) found.push({ key, uploadId });
      const more = page.IsTruncated === true && page.NextKeyMarker !== undefined;
      if (more && page.NextKeyMarker === from.KeyMarker && page.NextUploadIdMarker === from.UploadIdMarker)
        throw unreadable('next page');
      from = more ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : null;
    }
    return found;
  }

  async #send(
    upload: MultipartUpload,
    number: number,
    bytes: number,
    checksum: string,
    body: Readable,
  ): Promise<{ tag: string | undefined; sha256: string | undefined }> {
    const { connection, keyOf } = this.#options;
    return await connection.attemptSending(keyOf(upload.key), bytes, async ({ sdk, client, fail }) => {
      if (body.errored !== null) throw body.errored;
      body.once('error', fail);
      const input = { PartNumber: number, ContentLength: bytes, ChecksumSHA256: checksum, Body: body };
      const answer = await client.send(new sdk.UploadPartCommand({ ...this.#target(upload), ...input }));
      return { tag: answer.ETag, sha256: answer.ChecksumSHA256 };
    });
  }

  /** @returns the checksum that the store answers */
  async #join(
    upload: MultipartUpload,
    parts: readonly StoredPart[],
    bytes: number,
  ): Promise<string | undefined> {
    const listed = parts.map(({ number, tag, sha256 }) => ({
      PartNumber: number,
      ETag: tag,
      // A store that gave no checksums might not know what to do with them.
      ...(sha256 === null ? {} : { ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64') }),
    }));
    const input = { ...this.#target(upload), MultipartUpload: { Parts: listed } };
    const answer = await this.#options.connection.attempt(
      joinBytes + bytes * joinShare,
      async ({ sdk, client }) => client.send(new sdk.CompleteMultipartUploadCommand(input)),
    );
    // Something else than a store may have answered.
    if (answer.ETag === undefined && answer.Key === undefined) throw unreadable('result');
    return answer.ChecksumSHA256;
  }

  #target({ key, uploadId }: MultipartUpload): { Bucket: string; Key: string; UploadId: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.keyOf(key), UploadId: uploadId };
  }
}

function isGone(error: unknown): boolean {
  return error instanceof StoreFault && error.code === 'upload_gone';
}

function unreadable(what: string): StoreFault {
  return new StoreFault('store_unavailable', { value: `200 without its ${what}` });
}

function mismatch(key: string): ReelayError {
  const remedy = 'The part in the spool is not what it was when the upload began.';
  return new ReelayError('checksum_mismatch', { value: key, remedy });
}
