import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ReelayError } from '../config/ReelayError.js';
import { writeDurably } from '../spool/durable.js';
import { manifestName, signatureName } from '../spool/layout.js';
import type { Manifest, ManifestChunk, RecordingLayout } from '../spool/Manifest.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { type ChunkHandling, ChunkUpload } from './ChunkUpload.js';
import { finalManifest } from './finalManifest.js';
import { finalName, removeFinished } from './FinishedFolder.js';
import { mendFiles } from './mendFiles.js';
import { KeptNote } from './KeptNote.js';
import type { ObjectStore } from './ObjectStore.js';
import { abortOrphans } from './Orphans.js';
import { PortalUpload, type PortalUploadOptions } from './PortalUpload.js';
import { chunkKey, readSpooled, sidecarKey, type SpooledRecording } from './SpooledRecording.js';
import { readStoredManifest } from './StoredRecording.js';
import { StoreFault } from './StoreFault.js';
import { hashOf } from './unlinkConfirmed.js';
import { type DurableWrite, notedOf, type UploadNote, withChunk } from './UploadNote.js';
import type { Visit } from './Visit.js';
import { WholeUpload } from './WholeUpload.js';
import { deliver, type Workpiece } from './Workpiece.js';

export interface RecordingUploadOptions extends PortalUploadOptions {
  /** Absolute. */
  readonly spoolDir: string;
  readonly storeOf: (accountId: string) => Promise<ObjectStore | null>;
  /** Multipart uploads that this process has begun or asked about. */
  readonly knownUploads: Set<string>;
  /** Folders whose orphans this process has looked for. */
  readonly cleaned: Set<string>;
  /** Told what is left to do when the folder was read, and again when it is left. */
  readonly seen: (recording: SpooledRecording, note: UploadNote) => Promise<void>;
  /** Where what can't be read is set aside; without one it stays, and is in the way. */
  readonly quarantine?: Quarantine | undefined;
  /** Writes notes. Default: `writeDurably`. */
  readonly write?: DurableWrite | undefined;
  /** Signs manifests; null: nobody does. */
  readonly sign?: ((manifest: string) => Buffer | null) | undefined;
  readonly chunkWidth?: number | undefined;
  readonly leastPartBytes?: number | undefined;
}

/** `over`: nothing to be done for now. `again`: the folder has to be read anew. `due`: others of the lane come first. */
export type Outcome = 'over' | 'again' | 'due';

/** What a damaged file of the spool does. */
const damages: readonly string[] = ['checksum_mismatch', 'chunk_missing', 'wav_invalid'];

/** Failures that leave no store to put the manifest into; it stays where its reason can be read. */
const storeless: readonly (string | null)[] = ['no_store', 'unknown_account', 'account_mismatch'];

/**
 * The steps of one recording. The spool is the queue: what is to be done next is read from the folder each time, so that a start
 * after any crash is the same as going on. For each object: stored and confirmed, noted in `upload.json`, unlinked.
 *
 * | layout | while the call is up | at its end |
 * |---|---|---|
 * | `chunks` | each sealed chunk and its sidecar, which then leave the spool | final manifest |
 * | `both` | the same, but the WAVs stay; full parts of `audio.wav` from 2 on | `audio.wav`, final manifest |
 * | `single` | full parts of `audio.wav` from 2 on | `audio.wav`, sidecars, final manifest |
 * | `jambonz` | nothing | `audio.wav` where the portal wants an MP3, the portal's object, sidecars, final manifest; of a call that is too long for one request: as `single` |
 *
 * What a crash leaves behind, and what becomes of it:
 *
 * | in the folder | next step |
 * |---|---|
 * | sealed WAV or sidecar, not noted | stored (again, perhaps: the same bytes under the same key) |
 * | noted, and the file still there | unlinked, if its bytes are those that were confirmed |
 * | a key noted, without the id of the upload | whatever is open under the key is aborted, and one is begun |
 * | an upload noted | the store says which parts it has; those that it lacks, or has otherwise, are sent again |
 * | an upload noted that the store doesn't know | complete, if all parts were noted and the object is there; else begun anew |
 * | a part sent, not noted | sent again |
 * | `audio.wav` complete, not noted | completed again, which the store answers with the same object |
 * | a portal's key noted, the object not | stored under that key; if somebody else's object is there by now, under the next |
 * | recording over, all audio noted | sidecars that are left, then final manifest written, stored, noted |
 * | final manifest noted | uploads left open under noted keys aborted, catalogue told, folder removed |
 * | final manifest noted, and the recorder has begun again | waited for its end, then as if the note weren't there |
 * | a listed chunk neither here nor noted | looked for in the store; if not there, the rest is stored in chunks and the recording ends `interrupted` |
 *
 * Each lane of a room has a file of its own beside the chunk's, which is stored before the chunk's sidecar, in every layout
 * ({@link storeLanes}): the whole call in one object is the mix.
 *
 * A call without any audio becomes a manifest and nothing else. A failed recording that has a store, `spool_full` for example,
 * does too.
 */
export class RecordingUpload {
  readonly #options: RecordingUploadOptions;
  readonly #visit: Visit;

  constructor(options: RecordingUploadOptions, visit: Visit) {
    this.#options = options;
    this.#visit = visit;
  }

  /** Does what is to be done now. @throws what hinders the recording */
  async run(): Promise<Outcome> {
    const recording = await readSpooled(this.#options.spoolDir, this.#visit.folder);
    if (recording === undefined) return 'over';
    if (this.#setAside(recording)) return 'again';
    const note = new KeptNote(recording.path, recording.note, this.#options.write);
    await this.#options.seen(recording, note.content);
    try {
      return await this.#take(recording, note);
    } catch (error) {
      if (await this.#mend(recording, error)) return 'again';
      throw error;
    } finally {
      await note.rest();
      await this.#options.seen(recording, note.content);
    }
  }

  /** What no note, and no file, can be under its name. @returns whether there was anything */
  #setAside({ path, unreadable }: SpooledRecording): boolean {
    const { quarantine } = this.#options;
    if (quarantine === undefined) return false;
    const moved = unreadable.map((name) =>
      quarantine.setAside(join(path, name), 'it cannot be read as what its name says'),
    );
    return moved.includes(true);
  }

  /** @returns whether what was wrong with a file of a recording that is over has been mended, or is out of the way */
  async #mend(recording: SpooledRecording, error: unknown): Promise<boolean> {
    const { quarantine } = this.#options;
    const { manifest } = recording;
    const isOurs = error instanceof ReelayError && damages.includes(error.code);
    if (!isOurs || quarantine === undefined || manifest === null || manifest.state === 'recording')
      return false;
    const now = await readSpooled(this.#options.spoolDir, this.#visit.folder);
    if (now?.manifest?.state !== manifest.state) return false;
    return await mendFiles(now, now.manifest, quarantine, true);
  }

  async #take(recording: SpooledRecording, note: KeptNote): Promise<Outcome> {
    const { manifest } = recording;
    if (note.content.finished && manifest?.state !== 'recording') return await this.#leave(recording, note);
    // The recorder, killed before it had noted its own end, renders that end once more.
    if (note.content.finished) await note.change((content) => ({ ...content, finished: false }));
    if (manifest === null) return 'over';
    if (manifest.state === 'failed' && storeless.includes(manifest.reason)) return 'over';
    // Its recorder will write that manifest once more.
    if (manifest.state === 'failed' && manifest.endTime === null) return 'over';
    const store = await this.#storeFor(manifest);
    if (store === null) return 'over';
    const { quarantine } = this.#options;
    if (quarantine !== undefined && manifest.state !== 'recording' && note.content.audio.length === 0) {
      if (await mendFiles(recording, manifest, quarantine, false)) return 'again';
    }
    const work = { ...this.#options, recording, manifest, note, store, visit: this.#visit };
    await this.#settleDown(work);
    if (manifest.state === 'failed') return await this.#conclude(work);
    if (manifest.state === 'recording') return await this.#follow(work);
    return await this.#finish(work);
  }

  async #storeFor({ accountId, state }: Manifest): Promise<ObjectStore | null> {
    try {
      const store = await this.#visit.askWhere(async () => await this.#options.storeOf(accountId));
      if (store !== null || state === 'failed') return store;
      const remedy = 'Give the account a store; until then its audio stays in the spool.';
      throw new ReelayError('no_store', { value: accountId, remedy });
    } catch (error) {
      // No audio waits for it.
      if (state === 'failed' && error instanceof ReelayError && error.code === 'unknown_account') return null;
      throw error;
    }
  }

  /** A recording stays in the place where its first object went, and what a crash left open there is looked for once. */
  async #settleDown(work: Workpiece): Promise<void> {
    const { note, store, recording } = work;
    const { place } = note.content;
    if (place !== null && place !== store.name && isUntouched(note.content))
      await note.change((content) => ({ ...content, place: null }));
    else if (place !== null && place !== store.name) {
      const remedy = `What is stored of it lies in ${place}: give the account that store until the recording is complete.`;
      throw new ReelayError('store_changed', { value: `${recording.folder} in ${store.name}`, remedy });
    }
    this.#visit.settled();
    if (this.#options.cleaned.has(recording.folder)) return;
    if (note.content.multiparts.length > 0) await abortOrphans(work, note.content.whole?.uploadId ?? null);
    this.#options.cleaned.add(recording.folder);
  }

  /** Noted before the first object is put, so that no other store ever gets the rest. */
  async #notePlace({ note, store }: Workpiece): Promise<void> {
    if (note.content.place !== null) return;
    await note.change((content) => ({ ...content, place: store.name }));
  }

  /** The call is up. */
  async #follow(work: Workpiece): Promise<Outcome> {
    const layout = layoutOf(work.manifest);
    if (layout === 'chunks') return (await this.#storeChunks(work, 'move')) === 'due' ? 'due' : 'over';
    if (layout === 'both' && (await this.#storeChunks(work, 'copy')) === 'due') return 'due';
    const whole = new WholeUpload(work, this.#options);
    if (layout === 'jambonz' || !whole.canAdvance) return 'over';
    await this.#notePlace(work);
    return (await whole.advance()) ? 'over' : 'due';
  }

  async #finish(work: Workpiece): Promise<Outcome> {
    await this.#noteUnknown(work);
    if (isLosing(work) && layoutOf(work.manifest) !== 'chunks') await this.#noteWhole(work);
    const layout = isLosing(work) ? 'chunks' : layoutOf(work.manifest);
    const isWhole = work.note.content.audio.length > 0;
    if (layout === 'chunks' && (await this.#storeChunks(work, 'move')) === 'due') return 'due';
    if (layout === 'both' && !isWhole) {
      const outcome = await this.#storeChunks(work, 'copy');
      if (outcome !== 'over') return outcome;
    }
    if (layout !== 'chunks' && !(await this.#storeWhole(work, layout))) return 'due';
    return await this.#conclude(work);
  }

  /** @returns `over` when there was nothing to do */
  async #storeChunks(work: Workpiece, handling: ChunkHandling): Promise<Outcome> {
    const { sealed, wavs } = work.recording;
    const waiting = [...sealed.values()].filter(
      (chunk) => wavs.has(chunk.index) || notedOf(work.note.content, chunk) !== undefined,
    );
    if (waiting.length === 0) return 'over';
    await this.#notePlace(work);
    const chunks = waiting.sort((a, b) => a.index - b.index);
    const isDone = await new ChunkUpload(work, handling).run(chunks, this.#options.chunkWidth);
    return isDone ? 'again' : 'due';
  }

  /** The objects that hold the whole call; the chunks' own files go when these are noted. */
  async #storeWhole(work: Workpiece, layout: RecordingLayout): Promise<boolean> {
    const { manifest, note } = work;
    if (manifest.samples === 0) return true;
    await this.#notePlace(work);
    const portal = layout === 'jambonz' ? await PortalUpload.of(work, this.#options) : null;
    const isWhole = portal?.isLossless === true || note.content.audio.length > 0;
    if (!isWhole && !(await new WholeUpload(work, this.#options).finish())) return false;
    await portal?.store();
    return await new ChunkUpload(work, 'drop').run(manifest.chunks, this.#options.chunkWidth);
  }

  async #conclude(work: Workpiece): Promise<Outcome> {
    const { manifest, recording, note, visit } = work;
    await this.#notePlace(work);
    const text = `${JSON.stringify(finalManifest(manifest, note.content), null, 2)}\n`;
    const file = join(recording.path, finalName);
    await (this.#options.write ?? writeDurably)(file, text);
    visit.step('final_written');
    // Whoever sees the manifest finds its signature.
    await this.#storeSignature(work, text);
    const sha256 = sha256Of(text);
    const key = `${recording.folder}/${manifestName}`;
    await deliver(work, { kind: 'manifest', name: manifestName, key, file, sha256, sealedMs: null });
    visit.step('manifest_put');
    await note.change((content) => ({ ...content, finished: true }));
    visit.step('manifest_noted');
    return 'again';
  }

  async #storeSignature(work: Workpiece, manifest: string): Promise<void> {
    const signature = this.#options.sign?.(manifest) ?? null;
    if (signature === null) return;
    const { recording } = work;
    const file = join(recording.path, signatureName);
    // The same key signs the same text alike, so one that was cut off by a crash is written over.
    await writeFile(file, signature);
    const key = `${recording.folder}/${signatureName}`;
    const sha256 = sha256Of(signature);
    await deliver(work, { kind: 'signature', name: signatureName, key, file, sha256, sealedMs: null });
  }

  /** The store has everything. */
  async #leave(recording: SpooledRecording, note: KeptNote): Promise<Outcome> {
    const { manifest, folder } = recording;
    const { observer } = this.#visit;
    if (manifest !== null && !(await this.#leaveNothingOpen(recording, manifest, note))) return 'over';
    if (manifest !== null) await observer.finished(folder, finalManifest(manifest, note.content));
    await removeFinished(this.#options.spoolDir, recording, this.#options.quarantine);
    this.#options.cleaned.delete(folder);
    this.#visit.step('folder_removed');
    return 'over';
  }

  async #leaveNothingOpen(recording: SpooledRecording, manifest: Manifest, note: KeptNote): Promise<boolean> {
    if (note.content.multiparts.length === 0) return true;
    const store = await this.#storeFor(manifest);
    if (store === null) return false;
    const work = { ...this.#options, recording, manifest, note, store, visit: this.#visit };
    await this.#settleDown(work);
    if (await abortOrphans(work, null)) return true;
    const value = `${recording.folder}: a multipart upload stays open though it was aborted`;
    throw new StoreFault('store_refused', { value });
  }

  /** Asks the store itself about what neither lies here nor is noted. */
  async #noteUnknown(work: Workpiece): Promise<void> {
    const { recording, manifest, note } = work;
    for (const chunk of manifest.chunks) {
      const noted = notedOf(note.content, chunk);
      if (noted?.sidecarStored === true) continue;
      const isSafe = noted !== undefined || note.content.audio.length > 0;
      if (recording.sealed.has(chunk.index) && (isSafe || recording.wavs.has(chunk.index))) continue;
      if (!isSafe && !(await this.#holds(work, chunkKey(recording.folder, chunk.index), chunk.sha256)))
        continue;
      if (!(await this.#holds(work, sidecarKey(recording.folder, chunk.index), chunk.sidecarSha256)))
        continue;
      const lanesStored = noted?.lanesStored ?? (await this.#lanesThere(work, chunk));
      await note.change((content) => withChunk(content, { ...chunk, sidecarStored: true, lanesStored }));
    }
  }

  /**
   * A recorder that was killed before it had noted its own end writes its manifest once more, perhaps after the store had all of it
   * and the folder was gone. Then the store's own manifest says which objects hold the whole call.
   */
  async #noteWhole({ recording, manifest, note, store, visit }: Workpiece): Promise<void> {
    const stored = await visit.ask(async () => await readStoredManifest(store, recording.folder));
    const audio = stored?.audio ?? [];
    const sums = (chunks: Manifest['chunks']) => chunks.map(({ sha256 }) => sha256).join();
    if (stored === null || audio.length === 0 || sums(stored.chunks) !== sums(manifest.chunks)) return;
    for (const { key, bytes } of audio)
      if ((await visit.ask(async () => await store.size(key))) !== bytes) return;
    const chunks = await Promise.all(
      manifest.chunks.map(async (chunk) => ({
        ...chunk,
        sidecarStored: true,
        lanesStored: await this.#lanesThere({ recording, store, visit }, chunk),
      })),
    );
    // The portal's is the one that has a place of its own.
    const [{ key, format } = { key: null, format: 'wav' }] = audio.filter(
      (each) => !each.key.startsWith(`${recording.folder}/`),
    );
    const portal = key === null ? null : { key, format };
    await note.change((content) => ({ ...content, audio, chunks, portal }));
  }

  /** Lanes of a chunk whose own files the store gives back. */
  async #lanesThere(
    work: Pick<Workpiece, 'recording' | 'store' | 'visit'>,
    { index, lanes = [] }: ManifestChunk,
  ): Promise<string[] | undefined> {
    const there: string[] = [];
    for (const { lane, sha256 } of lanes)
      if (await this.#holds(work, chunkKey(work.recording.folder, index, lane), sha256)) there.push(lane);
    return lanes.length === 0 ? undefined : there;
  }

  /** Whether the store gives these bytes back. */
  async #holds(
    { store, visit }: Pick<Workpiece, 'store' | 'visit'>,
    key: string,
    sha256: string,
  ): Promise<boolean> {
    return await visit.ask(async () => {
      if ((await store.size(key)) === null) return false;
      return (await hashOf(await store.read(key))) === sha256;
    });
  }
}

/**
 * Whether its place has confirmed nothing of a recording, and nothing can be open there: a store that was never reached, because
 * its endpoint was mistyped for example, ties the recording to nothing.
 */
function isUntouched({ chunks, multiparts, whole, audio, portal }: UploadNote): boolean {
  return chunks.length + multiparts.length + audio.length === 0 && whole === null && portal === null;
}

function sha256Of(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Whether a part of the audio is neither here nor in the store. */
function isLosing({ recording, manifest, note }: Workpiece): boolean {
  if (note.content.audio.length > 0) return false;
  return manifest.chunks.some(
    (chunk) => !recording.wavs.has(chunk.index) && notedOf(note.content, chunk) === undefined,
  );
}

function layoutOf({ layout }: Manifest): RecordingLayout {
  return layout ?? 'chunks';
}
