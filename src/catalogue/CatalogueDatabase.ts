import type { Kysely } from 'kysely';
import type { CatalogueTables } from './schema.js';

/** The database below a catalogue. What it throws is its driver's own, unless it says otherwise. */
export interface CatalogueDatabase {
  /** For people; never a secret. */
  readonly name: string;
  /** Whether several daemons may have it open. */
  readonly isShared: boolean;
  /**
   * Connects, and makes the tables.
   *
   * @throws ReelayError `catalogue_locked`, and anything else
   */
  open(): Promise<Kysely<CatalogueTables>>;
  /**
   * What an error says: that the database is well and doesn't take what it was given, or that something is wrong with it, which is
   * remembered until it is opened again.
   */
  judge(error: unknown): 'refusal' | 'fault';
  /** Makes what was written survive a loss of power. Nothing may be written meanwhile; reading may go on. */
  sync(): Promise<void>;
  /** Gives everything back; it may be opened again. Never throws. */
  close(): Promise<void>;
}
