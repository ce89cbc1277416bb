import { readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Catalogue, CatalogueEntry } from '../../catalogue/Catalogue.js';
import { ReelayError } from '../../config/ReelayError.js';
import { isRecordingName, manifestName } from '../../spool/layout.js';
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
 */
export class Removal {
  readonly #options: RemovalOptions;

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /**
   * @throws ReelayError `recording_held`, `recording_unstored` for one whose call is up or whose audio isn't in its store; what the store says
   */
  async remove(entry: CatalogueEntry, { cause, by }: Deletion): Promise<Tombstone> {
    const { recordingId, accountId, callId, startTime, folder } = entry;
    const store = await this.#options.storeOf(accountId);
    const isFailed = await this.#insistOnRest(entry);
    const ledger = store === null ? null : this.#ledgerIn(store);
    if ((await ledger?.hold(entry)) != null)
      throw new ReelayError('recording_held', { value: recordingId, remedy: 'Release the hold first.' });
    const before = (await ledger?.tombstone(entry)) ?? null;
    const deletedTime = new Date().toISOString();
    const tombstone = before ?? {
      schema: 1,
      recordingId,
      accountId,
      callId,
      startTime,
      deletedTime,
      cause,
      by,
    };
    if (before === null) await ledger?.bury(tombstone);
    if (store !== null) await removeStored(store, folder);
    if (isFailed) await removeSpooled(join(this.#options.spoolDir, folder));
    await this.#options.catalogue.bury(tombstone);
    this.#options.forget(recordingId);
    return tombstone;
  }

  async held(entry: CatalogueEntry): Promise<Hold | null> {
    const store = await this.#options.storeOf(entry.accountId);
    return store === null ? null : await this.#ledgerIn(store).hold(entry);
  }

  /** @throws ReelayError `no_store` where there is no place for it */
  async hold({ recordingId, accountId }: CatalogueEntry, by: string, note: string | null): Promise<Hold> {
    const ledger = await this.#ledgerOf(accountId);
    const held: Hold = { schema: 1, recordingId, accountId, note, by, since: new Date().toISOString() };
    await ledger.putHold(held);
    return held;
  }

  /** @throws ReelayError `no_store` */
  async release(entry: CatalogueEntry): Promise<void> {
    await (await this.#ledgerOf(entry.accountId)).releaseHold(entry);
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
  async #insistOnRest({ recordingId, folder }: CatalogueEntry): Promise<boolean> {
    const spooled = await readSpooled(this.#options.spoolDir, folder);
    if (spooled === undefined) return false;
    const { manifest } = spooled;
    if (manifest?.state === 'failed' && manifest.endTime !== null && manifest.chunks.length === 0)
      return true;
    const remedy =
      'It can be deleted when its call is over and its audio is stored; stop it, or ask again later.';
    throw new ReelayError('recording_unstored', { value: recordingId, remedy });
  }
}

/** The manifest goes last: by it the recording is found, and what else belongs to it. */
async function removeStored(store: ObjectStore, folder: string): Promise<void> {
  const manifest = await readStoredManifest(store, folder);
  const keys = new Set(manifest?.audio?.map(({ key }) => key) ?? []);
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
