/** A place in a journal: so many bytes into one of its segments, which are numbered as they were written. */
export interface JournalPlace {
  readonly segment: number;
  readonly bytes: number;
}

export const journalBeginning: JournalPlace = { segment: 0, bytes: 0 };

export function isBefore(one: JournalPlace, other: JournalPlace): boolean {
  return one.segment < other.segment || (one.segment === other.segment && one.bytes < other.bytes);
}

export function laterOf(one: JournalPlace, other: JournalPlace): JournalPlace {
  return isBefore(one, other) ? other : one;
}
