import { createWriteStream } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { wholeAudioName } from '../spool/layout.js';
import type { MultipartUpload, StoredPart } from './ObjectStore.js';
import { abortOrphans } from './Orphans.js';
import { maxParts, minPartBytes, partBytesFor } from './partSize.js';
import { StoreFault } from './StoreFault.js';
import { type NotedWhole, withMultipart, withPart } from './UploadNote.js';
import { digestOf, type WholeDigest } from './WholeDigest.js';
import { WholeWav } from './WholeWav.js';
import { deliver, type Workpiece } from './Workpiece.js';

export interface WholeUploadOptions {
  /** Uploads that this process has begun, or has asked the store about. */
  readonly knownUploads: Set<string>;
  /** Smallest part, bytes. Default: what S3 demands. */
  readonly leastPartBytes?: number | undefined;
}

/**
 * The object that holds the whole call. Parts 2, 3, … are equal stretches of it and go out as soon as they are full, while the
 * call is up; part 1 goes last, because its header says how long all of it is. A call that is shorter than one part is put at
 * once. The chunks stay in the spool until the object is complete and confirmed.
 */
export class WholeUpload {
  readonly #work: Workpiece;
  readonly #options: WholeUploadOptions;
  readonly #key: string;

  constructor(work: Workpiece, options: WholeUploadOptions) {
    this.#work = work;
    this.#options = options;
    this.#key = `${work.recording.folder}/${wholeAudioName}`;
  }

  /** Whether there is a part to be sent while the call is up: the second one must be full. */
  get canAdvance(): boolean {
    const { bytes } = wholeWavOf(this.#work, false);
    return this.#noted !== null || bytes >= 2 * this.#partBytesFor(bytes);
  }

  /**
   * Sends what is full while the call is up.
   *
   * @returns false when others of the lane were let in before all was sent
   */
  async advance(): Promise<boolean> {
    const wav = wholeWavOf(this.#work, false);
    return await this.#untilKnown(wav, async (upload) => await this.#send(upload, wav));
  }

  /**
   * Sends the rest, makes the object and notes it.
   *
   * @returns false when others of the lane were let in before
   */
  async finish(): Promise<boolean> {
    const wav = wholeWavOf(this.#work, true);
    if (this.#noted === null && wav.bytes < this.#partBytesFor(wav.bytes)) {
      const digest = await this.#digest(wav, this.#partBytesFor(wav.bytes));
      await this.#putAtOnce(wav, digest.sha256);
      await this.#note(wav, digest);
      return true;
    }
    return await this.#untilKnown(wav, async (upload) => await this.#complete(upload, wav));
  }

  get #noted(): NotedWhole | null {
    return this.#work.note.content.whole;
  }

  #partBytesFor(bytes: number): number {
    const least = this.#options.leastPartBytes ?? minPartBytes;
    return Math.max(least, partBytesFor(bytes) === minPartBytes ? least : partBytesFor(bytes));
  }

  /** A store may forget an upload at any time; then all of it is sent anew, after a pause. */
  async #untilKnown(wav: WholeWav, action: (upload: MultipartUpload) => Promise<boolean>): Promise<boolean> {
    const { visit, note } = this.#work;
    const outcome = await visit.again(async () => {
      try {
        return { isDone: await action(await this.#upload(wav)) };
      } catch (error) {
        // Anything else was tried for as long as it made sense.
        if (!isGone(error)) return { error };
        await note.change((content) => ({ ...content, whole: null }));
        throw error;
      }
    });
    if ('error' in outcome) throw outcome.error;
    return outcome.isDone;
  }

  /** The upload that is under way, or a new one. */
  async #upload(wav: WholeWav): Promise<MultipartUpload> {
    const noted = this.#noted;
    if (noted === null) return await this.#begin(this.#partBytesFor(wav.bytes));
    // A call of many days needs larger parts than it was begun with.
    if (wav.parts(noted.partBytes) > maxParts) throw new StoreFault('upload_gone', { value: this.#key });
    const upload = { key: this.#key, uploadId: noted.uploadId };
    if (!this.#options.knownUploads.has(noted.uploadId)) await this.#resume(upload, noted);
    return upload;
  }

  async #begin(partBytes: number): Promise<MultipartUpload> {
    const { note, store, visit } = this.#work;
    await note.change((content) => withMultipart(content, this.#key, null));
    visit.step('multipart_noted');
    // What was begun before under this key is used by nobody: its answer was lost, or it has too small parts.
    await abortOrphans(this.#work, null);
    const options = { contentType: 'audio/wav' };
    const upload = await visit.ask(async () => await store.multipart.begin(this.#key, options));
    visit.step('multipart_begun');
    const { uploadId } = upload;
    this.#options.knownUploads.add(uploadId);
    await note.change((content) => ({
      ...withMultipart(content, this.#key, uploadId),
      whole: { partBytes, uploadId, parts: [] },
    }));
    return upload;
  }

  /** After a restart the store says what it has; what it doesn't have as it was noted is sent again. */
  async #resume(upload: MultipartUpload, noted: NotedWhole): Promise<void> {
    const { note, store, visit } = this.#work;
    const found = await visit.ask(async () => await store.multipart.parts(upload));
    this.#options.knownUploads.add(upload.uploadId);
    // Perhaps it is complete and only the answer was lost: `complete` finds out.
    if (found === null) return;
    const byNumber = new Map(found.map((part) => [part.number, part]));
    const parts = noted.parts.filter((part) => {
      const there = byNumber.get(part.number);
      if (there?.bytes !== part.bytes || there.tag !== part.tag) return false;
      return there.sha256 === null || there.sha256 === part.sha256;
    });
    if (parts.length === noted.parts.length) return;
    await note.change((content) => ({ ...content, whole: { ...noted, parts } }));
  }

  /** @returns false when others of the lane were let in before all was sent */
  async #send(upload: MultipartUpload, wav: WholeWav): Promise<boolean> {
    const { partBytes = minPartBytes, parts = [] } = this.#noted ?? {};
    const sent = new Set(parts.map(({ number }) => number));
    const numbers = Array.from({ length: wav.parts(partBytes) }, (_, index) => index + 1);
    const wanted = numbers.filter((number) => number > 1 && !sent.has(number) && wav.has(number, partBytes));
    // One after the other: a store is asked for one thing at a time under one key.
    for (const number of wanted) {
      this.#work.visit.proceed();
      await this.#sendPart(upload, wav, number);
      if (this.#work.visit.isDue && number !== wanted.at(-1)) return false;
    }
    return true;
  }

  async #sendPart(upload: MultipartUpload, wav: WholeWav, number: number): Promise<void> {
    const { note, store, visit, recording } = this.#work;
    const { partBytes = minPartBytes } = this.#noted ?? {};
    const outcome = await visit.ask(async () => {
      const body = await wav.part(number, partBytes);
      const part = await store.multipart.put(upload, number, body).catch(unlessGone);
      return part === null ? null : { ...part, sha256: body.sha256 };
    });
    if (outcome === null) throw new StoreFault('upload_gone', { value: this.#key });
    visit.step('part_put');
    await note.change((content) => withPart(content, { ...outcome, number }));
    visit.step('part_noted');
    const { folder } = recording;
    visit.observer.stored({
      folder,
      kind: 'part',
      name: wholeAudioName,
      bytes: outcome.bytes,
      sealedMs: null,
    });
  }

  async #complete(upload: MultipartUpload, wav: WholeWav): Promise<boolean> {
    const { note, store, visit } = this.#work;
    const { partBytes = minPartBytes } = this.#noted ?? {};
    const digest = await this.#digest(wav, partBytes);
    await note.change((content) => withoutWrongParts(content, digest));
    if (!(await this.#send(upload, wav))) return false;
    if (this.#noted?.parts[0]?.number !== 1) await this.#sendPart(upload, wav, 1);
    const parts = (this.#noted?.parts ?? []).map((part): StoredPart => part);
    const expected = parts.map(({ bytes }, index) => ({ bytes, sha256: digest.parts[index] ?? '' }));
    visit.step('completing');
    const made = await visit.ask(
      async () => await store.multipart.complete(upload, parts, expected).catch(unlessGone),
    );
    this.#options.knownUploads.delete(upload.uploadId);
    if (made === null) throw new StoreFault('upload_gone', { value: this.#key });
    visit.step('completed');
    await this.#note(wav, digest);
    return true;
  }

  async #digest(wav: WholeWav, partBytes: number): Promise<WholeDigest> {
    const { recording, manifest, visit } = this.#work;
    // Chunks may have left the spool for the store, which is asked like for anything else.
    return await visit.ask(async () => await digestOf(recording.folder, wav, manifest.chunks, partBytes));
  }

  async #putAtOnce(wav: WholeWav, sha256: string): Promise<void> {
    const { recording, visit } = this.#work;
    const file = join(recording.path, `${wholeAudioName}.tmp`);
    await visit.ask(
      async () => await pipeline(wav.read({ start: 0, end: wav.bytes - 1 }), createWriteStream(file)),
    );
    const contentType = 'audio/wav';
    const whole = { kind: 'audio', name: wholeAudioName, key: this.#key, sealedMs: null } as const;
    await deliver(this.#work, { ...whole, file, sha256, contentType, isPlain: true });
    await unlink(file);
    visit.step('completed');
  }

  async #note(wav: WholeWav, { sha256 }: WholeDigest): Promise<void> {
    const { note, visit, recording } = this.#work;
    const audio = { key: this.#key, format: 'wav', bytes: wav.bytes, sha256 } as const;
    const wasInParts = this.#noted !== null;
    await note.change((content) => ({ ...content, whole: null, audio: [audio] }));
    visit.step('audio_noted');
    const { folder } = recording;
    if (wasInParts)
      visit.observer.stored({ folder, kind: 'audio', name: wholeAudioName, bytes: 0, sealedMs: null });
  }
}

/** The whole call as far as it is sealed. */
export function wholeWavOf(work: Workpiece, isFinal: boolean): WholeWav {
  const { recording, manifest, note, spoolDir, store } = work;
  const where = { spoolDir, folder: recording.folder, store: () => store };
  return WholeWav.of({ ...recording, note: note.content }, manifest, where, isFinal);
}

function withoutWrongParts<T extends { readonly whole: NotedWhole | null }>(
  content: T,
  digest: WholeDigest,
): T {
  if (content.whole === null) return content;
  const parts = content.whole.parts.filter(({ number, sha256 }) => digest.parts[number - 1] === sha256);
  return { ...content, whole: { ...content.whole, parts } };
}

function isGone(error: unknown): boolean {
  return error instanceof StoreFault && error.code === 'upload_gone';
}

/** An upload that the store has forgotten comes back by no trying. */
function unlessGone(error: unknown): null {
  if (isGone(error)) return null;
  throw error;
}
