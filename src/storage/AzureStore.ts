import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AzureStoreConfig } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { type Clock, clockOf } from './Clock.js';
import { AzureConnection, placeOf } from './AzureConnection.js';
import { azureCodeOf, azureFaultOf } from './AzureFault.js';
import { AzureMultipart, describeBlob } from './AzureMultipart.js';
import { isObjectKey, partsOfKey } from './objectKey.js';
import type {
  ByteRange,
  MultipartUpload,
  ObjectStore,
  PutExpectations,
  StoredObject,
  StoredPart,
} from './ObjectStore.js';
import { partBytesFor, partsOf } from './partSize.js';
import { patientPieces } from './patience.js';
import { StoreFault } from './StoreFault.js';
import { type PartSum, sameSums } from './PartHash.js';
import { Sums } from './Sums.js';

/**
 * Block blobs of a container of Azure Blob Storage. An object counts as stored when the service has answered with the MD5 that
 * it has computed over what came in, block by block; one without such an answer is read back and hashed.
 */
export class AzureStore implements ObjectStore {
  readonly name: string;
  readonly multipart: AzureMultipart;
  readonly #root: string;
  readonly #connection: AzureConnection;

  /** @param clock - of the deadlines of its requests */
  constructor(config: AzureStoreConfig, clock: Clock = clockOf()) {
    this.name = ['azure:' + placeOf(config), ...(config.prefix === '' ? [] : [config.prefix])].join('/');
    this.#root = config.prefix === '' ? '' : `${config.prefix}/`;
    this.#connection = new AzureConnection(config, clock);
    this.multipart = new AzureMultipart({
      connection: this.#connection,
      keyOf: (key) => this.#keyOf(key),
      holds: (key, parts) => this.#holds(key, parts),
    });
  }

  async put(key: string, file: string, expected: PutExpectations): Promise<StoredObject> {
    this.#keyOf(key);
    const { size: bytes } = await stat(file);
    const partBytes = partBytesFor(bytes);
    if (bytes <= partBytes) await this.#putWhole(key, file, bytes, expected);
    else await this.#putBlocks(key, file, bytes, expected);
    return { key, bytes };
  }

  async read(key: string, range?: ByteRange): Promise<Readable> {
    const name = this.#keyOf(key);
    const from = range?.start ?? 0;
    const count = range === undefined ? undefined : range.end - from + 1;
    const signal = new AbortController();
    const answer = await this.#connection.attempt(0, async (container) => {
      try {
        const options = { maxRetryRequests: 5, abortSignal: signal.signal };
        return await container.getBlobClient(name).download(from, count, options);
      } catch (error) {
        const code = azureCodeOf(error);
        if (code === 'BlobNotFound') throw new ReelayError('object_missing', { value: key });
        if (code === 'InvalidRange') return null;
        throw error;
      }
    });
    if (answer === null) return Readable.from([]);
    const body = answer.readableStreamBody as Readable;
    const pieces = patientPieces(this.#connection.clock, body, answer.contentLength ?? 0, azureFaultOf);
    const stream = Readable.from(pieces, { objectMode: false, highWaterMark: 256 * 1024 });
    stream.on('close', () => signal.abort());
    return stream;
  }

  /** An account key signs; who has only a signature can't make others of it. */
  async presign(key: string, seconds: number): Promise<string | null> {
    const { BlobSASPermissions, StorageSharedKeyCredential } = await import('@azure/storage-blob');
    const permissions = BlobSASPermissions.parse('r');
    const expiresOn = new Date(Date.now() + seconds * 1000);
    return await this.#connection.attempt(0, async (container) => {
      const blob = container.getBlobClient(this.#keyOf(key));
      if (!(blob.credential instanceof StorageSharedKeyCredential)) return null;
      return await blob.generateSasUrl({ permissions, expiresOn });
    });
  }

  async size(key: string): Promise<number | null> {
    const name = this.#keyOf(key);
    return await this.#connection.attempt(0, async (container, abortSignal) => {
      try {
        const found = await container.getBlobClient(name).getProperties({ abortSignal });
        return found.contentLength ?? 0;
      } catch (error) {
        if (azureCodeOf(error) === 'BlobNotFound') return null;
        throw error;
      }
    });
  }

  async *list(prefix: string, after = ''): AsyncGenerator<StoredObject> {
    let continuationToken: string | undefined;
    do {
      const settings = {
        maxPageSize: 1000,
        ...(continuationToken === undefined ? {} : { continuationToken }),
      };
      const page = await this.#connection.attempt(0, async (container, abortSignal) => {
        const found = container.listBlobsFlat({ prefix: this.#root + prefix, abortSignal });
        for await (const first of found.byPage(settings)) return first;
        return undefined;
      });
      for (const { name, properties } of page?.segment.blobItems ?? []) {
        const key = name.slice(this.#root.length);
        if (isObjectKey(key) && isAfter(key, after)) yield { key, bytes: properties.contentLength ?? 0 };
      }
      continuationToken = page?.continuationToken;
    } while (continuationToken !== undefined && continuationToken !== '');
  }

  async delete(key: string): Promise<void> {
    const name = this.#keyOf(key);
    await this.#connection.attempt(0, async (container, abortSignal) => {
      try {
        await container.getBlobClient(name).delete({ abortSignal, deleteSnapshots: 'include' });
      } catch (error) {
        if (azureCodeOf(error) !== 'BlobNotFound') throw error;
      }
    });
  }

  /** The SDK keeps one pool of sockets for all containers, and lets idle ones go by itself. */
  close(): void {
    // Nothing here is this store's alone.
  }

  async #putWhole(key: string, file: string, bytes: number, expected: PutExpectations): Promise<void> {
    const data = await readSlice(file, 0, bytes);
    const sha256 = createHash('sha256').update(data).digest('hex');
    if (sha256 !== expected.sha256) throw mismatch(file);
    const md5 = createHash('md5').update(data).digest();
    const answered = await this.#connection.attempt(bytes, async (container, abortSignal) => {
      const options = { ...describeBlob(key, expected), abortSignal };
      return await container.getBlockBlobClient(this.#keyOf(key)).upload(data, bytes, options);
    });
    if (answered.contentMD5 !== undefined && md5.equals(answered.contentMD5)) return;
    if (!(await this.#holds(key, [{ bytes, sha256 }]))) throw otherBytes(key);
  }

  async #putBlocks(key: string, file: string, bytes: number, expected: PutExpectations): Promise<void> {
    await expected.beforeMultipart?.();
    const whole = createHash('sha256');
    const upload: MultipartUpload = await this.multipart.begin(key);
    const parts: StoredPart[] = [];
    for (const { number, start, bytes: length } of partsOf(bytes, partBytesFor(bytes))) {
      const data = await readSlice(file, start, length);
      whole.update(data);
      const sha256 = createHash('sha256').update(data).digest('hex');
      const body = { bytes: data.length, sha256, read: () => Readable.from([data], { objectMode: false }) };
      parts.push(await this.multipart.put(upload, number, body));
    }
    if (whole.digest('hex') !== expected.sha256) {
      await this.multipart.abort(upload);
      throw mismatch(file);
    }
    const sums = parts.map(({ bytes: length, sha256 }) => ({ bytes: length, sha256: sha256 ?? '' }));
    await this.multipart.commit(upload, parts, sums, describeBlob(key, expected));
  }

  async #holds(key: string, parts: readonly PartSum[]): Promise<boolean> {
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    if ((await this.size(key)) !== bytes) return false;
    const sums = new Sums(parts.map((part) => part.bytes));
    sums.resume();
    await pipeline(await this.read(key), sums);
    return sameSums(sums.parts, parts);
  }

  #keyOf(key: string): string {
    return this.#root + partsOfKey(key).join('/');
  }
}

async function readSlice(file: string, start: number, bytes: number): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const data = Buffer.alloc(bytes);
    const { bytesRead } = await handle.read(data, 0, bytes, start);
    return data.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function isAfter(key: string, after: string): boolean {
  return after === '' || Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0;
}

function mismatch(value: string): ReelayError {
  const remedy = 'The file in the spool is not what its sidecar says.';
  return new ReelayError('checksum_mismatch', { value, remedy });
}

function otherBytes(value: string): StoreFault {
  const remedy = 'The store gives back other bytes than it was given; they are sent again.';
  return new StoreFault('store_unavailable', { value, remedy });
}
