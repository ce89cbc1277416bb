import { stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkName, sidecarName } from '../spool/layout.js';
import type { ManifestChunk } from '../spool/Manifest.js';
import { chunkKey, sidecarKey } from './SpooledRecording.js';
import { storeLanes } from './storeLanes.js';
import { notedOf, withChunk, withoutMultipart } from './UploadNote.js';
import { unlinkConfirmed } from './unlinkConfirmed.js';
import { deliver, type Workpiece } from './Workpiece.js';

/**
 * What becomes of a chunk's WAV. `move`: it is stored and leaves the spool. `copy`: it is stored and stays, because the whole
 * call still needs it. `drop`: its audio is confirmed within the whole call.
 */
export type ChunkHandling = 'move' | 'copy' | 'drop';

/** Chunks of one recording that are stored at once. */
const defaultWidth = 4;

/** Stores the chunks of a recording and their sidecars. */
export class ChunkUpload {
  readonly #work: Workpiece;
  readonly #handling: ChunkHandling;

  constructor(work: Workpiece, handling: ChunkHandling) {
    this.#work = work;
    this.#handling = handling;
  }

  /**
   * @param chunks - in order; those that have nothing left to be done cost nothing
   * @returns false when others of the lane were let in before all were done
   */
  async run(chunks: readonly ManifestChunk[], width = defaultWidth): Promise<boolean> {
    const { visit } = this.#work;
    const waiting = chunks[Symbol.iterator]();
    let isHindered = false;
    const work = async () => {
      // One chunk at least, so that a visit that is due at once isn't in vain.
      for (const chunk of waiting) {
        try {
          visit.proceed();
          await this.#store(chunk);
        } catch (error) {
          isHindered = true;
          throw error;
        }
        isHindered ||= visit.isDue;
        if (isHindered) return;
      }
    };
    // Each one is waited for: the folder is left only when nobody works there any more.
    const ends = await Promise.allSettled(Array.from({ length: width }, work));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return !isHindered;
  }

  /** WAVs first, their sidecar when those are safe: a sidecar in the store promises audio beside it. */
  async #store(chunk: ManifestChunk): Promise<void> {
    if (this.#handling !== 'drop') await this.#storeWav(chunk);
    if (chunk.lanes !== undefined) await storeLanes(this.#work, chunk);
    await this.#storeSidecar(chunk);
    if (this.#handling === 'drop') await this.#dropWav(chunk);
  }

  async #storeWav(chunk: ManifestChunk): Promise<void> {
    const { recording, note, visit } = this.#work;
    const { index, sha256 } = chunk;
    if (notedOf(note.content, chunk) !== undefined) {
      if (this.#handling === 'move') await this.#dropWav(chunk);
      return;
    }
    const file = join(recording.path, chunkName(index));
    // Sealing renames the file; its last write was before, by as long as audio may still be amended.
    const sealedMs = await stat(file).then(
      ({ ctimeMs }) => ctimeMs,
      () => null,
    );
    const key = chunkKey(recording.folder, index);
    const parcel = { kind: 'chunk', name: chunkName(index), key, file, sha256, sealedMs } as const;
    const { mayBeOpen } = await deliver(this.#work, parcel);
    visit.step('chunk_put');
    await note.change((content) => {
      const noted = withChunk(content, { ...chunk, sidecarStored: false });
      return mayBeOpen ? noted : withoutMultipart(noted, key);
    });
    visit.step('chunk_noted');
    if (this.#handling !== 'move') return;
    await unlink(file);
    visit.step('chunk_unlinked');
  }

  async #storeSidecar(chunk: ManifestChunk): Promise<void> {
    const { recording, note, visit } = this.#work;
    const { index, sidecarSha256: sha256 } = chunk;
    const name = sidecarName(index);
    const file = join(recording.path, name);
    const isHere = recording.sealed.has(index);
    if (notedOf(note.content, chunk)?.sidecarStored === true) {
      if (isHere) await unlinkConfirmed(file, sha256);
      return;
    }
    if (!isHere) return;
    const key = sidecarKey(recording.folder, index);
    await deliver(this.#work, { kind: 'sidecar', name, key, file, sha256, sealedMs: null });
    visit.step('sidecar_put');
    await note.change((content) =>
      withChunk(content, { ...notedOf(content, chunk), ...chunk, sidecarStored: true }),
    );
    await unlink(file);
  }

  async #dropWav({ index, sha256 }: ManifestChunk): Promise<void> {
    const { recording, visit } = this.#work;
    if (!recording.wavs.has(index)) return;
    await unlinkConfirmed(join(recording.path, chunkName(index)), sha256);
    visit.step('chunk_unlinked');
  }
}
