import type { Catalogue } from '../../catalogue/Catalogue.js';
import type { Config } from '../../config/Config.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { Stores } from '../../storage/Stores.js';
import { Library } from './Library.js';

/** What became of a catalogue. */
export interface Reindexed {
  readonly stored: number;
  readonly spooled: number;
  /** Entries of recordings that are nowhere. */
  readonly removed: number;
  /**
   * Stores that could not be read to their end, and why; what the catalogue had of them it still has. And what others say of a recording
   * that is another account's.
   */
  readonly failures: readonly { readonly store: string; readonly error: unknown }[];
}

/**
 * Reads all stores and the spool into a catalogue, whatever was in it, and takes out what is in neither. It is what a daemon does at its
 * first start, without a bound on how much is read.
 *
 * @param catalogue - open
 * @throws ReelayError `catalogue_unavailable`
 */
export async function reindex(
  config: Config,
  catalogue: Catalogue,
  stores: Pick<Stores, 'of'>,
): Promise<Reindexed> {
  const library = new Library(catalogue, config.spool.dir, stores);
  const seen = new Set<string>();
  const failures: { store: string; error: unknown }[] = [];
  await library.scanSpool((_folder, { recordingId }) => seen.add(recordingId));
  const spooled = seen.size;
  await library.scanStores(
    config.accounts,
    {
      failed: ({ name }, error) => failures.push({ store: name, error }),
      cut: () => undefined,
      found: (recordingId) => seen.add(recordingId),
      refused: ({ name }, { recordingId, accountId }) => {
        const value = `${recordingId} of ${accountId}: another account has a recording of this id`;
        failures.push({ store: name, error: new ReelayError('catalogue_refused', { value }) });
      },
    },
    { again: '', isWhole: true },
  );
  const removed = await library.prune((recordingId) => seen.has(recordingId));
  await catalogue.sync();
  return { stored: seen.size - spooled, spooled, removed, failures };
}
