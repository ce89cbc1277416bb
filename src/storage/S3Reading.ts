import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import type { ByteRange } from './ObjectStore.js';
import { LateFault, patientPieces } from './patience.js';
import type { S3Connection } from './S3Connection.js';
import { codeOf, s3FaultOf } from './S3Fault.js';
import { StoreFault } from './StoreFault.js';
import { type PartSum, sameSums } from './PartHash.js';
import { Sums } from './Sums.js';

export interface S3Head {
  readonly bytes: number;
  /** As the store writes it; undefined where it keeps none. */
  readonly sha256: string | undefined;
}

/** An answer that broke off is gone on with if it has brought as much; the whole goes on being tried otherwise, by the caller. */
const leastPiece = 16 * 1024;

/** Getting objects, and making sure that one is what was sent. Keys are those of the bucket. */
export class S3Reading {
  readonly #connection: S3Connection;
  readonly #bucket: string;

  constructor(connection: S3Connection, bucket: string) {
    this.#connection = connection;
    this.#bucket = bucket;
  }

  /** @returns null when there is no such object though its bucket is there */
  async head(key: string): Promise<S3Head | null> {
    const input = { Bucket: this.#bucket, Key: key, ChecksumMode: 'ENABLED' as const };
    try {
      const found = await this.#connection.attempt(
        0,
        async ({ sdk, client }) => await client.send(new sdk.HeadObjectCommand(input)),
      );
      return { bytes: found.ContentLength ?? 0, sha256: found.ChecksumSHA256 };
    } catch (error) {
      if (!(error instanceof StoreFault) || error.blame === 'transient') throw error;
      const bytes = await this.#connection.sizeByGet(key);
      return bytes === null ? null : { bytes, sha256: undefined };
    }
  }

  /**
   * @param range - default: the whole object
   * @returns the object's bytes, or null when there is none
   */
  async open(key: string, range?: ByteRange): Promise<AsyncIterable<Buffer> | null> {
    const first = await this.#get(key, {
      from: range?.start ?? 0,
      to: range?.end,
      isWhole: range === undefined,
    });
    if (first === 'past the end') return Readable.from([]);
    return first === null ? null : this.#pieces(key, first, range);
  }

  /**
   * @param echoed - the checksum that the store answered with
   * @param isWhole - whether it isn't a multipart object
   * @returns whether the store holds these bytes
   */
  async confirm(
    key: string,
    parts: readonly PartSum[],
    echoed: string | undefined,
    isWhole: boolean,
  ): Promise<boolean> {
    const says = echoed ?? (isWhole ? undefined : (await this.head(key))?.sha256);
    if (says === (isWhole ? wholeOf(parts) : compositeOf(parts))) return true;
    // A checksum of another make (of the whole object, say) proves nothing against it.
    return await this.#readBack(key, parts);
  }

  /** @returns whether the store has an object of just these bytes */
  async holds(key: string, parts: readonly PartSum[]): Promise<boolean> {
    const found = await this.head(key);
    if (found?.bytes !== parts.reduce((sum, { bytes }) => sum + bytes, 0)) return false;
    return found.sha256 === compositeOf(parts) || (await this.#readBack(key, parts));
  }

  async #readBack(key: string, parts: readonly PartSum[]): Promise<boolean> {
    const pieces = await this.open(key);
    if (pieces === null) return false;
    const sums = new Sums(parts.map(({ bytes }) => bytes));
    sums.resume();
    await pipeline(pieces, sums);
    return sameSums(sums.parts, parts);
  }

  /**
   * Goes on where an answer broke off, as long as each brings something: a reader may be slow, and a connection that waits for
   * it be closed meanwhile.
   */
  async *#pieces(key: string, first: GetObjectCommandOutput, range?: ByteRange): AsyncGenerator<Buffer> {
    let at = range?.start ?? 0;
    const end = at + (first.ContentLength ?? 0);
    let answer: GetObjectCommandOutput | 'past the end' | null = first;
    while (answer !== null && answer !== 'past the end') {
      const before = at;
      const body = answer.Body as Readable;
      try {
        for await (const piece of patientPieces(this.#connection.clock, body, end - at, s3FaultOf)) {
          at += piece.length;
          yield piece;
        }
        if (at >= end) return;
        throw new StoreFault('store_unavailable', { value: `${end - at} bytes are missing from an answer` });
      } catch (error) {
        if (error instanceof LateFault || at - before < leastPiece) throw s3FaultOf(error);
      } finally {
        body.destroy();
      }
      answer = await this.#get(key, { from: at, to: end - 1, isWhole: false, etag: first.ETag });
    }
    throw new StoreFault('store_unavailable', { value: '404 while an object was read' });
  }

  async #get(
    key: string,
    {
      from,
      to,
      isWhole,
      etag,
    }: { from: number; to?: number | undefined; isWhole: boolean; etag?: string | undefined },
  ): Promise<GetObjectCommandOutput | 'past the end' | null> {
    const input = {
      Bucket: this.#bucket,
      Key: key,
      ...(isWhole ? {} : { Range: `bytes=${from}-${to ?? ''}` }),
      ...(etag === undefined ? {} : { IfMatch: etag }),
    };
    return await this.#connection.attempt(0, async ({ sdk, client }) => {
      try {
        return await client.send(new sdk.GetObjectCommand(input));
      } catch (error) {
        const code = codeOf(error as Error);
        if (code === 'NoSuchKey') return null;
        if (code === 'InvalidRange') return 'past the end';
        throw error;
      }
    });
  }
}

/** S3's checksum of a multipart object: that of its parts' digests, with their number behind it. */
export function compositeOf(parts: readonly PartSum[]): string {
  const hash = createHash('sha256');
  for (const { sha256 } of parts) hash.update(Buffer.from(sha256, 'hex'));
  return `${hash.digest('base64')}-${parts.length}`;
}

function wholeOf([part]: readonly PartSum[]): string | undefined {
  return part === undefined ? undefined : Buffer.from(part.sha256, 'hex').toString('base64');
}
