import type { CatalogueEntry } from '../catalogue/Catalogue.js';

/**
 * Recordings that are over and can't be stored because of their account: as long as that lasts they are shown as failed, though
 * their audio lies in the spool. It is a view and never leaves the memory: a successor of this thread meets the same refusal.
 */
export class ParkedRecordings {
  /** Why, by account. */
  readonly #reasons = new Map<string, string>();
  /** Entries as they are, by recording, and why they are shown otherwise. */
  readonly #hidden = new Map<string, { readonly entry: CatalogueEntry; readonly reason: string }>();

  park(accountId: string, reason: string): void {
    this.#reasons.set(accountId, reason);
  }

  /** @returns entries as they are, to be shown again */
  unpark(accountId: string): CatalogueEntry[] {
    this.#reasons.delete(accountId);
    const mine = [...this.#hidden.values()].filter(({ entry }) => entry.accountId === accountId);
    for (const { entry } of mine) this.#hidden.delete(entry.recordingId);
    return mine.map(({ entry }) => entry);
  }

  /** An entry as it is to be shown. */
  shown(entry: CatalogueEntry): CatalogueEntry {
    const { recordingId, accountId, state } = entry;
    const reason = this.#reasons.get(accountId);
    if (reason === undefined || (state !== 'uploading' && state !== 'interrupted')) return entry;
    this.#hidden.set(recordingId, { entry, reason });
    return { ...entry, state: 'failed', reason };
  }

  /** Why a recording is shown as failed; undefined where it isn't. */
  reasonOf(recordingId: string): string | undefined {
    return this.#hidden.get(recordingId)?.reason;
  }

  /** It has been stored after all. */
  forget(recordingId: string): void {
    this.#hidden.delete(recordingId);
  }
}
