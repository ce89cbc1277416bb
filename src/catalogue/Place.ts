import { ReelayError } from '../config/ReelayError.js';
import type { CatalogueEntry } from './Catalogue.js';

/** Where a recording stands in the order: newest start first, then by id so that the order is total. */
export interface Place {
  /** Ms since the Unix epoch. */
  readonly startMs: number;
  readonly recordingId: string;
}

export function placeOf({ startTime, recordingId }: CatalogueEntry): Place {
  return { startMs: Date.parse(startTime), recordingId };
}

/** What the next page begins after; opaque to who gets it. */
export function cursorOf({ startMs, recordingId }: Place): string {
  return Buffer.from(JSON.stringify([startMs, recordingId])).toString('base64url');
}

/** @throws ReelayError `request_invalid` for a cursor that was not given out */
export function placeAt(cursor: string): Place {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    const [startMs, recordingId] = Array.isArray(value) ? (value as unknown[]) : [];
    // No id has a NUL in it, which not every database takes.
    if (Number.isSafeInteger(startMs) && typeof recordingId === 'string' && !recordingId.includes('\0'))
      return { startMs: startMs as number, recordingId };
  } catch {
    // Falls through to the same answer as a cursor of another shape.
  }
  const remedy = 'Give the "next" of the answer before, or no cursor.';
  throw new ReelayError('request_invalid', { value: `cursor ${cursor}`, remedy });
}
