import { readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Catalogue, CatalogueEntry } from '../../catalogue/Catalogue.js';
import { ReelayError } from '../../config/ReelayError.js';
import { isRecordingName, manifestName } from '../../spool/layout.js';
import { ownAudio } from '../../spool/ownAudio.js';
import { Ledger, type Hold, type Tombstone } from '../../storage/Ledger.js';
import type { ObjectStore } from '../../storage/ObjectStore.js';
import { readSpooled } from '../../storage/SpooledRecording.js';
import { readStoredManifest } from '../../storage/StoredRecording.js';

export interface RemovalOptions {
  readonly spoolDir: string;
  /** As of {@link Ledger}. */
  readonly outgoing: string;
  readonly catalogue: Catalogue;
  /** Null: the account has none, or nobody knows the account. */
  readonly storeOf: (accountId: string) => Promise<ObjectStore | null>;
  /** It isn't to be shown any more. */
  readonly forget: (recordingId: string) => void;
}

/** Who wants it gone. */
export type Deletion = Pick<Tombstone, 'cause' | 'by'>;

/** Objects that are deleted at once. */
const deletedAtOnce = 8;

/**
 * Takes recordings away for good, and keeps them from that. First the tombstone, then the audio, then the manifest, and the catalogue's row
 * last: whatever is interrupted is still found under its id, and asked for again it is done to its end.
 *
 * Of one recording this process does one thing after the other. Against other processes, who deletes writes the tombstone and then looks for
 * a hold, and who holds writes the hold and then looks for a tombstone: whichever way their steps mix, one of them sees the other and takes
 * its own back. A hold that was answered for is never passed over.
 */
export class Removal {
  readonly #options: RemovalOptions;
  /** What is being done with recordings, by id. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /**
   * @throws ReelayError `recording_held`; `recording_unstored` for one whose call is up, here or in another daemon, or that isn't in the store
   *   that its account has now; what the store says
   */
  async remove(entry: CatalogueEntry, deletion: Deletion): Promise<Tombstone> {
    return await this.#alone(entry, async () => {
      const isFailed = await this.#insistOnRest(entry);
      const store = await this.#options.storeOf(entry.accountId);
      // One that failed lies in the spool alone, and there may be nobody who keeps a tombstone of it.
      if (store === null && !isFailed)
        throw unstored(entry, 'Its account has no store now; nothing was deleted.');
      const tombstone =
        store === null
          ? tombstoneOf(entry, deletion)
          : await this.#bury(store, entry, { ...deletion, isFailed });
      if (store !== null) await removeStored(store, entry.folder);
      if (isFailed) await removeSpooled(join(this.#options.spoolDir, entry.folder));
      await this.#options.catalogue.bury(tombstone);
      this.#options.forget(entry.recordingId);
      return tombstone;
    });
  }

  async held(entry: CatalogueEntry): Promise<Hold | null> {
    const store = await this.#options.storeOf(entry.accountId);
    return store === null ? null : await this.#ledgerIn(store).hold(entry);
  }

  /** @throws ReelayError `no_store` where there is no place for it; `recording_deleted` where somebody else is deleting it */
  async hold(entry: CatalogueEntry, by: string, note: string | null): Promise<Hold> {
    return await this.#alone(entry, async () => {
      const { recordingId, accountId } = entry;
      const ledger = await this.#ledgerOf(accountId);
      const wasHeld = await ledger.isHeld(entry);
      const held: Hold = { schema: 1, recordingId, accountId, note, by, since: new Date().toISOString() };
      await ledger.putHold(held);
      if (!(await ledger.isBuried(entry))) return held;
      // One that was there before isn't this one's to take away.
      if (!wasHeld) await ledger.releaseHold(entry);
      throw new ReelayError('recording_deleted', { value: recordingId });
    });
  }

  /** @throws ReelayError `no_store` */
  async release(entry: CatalogueEntry): Promise<void> {
    await this.#alone(entry, async () => {
      await (await this.#ledgerOf(entry.accountId)).releaseHold(entry);
    });
  }

  /** @throws ReelayError `recording_held`, `recording_unstored` */
  async #bury(
    store: ObjectStore,
    entry: CatalogueEntry,
    { isFailed, ...deletion }: Deletion & { readonly isFailed: boolean },
  ): Promise<Tombstone> {
    const ledger = this.#ledgerIn(store);
    if (await ledger.isHeld(entry)) throw heldBack(entry);
    const before = await ledger.tombstone(entry);
    if (before !== null) return before;
    // Only what is in this store can be taken out of it: the account may have had another one, and what is on its way here is still in
    // some daemon's spool. The manifest is the last that comes.
    if (!isFailed && (await store.size(`${entry.folder}/${manifestName}`)) === null)
      throw unstored(entry, 'It isn’t in the store that its account has now; nothing was deleted.');
    const tombstone = tombstoneOf(entry, deletion);
    await ledger.bury(tombstone);
    if (!(await ledger.isHeld(entry))) return tombstone;
    await ledger.exhume(entry);
    throw heldBack(entry);
  }

  /** One thing after the other. */
  async #alone<T>({ recordingId }: CatalogueEntry, work: () => Promise<T>): Promise<T> {
    const mine = (this.#busy.get(recordingId) ?? Promise.resolve()).then(work);
    const over = mine.catch(() => undefined);
    this.#busy.set(recordingId, over);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(recordingId) === over) this.#busy.delete(recordingId);
    }
  }

  async #ledgerOf(accountId: string): Promise<Ledger> {
    const store = await this.#options.storeOf(accountId);
    if (store !== null) return this.#ledgerIn(store);
    throw new ReelayError('no_store', { value: accountId, remedy: 'A hold is kept in the account’s store.' });
  }

  #ledgerIn(store: ObjectStore): Ledger {
    return new Ledger(store, this.#options.outgoing);
  }

  /** @returns whether it lies in the spool, as one that failed and has no audio */
  async #insistOnRest(entry: CatalogueEntry): Promise<boolean> {
    const spooled = await readSpooled(this.#options.spoolDir, entry.folder);
    if (spooled === undefined) return false;
    const { manifest } = spooled;
    if (manifest?.state === 'failed' && manifest.endTime !== null && manifest.chunks.length === 0)
      return true;
    throw unstored(
      entry,
      'It can be deleted when its call is over and its audio is stored; stop it, or ask again later.',
    );
  }
}

function tombstoneOf(
  { recordingId, accountId, callId, startTime }: CatalogueEntry,
  deletion: Deletion,
): Tombstone {
  const { cause, by } = deletion;
  const deletedTime = new Date().toISOString();
  return { schema: 1, recordingId, accountId, callId, startTime, deletedTime, cause, by };
}

function heldBack({ recordingId }: CatalogueEntry): ReelayError {
  return new ReelayError('recording_held', { value: recordingId, remedy: 'Release the hold first.' });
}

function unstored({ recordingId }: CatalogueEntry, remedy: string): ReelayError {
  return new ReelayError('recording_unstored', { value: recordingId, remedy });
}

/** The manifest goes last: by it the recording is found, and what else belongs to it. */
async function removeStored(store: ObjectStore, folder: string): Promise<void> {
  const manifest = await readStoredManifest(store, folder);
  const keys = new Set(manifest === null ? [] : ownAudio(manifest).map(({ key }) => key));
  for await (const { key } of store.list(`${folder}/`)) keys.add(key);
  const manifestKey = `${folder}/${manifestName}`;
  keys.delete(manifestKey);
  const left = [...keys];
  while (left.length > 0) await Promise.all(left.splice(0, deletedAtOnce).map((key) => store.delete(key)));
  await store.delete(manifestKey);
}

/** What reelay wrote there. */
async function removeSpooled(path: string): Promise<void> {
  const names = (await readdir(path)).filter(isRecordingName);
  for (const name of names.filter((each) => each !== manifestName)) await unlink(join(path, name));
  await unlink(join(path, manifestName)).catch(() => undefined);
  await rmdir(path).catch(() => undefined);
}
