import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { ReelayError } from '../config/ReelayError.js';
import { syncFolder, writeDurably } from '../spool/durable.js';
import { filePieces } from '../spool/filePieces.js';
import { inFolder, isMissing, SourceError } from './FileFault.js';
import type { Multipart, MultipartUpload, PartBody, StoredObject, StoredPart } from './ObjectStore.js';
import { StoreFault } from './StoreFault.js';
import { PartHash, type PartSum, sameSums } from './PartHash.js';
import { Sums } from './Sums.js';

const noteSchema = z.object({
  /** Where the second part lies; default: the length of the longest part. */
  partBytes: z.int().min(0).optional(),
  parts: z.array(z.object({ number: z.int().min(1), bytes: z.int().min(0), sha256: z.string() })),
});
type Note = z.infer<typeof noteSchema>;
type NotedPart = Note['parts'][number];

/** Where a key's object lies; its folder is there when the promise resolves. */
export type PlaceFor = (key: string) => Promise<string>;

/**
 * Objects that grow as `.<name>.<upload id>.part` beside their place: each part is written where it belongs, synced, and noted
 * in `.<name>.<upload id>.note.part`. The length of a part is that of the longest so far; a shorter one is the last, and moves
 * when a longer one shows where it belongs. That is noted before anything is written where it lay.
 */
export class FileMultipart implements Multipart {
  readonly #placeFor: PlaceFor;
  readonly #pathOf: (key: string) => string;

  /** @param pathOf - without asking the disk */
  constructor(placeFor: PlaceFor, pathOf: (key: string) => string) {
    this.#placeFor = placeFor;
    this.#pathOf = pathOf;
  }

  async begin(key: string): Promise<MultipartUpload> {
    return await inFolder(async () => {
      await this.#placeFor(key);
      const upload = { key, uploadId: randomBytes(16).toString('hex') };
      await writeFile(this.#growing(upload), '', { flag: 'wx' });
      await this.#note(upload, { parts: [] });
      return upload;
    });
  }

  async put(upload: MultipartUpload, number: number, body: PartBody): Promise<StoredPart> {
    return await inFolder(async () => {
      const note = await this.#read(upload);
      if (note === null) throw new StoreFault('upload_gone', { value: upload.key });
      const others = note.parts.filter((part) => part.number !== number);
      const partBytes = longest([...others, body]);
      const part = { number, bytes: body.bytes, sha256: body.sha256 };
      // Also of this one, if it was put before: it says where the others lie.
      await this.#move(upload, others, note.partBytes ?? longest(note.parts), partBytes);
      await this.#write(upload, (number - 1) * partBytes, body);
      await this.#note(upload, { parts: [...others, part] });
      return { ...part, tag: body.sha256 };
    });
  }

  async parts(upload: MultipartUpload): Promise<readonly StoredPart[] | null> {
    return await inFolder(async () => {
      const note = await this.#read(upload);
      return note?.parts.map((part) => ({ ...part, tag: part.sha256 })) ?? null;
    });
  }

  async complete(
    upload: MultipartUpload,
    _parts: readonly StoredPart[],
    expected: readonly Pick<PartBody, 'bytes' | 'sha256'>[],
  ): Promise<StoredObject> {
    return await inFolder(async () => {
      const bytes = expected.reduce((sum, part) => sum + part.bytes, 0);
      const place = this.#pathOf(upload.key);
      const isJoined = (await this.#join(upload, bytes, expected)) || (await holds(place, expected));
      if (!isJoined) throw new StoreFault('upload_gone', { value: upload.key });
      await rm(this.#noted(upload), { force: true });
      return { key: upload.key, bytes };
    });
  }

  async abort(upload: MultipartUpload): Promise<void> {
    await inFolder(async () => {
      await rm(this.#growing(upload), { force: true });
      await rm(this.#noted(upload), { force: true });
    });
  }

  async open(key: string): Promise<readonly MultipartUpload[]> {
    const path = this.#pathOf(key);
    return await inFolder(async () => {
      const names = await readdir(dirname(path)).catch((error: unknown) => {
        if (isMissing(error)) return [];
        throw error;
      });
      const [before, after] = [`.${basename(path)}.`, '.part'];
      const ids = names
        .filter((name) => name.startsWith(before) && name.endsWith(after))
        .map((name) => name.slice(before.length, -after.length));
      return ids.filter((id) => /^[0-9a-f]{32}$/.test(id)).map((uploadId) => ({ key, uploadId }));
    });
  }

  /** @returns false when there is nothing to join, or other bytes than expected */
  async #join(upload: MultipartUpload, bytes: number, expected: readonly PartSum[]): Promise<boolean> {
    const growing = this.#growing(upload);
    const place = this.#pathOf(upload.key);
    const file = await open(growing, 'r+').catch((error: unknown) => {
      if (isMissing(error)) return null;
      throw error;
    });
    if (file === null) return false;
    try {
      await file.truncate(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    // Read back before it has its name, so that what is there under it now is not lost for something damaged.
    if (!(await holds(growing, expected))) return false;
    await rename(growing, place);
    await syncFolder(dirname(place));
    return true;
  }

  async #write(upload: MultipartUpload, start: number, { bytes, sha256, read }: PartBody): Promise<void> {
    const sums = new Sums();
    const file = await open(this.#growing(upload), 'r+');
    try {
      let at = start;
      for await (const piece of fromSource(read(), sums)) {
        await file.write(piece, 0, piece.length, at);
        at += piece.length;
      }
      if (sums.sha256 !== sha256 || at - start !== bytes) {
        const remedy = 'The part in the spool is not what it was when the upload began.';
        throw new ReelayError('checksum_mismatch', { value: upload.key, remedy });
      }
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** The one part that came before any longer one is the last; now its place is known. */
  async #move(upload: MultipartUpload, parts: readonly NotedPart[], from: number, to: number): Promise<void> {
    const [last, ...more] = parts;
    if (last === undefined || from === to || last.number === 1) return;
    if (more.length > 0) {
      const remedy = 'All parts but the last must have one length.';
      throw new StoreFault('store_refused', { value: upload.key, remedy });
    }
    const file = await open(this.#growing(upload), 'r+');
    try {
      const data = Buffer.alloc(last.bytes);
      await file.read(data, 0, data.length, (last.number - 1) * from);
      await file.write(data, 0, data.length, (last.number - 1) * to);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#note(upload, { parts: [last], partBytes: to });
  }

  async #note(upload: MultipartUpload, note: Note): Promise<void> {
    await writeDurably(this.#noted(upload), JSON.stringify(note));
  }

  /** @returns null when there is no such upload */
  async #read(upload: MultipartUpload): Promise<Note | null> {
    try {
      await stat(this.#growing(upload));
      return noteSchema.parse(JSON.parse(await readFile(this.#noted(upload), 'utf8')));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  #growing({ key, uploadId }: MultipartUpload): string {
    return this.#beside(key, `${uploadId}.part`);
  }

  #noted({ key, uploadId }: MultipartUpload): string {
    return this.#beside(key, `${uploadId}.note.part`);
  }

  #beside(key: string, ending: string): string {
    const path = this.#pathOf(key);
    return join(dirname(path), `.${basename(path)}.${ending}`);
  }
}

/** @returns whether a file has just these bytes */
export async function holds(path: string, parts: readonly PartSum[]): Promise<boolean> {
  const found = await stat(path).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
  if (found?.size !== parts.reduce((sum, { bytes }) => sum + bytes, 0)) return false;
  const hash = new PartHash(parts.map(({ bytes }) => bytes));
  for await (const piece of filePieces(path)) hash.update(piece);
  hash.end();
  return sameSums(hash.parts, parts);
}

/** What comes from the spool, hashed; its errors stay apart from the store's. */
export async function* fromSource(source: NodeJS.ReadableStream, sums: Sums): AsyncGenerator<Buffer> {
  source.on('error', (error: Error) => sums.destroy(error));
  try {
    for await (const piece of source.pipe(sums)) yield piece as Buffer;
  } catch (error) {
    throw new SourceError(error);
  }
}

function longest(parts: readonly { readonly bytes: number }[]): number {
  return Math.max(0, ...parts.map(({ bytes }) => bytes));
}
