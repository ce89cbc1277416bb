import type { CatalogueEntry } from '../../catalogue/Catalogue.js';

/**
 * Recordings that are over and can't be stored, because of their account or because the store that they belong into is not its
 * store any more: as long as that lasts they are shown as failed, though their audio lies in the spool. It is a view and never
 * leaves the memory: a successor of this thread meets the same refusal.
 */
export class ParkedRecordings {
  /** Why, by account. */
  readonly #accounts = new Map<string, string>();
  /** Why, by recording; it goes before the account's. */
  readonly #recordings = new Map<string, string>();
  /** Entries as they are, by recording, that are shown otherwise. */
  readonly #hidden = new Map<string, CatalogueEntry>();

  park(accountId: string, reason: string): void {
    this.#accounts.set(accountId, reason);
  }

  hold(recordingId: string, reason: string): void {
    this.#recordings.set(recordingId, reason);
  }

  /** @returns entries as they are, to be {@link shown} again */
  unpark(accountId: string): CatalogueEntry[] {
    this.#accounts.delete(accountId);
    const mine = [...this.#hidden.values()].filter((entry) => entry.accountId === accountId);
    for (const { recordingId } of mine) this.#hidden.delete(recordingId);
    return mine;
  }

  /** @returns the entry as it is, to be {@link shown} again */
  release(recordingId: string): CatalogueEntry | undefined {
    this.#recordings.delete(recordingId);
    const entry = this.#hidden.get(recordingId);
    this.#hidden.delete(recordingId);
    return entry;
  }

  /** An entry as it is to be shown. */
  shown(entry: CatalogueEntry): CatalogueEntry {
    const { recordingId, state } = entry;
    const reason = this.#reasonFor(entry);
    if (reason === undefined || (state !== 'uploading' && state !== 'interrupted')) return entry;
    this.#hidden.set(recordingId, entry);
    return { ...entry, state: 'failed', reason };
  }

  /** An entry as it is, where it is shown otherwise. */
  hidden(recordingId: string): CatalogueEntry | undefined {
    return this.#hidden.get(recordingId);
  }

  /** Why a recording is shown as failed; undefined where it isn't. */
  reasonOf(recordingId: string): string | undefined {
    const entry = this.#hidden.get(recordingId);
    return entry === undefined ? undefined : this.#reasonFor(entry);
  }

  /** It has been stored after all. */
  forget(recordingId: string): void {
    this.#hidden.delete(recordingId);
    this.#recordings.delete(recordingId);
  }

  #reasonFor({ recordingId, accountId }: CatalogueEntry): string | undefined {
    return this.#recordings.get(recordingId) ?? this.#accounts.get(accountId);
  }
}
