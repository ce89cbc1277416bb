import type { ColumnType, Insertable } from 'kysely';
import type { Delivery } from './Delivery.js';

/*
 * The tables of a catalogue in a database, the same in SQLite and PostgreSQL. An entry is kept whole, as JSON in one column, so that
 * keys may be added without touching the tables and a page of a thousand entries is read as a thousand texts. Beside it stands what is
 * searched and sorted by.
 */

export interface RecordingsTable {
  readonly recording_id: string;
  readonly account_id: string;
  readonly call_id: string;
  readonly state: string;
  /** Ms since the Unix epoch. */
  readonly start_ms: number;
  /** A CatalogueEntry as JSON. */
  readonly entry: string;
  /** What it is found by, each term with a line break before it. */
  readonly terms: string;
}

export interface ChunksTable {
  readonly recording_id: string;
  readonly chunk_index: number;
  readonly start_sample: number;
  readonly samples: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** The same terms one by one. One of an earlier state may be left; whoever looks here looks at the recording, too. */
export interface TermsTable {
  readonly term: string;
  readonly recording_id: string;
}

/** Stores, and parts of them, that were read from beginning to end. */
export interface PlacesTable {
  readonly place: string;
  /** Ms since the Unix epoch. */
  readonly read_ms: ColumnType<number, number, number>;
}

/** Recordings that were deleted. Their stores know them, too. */
export interface TombstonesTable {
  readonly recording_id: string;
  readonly account_id: string;
  /** A CatalogueTombstone as JSON. */
  readonly tombstone: string;
}

/** Deliveries of events, see {@link Delivery}. */
export interface DeliveriesTable {
  readonly event_id: string;
  readonly endpoint: string;
  readonly account_id: string;
  readonly recording_id: string;
  readonly type: string;
  readonly sequence: number;
  readonly body: string;
  readonly created_ms: number;
  readonly state: Delivery['state'];
  readonly tries: number;
  readonly due_ms: number;
  readonly problem: string | null;
  /** 0 or 1. */
  readonly is_kept: number;
}

export interface CatalogueTables {
  readonly deliveries: DeliveriesTable;
  readonly tombstones: TombstonesTable;
  readonly recordings: RecordingsTable;
  readonly chunks: ChunksTable;
  readonly terms: TermsTable;
  readonly places: PlacesTable;
}

export type DeliveryRow = DeliveriesTable;
export type RecordingRow = Insertable<RecordingsTable>;
export type ChunkRow = Insertable<ChunksTable>;
export type TermRow = Insertable<TermsTable>;
