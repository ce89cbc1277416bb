import { createHash } from 'node:crypto';
import { rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pRetry, { AbortError } from 'p-retry';
import { ReelayError } from '../config/ReelayError.js';
import { writeDurably } from '../spool/durable.js';
import { chunkName, manifestName, sidecarName, uploadName } from '../spool/layout.js';
import type { Manifest, ManifestChunk } from '../spool/Manifest.js';
import { Lanes } from './Lanes.js';
import type { ObjectStore } from './ObjectStore.js';
import {
  chunkKey,
  readSpooled,
  sidecarKey,
  type SpooledRecording,
  spooledFolders,
} from './SpooledRecording.js';
import { dropStored, hashOf, unlinkConfirmed } from './unlinkConfirmed.js';
import { type StoredChunk, type UploadNote, withChunk, writeNote } from './UploadNote.js';

/** Told what happens; must not throw. */
export interface UploadObserver {
  /** The store confirmed an object. */
  stored(object: { readonly folder: string; readonly name: string; readonly bytes: number }): void;
  /** An attempt failed and is made again after `delayMs`. */
  retrying(attempt: { readonly folder: string; readonly error: Error; readonly delayMs: number }): void;
  /** A recording can't go on by itself; it is looked at again after a minute. */
  stuck(trouble: { readonly folder: string; readonly error: Error }): void;
  /** The final manifest is in the store. The spool's folder goes when this resolves. */
  finished(folder: string, manifest: Manifest): Promise<void>;
}

export interface UploaderOptions {
  /** Absolute. */
  readonly spoolDir: string;
  /** The store of an account as it is configured now; null where it has none. */
  readonly storeOf: (accountId: string) => ObjectStore | null;
  readonly observer: UploadObserver;
  /** Recordings of one account that are uploaded at once. Default 4. */
  readonly width?: number;
  /** Longest first pause after a failure and longest of all, ms; each pause is drawn between 0 and its longest. */
  readonly backoffMs?: { readonly first: number; readonly most: number };
}

/** The manifest as it goes into the store, kept beside the recorder's until the store has confirmed it. */
const finalName = 'manifest.final.json';

/** How long a recording rests that is hindered by something other than its store, ms. */
const restMs = 60_000;

/**
 * Moves recordings from the spool into their accounts' stores. The spool is the queue: what is to be done next is read from the
 * folder each time, so that a start after any crash is the same as going on. In the order of its steps, for each object: stored
 * and confirmed, noted in `upload.json`, unlinked. What a crash leaves behind and what becomes of it:
 *
 * | in the folder | next step |
 * |---|---|
 * | sealed WAV or sidecar, not noted | stored (again, perhaps: the same bytes under the same key) |
 * | noted, and the file still there | unlinked, if its bytes are those that were confirmed |
 * | recording over, all chunks noted | final manifest written, stored, noted |
 * | final manifest noted | catalogue told, folder removed |
 * | final manifest noted, and the recorder has begun again | waited for its end, then as if the note weren't there |
 * | a listed chunk neither here nor noted | looked for in the store; if not there, the recording ends `interrupted` |
 */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #lanes: Lanes;
  readonly #stopping = new AbortController();
  readonly #oldest = new Map<string, number>();
  readonly #resting = new Map<string, NodeJS.Timeout>();
  /** Folders between two attempts. */
  readonly #pausing = new Set<string>();
  #settled: (() => void)[] = [];

  constructor(options: UploaderOptions) {
    this.#options = options;
    this.#lanes = new Lanes(options.width ?? 4, (folder) => this.#work(folder));
  }

  /** Looks at a recording's folder and does what is to be done there. */
  wake(folder: string): void {
    if (!this.#stopping.signal.aborted) this.#lanes.add(folder.split('/')[0] ?? '', folder);
  }

  /** Wakes every folder of the spool. */
  async wakeAll(): Promise<void> {
    for await (const folder of spooledFolders(this.#options.spoolDir)) this.wake(folder);
  }

  /** Resolves when nothing is left to do; never while a store is away that something waits for. */
  async idle(): Promise<void> {
    await this.#lanes.idle();
  }

  /** Resolves when everything was done that can be done now: what is left waits for a store to come back. */
  async settled(): Promise<void> {
    const settled = new Promise<void>((resolve) => this.#settled.push(resolve));
    this.#settle();
    await settled;
  }

  #settle(): void {
    if (this.#pausing.size < this.#lanes.running) return;
    for (const resolve of this.#settled.splice(0)) resolve();
  }

  /** Recordings in the spool whose audio is not yet all in their store. */
  async unstored(): Promise<number> {
    let count = 0;
    for await (const folder of spooledFolders(this.#options.spoolDir)) {
      const recording = await readSpooled(this.#options.spoolDir, folder);
      if (recording !== undefined && recording.manifest?.state !== 'failed' && !recording.note.finished)
        count++;
    }
    return count;
  }

  /** When the oldest sealed chunk that isn't stored was sealed, ms since the Unix epoch; null when all are. */
  get oldestUnstoredMs(): number | null {
    return this.#oldest.size === 0 ? null : Math.min(...this.#oldest.values());
  }

  /** Ends retries and starts nothing new; what is under way finishes. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the uploader is stopping'));
    for (const timer of this.#resting.values()) clearTimeout(timer);
    await this.#lanes.idle();
  }

  async #work(folder: string): Promise<void> {
    try {
      while (!this.#stopping.signal.aborted && (await this.#step(folder)));
    } catch (cause) {
      if (this.#stopping.signal.aborted) return;
      const error = cause instanceof Error ? cause : new Error(String(cause));
      this.#options.observer.stuck({ folder, error });
      this.#rest(folder);
    } finally {
      // A turn later, when the lane has let the next one in.
      setImmediate(() => this.#settle());
    }
  }

  #rest(folder: string): void {
    clearTimeout(this.#resting.get(folder));
    const timer = setTimeout(() => {
      this.#resting.delete(folder);
      this.wake(folder);
    }, restMs).unref();
    this.#resting.set(folder, timer);
  }

  /** @returns whether there may be more to do */
  async #step(folder: string): Promise<boolean> {
    const recording = await readSpooled(this.#options.spoolDir, folder);
    await this.#age(folder, recording);
    if (recording === undefined) return false;
    const { manifest, note, path } = recording;
    if (note.finished && manifest?.state !== 'recording') return await this.#sweep(recording);
    // The recorder, killed before it had noted its own end, renders that end once more.
    if (note.finished) await writeNote(path, { ...note, finished: false });
    // A failed recording has no audio to store; its manifest stays where its reason can be read.
    if (manifest === null || manifest.state === 'failed') return false;
    const store = this.#options.storeOf(manifest.accountId);
    if (store === null) return false;
    const chunk = nextChunk(recording);
    if (chunk !== undefined) return await this.#storeChunk(recording, chunk, store);
    if (manifest.state === 'recording') return false;
    return await this.#finish(recording, manifest, store);
  }

  async #age(folder: string, recording: SpooledRecording | undefined): Promise<void> {
    const index = recording === undefined ? undefined : Math.min(...recording.wavs);
    this.#oldest.delete(folder);
    if (recording === undefined || index === undefined || index === Infinity) return;
    const found = await stat(join(recording.path, chunkName(index))).catch(() => undefined);
    if (found !== undefined) this.#oldest.set(folder, found.mtimeMs);
  }

  /** WAV first, its sidecar when that is safe: a sidecar in the store promises audio beside it. */
  async #storeChunk(recording: SpooledRecording, chunk: ManifestChunk, store: ObjectStore): Promise<boolean> {
    const { path, note } = recording;
    const { index, sha256, sidecarSha256 } = chunk;
    const noted = notedOf(note, chunk);
    const wav = join(path, chunkName(index));
    if (noted === undefined) {
      await this.#put(recording, store, wav, chunkName(index), sha256);
      await writeNote(path, withChunk(note, { ...chunk, sidecarStored: false }));
      await unlink(wav);
    } else if (recording.wavs.has(index)) await unlinkConfirmed(wav, sha256);
    const sidecar = join(path, sidecarName(index));
    if (noted?.sidecarStored !== true) {
      await this.#put(recording, store, sidecar, sidecarName(index), sidecarSha256);
      await writeNote(path, withChunk(note, { ...chunk, sidecarStored: true }));
      await unlink(sidecar);
    } else await unlinkConfirmed(sidecar, sidecarSha256);
    return true;
  }

  async #finish(recording: SpooledRecording, manifest: Manifest, store: ObjectStore): Promise<boolean> {
    let { note } = recording;
    for (const chunk of manifest.chunks) {
      if (notedOf(note, chunk)?.sidecarStored === true) continue;
      if (await this.#isStored(recording, store, chunk))
        note = withChunk(note, { ...chunk, sidecarStored: true });
    }
    const text = `${JSON.stringify(finalManifest(manifest, note), null, 2)}\n`;
    const path = join(recording.path, finalName);
    await writeDurably(path, text);
    const sha256 = createHash('sha256').update(text).digest('hex');
    await this.#put(recording, store, path, manifestName, sha256);
    await writeNote(recording.path, { ...note, finished: true });
    return true;
  }

  /** The store has everything: the catalogue is told, then the folder goes. What nobody confirmed keeps its place. */
  async #sweep({ folder, path, names, manifest, note }: SpooledRecording): Promise<boolean> {
    const { observer } = this.#options;
    if (manifest !== null) await observer.finished(folder, finalManifest(manifest, note));
    const dropped = await dropStored(path, names, note);
    const mine = names.filter((name) => ownNames.includes(name) || name.endsWith('.tmp'));
    const left = names.filter((name) => !mine.includes(name) && !dropped.includes(name));
    if (left.length > 0) {
      const value = `${folder}: ${left.join(', ')}`;
      observer.stuck({ folder, error: new ReelayError('spool_leftover', { value }) });
      return false;
    }
    // The note goes last: as long as it is there, a start after a crash comes back here.
    for (const name of [...mine.filter((each) => each !== uploadName), uploadName])
      await unlink(join(path, name)).catch(ignoreMissing);
    await this.#removeEmpty(path);
    return false;
  }

  /** The folder, and those above it that are empty now. The recorder may make the same ones anew at any moment. */
  async #removeEmpty(path: string): Promise<void> {
    for (let at = path; at !== this.#options.spoolDir && at !== dirname(at); at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        return;
      }
    }
  }

  /** Asks the store itself, when the note doesn't know. */
  async #isStored({ folder }: SpooledRecording, store: ObjectStore, chunk: ManifestChunk): Promise<boolean> {
    return await this.#persist(folder, async () => {
      const { index, sha256, sidecarSha256 } = chunk;
      if (!(await holds(store, chunkKey(folder, index), sha256))) return false;
      return await holds(store, sidecarKey(folder, index), sidecarSha256);
    });
  }

  async #put(
    { folder }: SpooledRecording,
    store: ObjectStore,
    file: string,
    name: string,
    sha256: string,
  ): Promise<void> {
    const { bytes } = await this.#persist(folder, () => attempt(store, `${folder}/${name}`, file, sha256));
    this.#options.observer.stored({ folder, name, bytes });
  }

  /** Tries for as long as it takes: a store may be away for hours, and the audio is safe meanwhile. */
  async #persist<T>(folder: string, action: () => Promise<T>): Promise<T> {
    const { signal } = this.#stopping;
    return await pRetry(action, {
      retries: Infinity,
      minTimeout: 0,
      factor: 1,
      signal,
      // The pause is made here, because p-retry's own randomization never draws less than the whole of it.
      onFailedAttempt: async ({ error, attemptNumber }) => {
        const delayMs = this.#pauseMs(attemptNumber);
        this.#options.observer.retrying({ folder, error, delayMs });
        this.#pausing.add(folder);
        this.#settle();
        await sleep(delayMs, undefined, { signal }).finally(() => this.#pausing.delete(folder));
      },
    });
  }

  /** Full jitter: anything between nothing and a longest that doubles, so that many failures don't return together. */
  #pauseMs(attempts: number): number {
    const { first, most } = this.#options.backoffMs ?? { first: 250, most: 60_000 };
    return Math.random() * Math.min(most, first * 2 ** Math.min(attempts - 1, 30));
  }
}

/** Every name that control or recorder leave in a folder whose chunks have all gone. */
const ownNames: readonly string[] = [manifestName, finalName, uploadName];

/** The lowest sealed chunk of which something still lies here; one without WAV and note is `#finish`'s to look for. */
function nextChunk({ sealed, wavs, note }: SpooledRecording): ManifestChunk | undefined {
  const waiting = [...sealed.values()].filter(
    (chunk) => wavs.has(chunk.index) || notedOf(note, chunk) !== undefined,
  );
  return waiting.sort((a, b) => a.index - b.index)[0];
}

/** What is noted of a chunk, if it is the same chunk: two silent ones have the same sum, so the index counts too. */
function notedOf(note: UploadNote, { index, sha256 }: ManifestChunk): StoredChunk | undefined {
  return note.chunks.find((each) => each.index === index && each.sha256 === sha256);
}

async function attempt(store: ObjectStore, key: string, file: string, sha256: string) {
  try {
    return await store.put(key, file, { sha256 });
  } catch (error) {
    const isLocal =
      (error as NodeJS.ErrnoException).code === 'ENOENT' &&
      (await stat(file).catch(() => undefined)) === undefined;
    if (isLocal || (error instanceof ReelayError && error.code === 'checksum_mismatch'))
      throw new AbortError(error as Error);
    // p-retry takes a TypeError for a mistake in the program; from a store it is one more failure.
    throw error instanceof TypeError ? new Error(error.message, { cause: error }) : error;
  }
}

/** Whether the store gives these bytes back. */
async function holds(store: ObjectStore, key: string, sha256: string): Promise<boolean> {
  if ((await store.size(key)) === null) return false;
  return (await hashOf(await store.read(key))) === sha256;
}

/** What the store keeps for good: the recorder's manifest with the state that it ends in. */
function finalManifest(manifest: Manifest, note: UploadNote): Manifest {
  const missing = manifest.chunks.filter((chunk) => notedOf(note, chunk)?.sidecarStored !== true);
  if (missing.length > 0) {
    const reason = `chunk_missing: ${missing.map(({ index }) => index).join(', ')}`;
    return { ...manifest, state: 'interrupted', reason };
  }
  return manifest.state === 'uploading' ? { ...manifest, state: 'complete' } : manifest;
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
