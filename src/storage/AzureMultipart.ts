import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { ReelayError } from '../config/ReelayError.js';
import type { AzureConnection } from './AzureConnection.js';
import { azureCodeOf } from './AzureFault.js';
import { contentTypeOf, plainMetadata } from './objectKey.js';
import type {
  Multipart,
  MultipartUpload,
  PartBody,
  PutExpectations,
  StoredObject,
  StoredPart,
} from './ObjectStore.js';
import { StoreFault } from './StoreFault.js';
import type { PartSum } from './PartHash.js';

export interface AzureMultipartOptions {
  readonly connection: AzureConnection;
  /** A blob's name for one of reelay's keys. */
  readonly keyOf: (key: string) => string;
  /** Whether the object there is now has these bytes. */
  readonly holds: (key: string, parts: readonly PartSum[]) => Promise<boolean>;
}

interface Block {
  readonly id: string;
  readonly uploadId: string;
  /** 0: the mark that an upload was begun. */
  readonly number: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** What a blob is told about itself. */
export interface BlobDescription {
  readonly blobHTTPHeaders: { readonly blobContentType: string };
  readonly metadata: Record<string, string>;
}

export function describeBlob(
  key: string,
  { contentType, metadata = {} }: Pick<PutExpectations, 'contentType' | 'metadata'>,
): BlobDescription {
  // Names as in C#.
  const named = Object.entries(plainMetadata(metadata)).map(([name, value]) => [
    name.replaceAll('-', '_'),
    value,
  ]);
  return {
    blobHTTPHeaders: { blobContentType: contentType ?? contentTypeOf(key) },
    metadata: Object.fromEntries(named) as Record<string, string>,
  };
}

const nothingSha256 = createHash('sha256').digest('hex');
/** Uploads that were given up are remembered while the daemon runs; Azure itself forgets them after a week. */
const mostForgotten = 10_000;

/**
 * Blocks that aren't committed yet, as an upload. Azure knows blocks by names of the writer's, 64 bytes each: they say the upload,
 * the part and its SHA-256 here, so that a list of blocks says all that is needed to go on. Nothing can take uncommitted blocks
 * away; they go when the blob is written, or by themselves after a week. To abort an upload is to forget it.
 */
export class AzureMultipart implements Multipart {
  readonly #options: AzureMultipartOptions;
  readonly #descriptions = new Map<string, BlobDescription>();
  readonly #forgotten = new Set<string>();
  /** The name of the block that was put last as this part, by upload and part. */
  readonly #latest = new Map<string, Map<number, string>>();

  constructor(options: AzureMultipartOptions) {
    this.#options = options;
  }

  async begin(
    key: string,
    options: Pick<PutExpectations, 'contentType' | 'metadata'> = {},
  ): Promise<MultipartUpload> {
    const upload = { key, uploadId: randomBytes(8).toString('hex') };
    await this.#stage(upload, 0, Buffer.from('.'), nothingSha256);
    this.#descriptions.set(upload.uploadId, describeBlob(key, options));
    return upload;
  }

  /** Memory: the part. */
  async put(upload: MultipartUpload, number: number, body: PartBody): Promise<StoredPart> {
    const data = await buffer(body.read());
    const sha256 = createHash('sha256').update(data).digest('hex');
    if (sha256 !== body.sha256 || data.length !== body.bytes) {
      const remedy = 'The part in the spool is not what it was when the upload began.';
      throw new ReelayError('checksum_mismatch', { value: upload.key, remedy });
    }
    if (this.#forgotten.has(upload.uploadId)) throw new StoreFault('upload_gone', { value: upload.key });
    const tag = await this.#stage(upload, number, data, sha256);
    const latest = this.#latest.get(upload.uploadId) ?? new Map<number, string>();
    this.#latest.set(upload.uploadId, latest.set(number, tag));
    return { number, bytes: data.length, tag, sha256 };
  }

  async parts(upload: MultipartUpload): Promise<readonly StoredPart[] | null> {
    const blocks = await this.#blocks(upload.key);
    const mine = blocks.filter(({ uploadId }) => uploadId === upload.uploadId);
    if (mine.length === 0) return null;
    const latest = this.#latest.get(upload.uploadId);
    // Of two blocks for one part, from before a restart, none is known to be the right one: it is put once more.
    const isTheOne = ({ id, number }: Block) => {
      const known = latest?.get(number);
      return known === undefined
        ? mine.filter((block) => block.number === number).length === 1
        : known === id;
    };
    return mine
      .filter((block) => block.number > 0 && isTheOne(block))
      .map(({ number, bytes, id, sha256 }) => ({ number, bytes, tag: id, sha256 }));
  }

  async complete(
    upload: MultipartUpload,
    parts: readonly StoredPart[],
    expected: readonly Pick<PartBody, 'bytes' | 'sha256'>[],
  ): Promise<StoredObject> {
    // After a restart only the type is known, by the key.
    const description = this.#descriptions.get(upload.uploadId) ?? describeBlob(upload.key, {});
    return await this.commit(upload, parts, expected, description);
  }

  /** The same with what the blob is told about itself. */
  async commit(
    upload: MultipartUpload,
    parts: readonly StoredPart[],
    expected: readonly PartSum[],
    description: BlobDescription,
  ): Promise<StoredObject> {
    const { key, uploadId } = upload;
    const bytes = expected.reduce((sum, part) => sum + part.bytes, 0);
    const isAsPut =
      parts.length === expected.length &&
      parts.every(({ tag }, at) => blockOf(tag)?.sha256 === expected[at]?.sha256);
    // The service has checked every block's MD5 as it came, and the name of a block stands for its bytes.
    const isCommitted =
      isAsPut && !this.#forgotten.has(uploadId) && (await this.#commit(key, parts, description));
    if (isCommitted) this.#drop(uploadId);
    else if (!(await this.#options.holds(key, expected))) throw new StoreFault('upload_gone', { value: key });
    return { key, bytes };
  }

  /** Forgets the upload; see above. */
  abort(upload: MultipartUpload): Promise<void> {
    this.#forgotten.add(upload.uploadId);
    const [oldest] = this.#forgotten;
    if (this.#forgotten.size > mostForgotten && oldest !== undefined) this.#forgotten.delete(oldest);
    this.#drop(upload.uploadId);
    return Promise.resolve();
  }

  async open(key: string): Promise<readonly MultipartUpload[]> {
    const ids = new Set((await this.#blocks(key)).map(({ uploadId }) => uploadId));
    return [...ids].map((uploadId) => ({ key, uploadId }));
  }

  #drop(uploadId: string): void {
    this.#descriptions.delete(uploadId);
    this.#latest.delete(uploadId);
  }

  /** @returns false when the service doesn't know the blocks */
  async #commit(key: string, parts: readonly StoredPart[], description: BlobDescription): Promise<boolean> {
    const { keyOf, connection } = this.#options;
    const ids = parts.map(({ tag }) => tag);
    return await connection.attempt(0, async (container, abortSignal) => {
      try {
        const options = { ...description, abortSignal };
        await container.getBlockBlobClient(keyOf(key)).commitBlockList(ids, options);
        return true;
      } catch (error) {
        if (['InvalidBlockList', 'InvalidBlobOrBlock'].includes(azureCodeOf(error) ?? '')) return false;
        throw error;
      }
    });
  }

  async #stage(
    { key, uploadId }: MultipartUpload,
    number: number,
    data: Buffer,
    sha256: string,
  ): Promise<string> {
    const { connection, keyOf } = this.#options;
    const name = keyOf(key);
    const id = blockId(uploadId, number, sha256);
    const transactionalContentMD5 = createHash('md5').update(data).digest();
    await connection.attempt(data.length, async (container, abortSignal) => {
      const options = { transactionalContentMD5, abortSignal };
      await container.getBlockBlobClient(name).stageBlock(id, data, data.length, options);
    });
    return id;
  }

  /** Uncommitted ones of reelay's making. */
  async #blocks(key: string): Promise<Block[]> {
    const { connection, keyOf } = this.#options;
    const name = keyOf(key);
    const found = await connection.attempt(0, async (container, abortSignal) => {
      try {
        const list = await container.getBlockBlobClient(name).getBlockList('uncommitted', { abortSignal });
        return list.uncommittedBlocks ?? [];
      } catch (error) {
        if (azureCodeOf(error) === 'BlobNotFound') return [];
        throw error;
      }
    });
    return found.flatMap(({ name: id, size }) => {
      const block = blockOf(id);
      const isMine = block !== null && !this.#forgotten.has(block.uploadId);
      return isMine ? [{ ...block, id, bytes: size }] : [];
    });
  }
}

/** 16 characters of the upload, 5 of the part's number, 43 of its SHA-256. */
function blockId(uploadId: string, number: number, sha256: string): string {
  const sum = Buffer.from(sha256, 'hex').toString('base64url');
  return Buffer.from(`${uploadId}${String(number).padStart(5, '0')}${sum}`).toString('base64');
}

function blockOf(id: string): Omit<Block, 'id' | 'bytes'> | null {
  const match = /^([0-9a-f]{16})(\d{5})([\w-]{43})$/.exec(Buffer.from(id, 'base64').toString());
  if (match === null) return null;
  const [, uploadId = '', number = '', sum = ''] = match;
  return { uploadId, number: Number(number), sha256: Buffer.from(sum, 'base64url').toString('hex') };
}
