import { truncateSync } from 'node:fs';
import { ReelayError } from '../config/ReelayError.js';
import { odd, readPlainHere } from '../spool/plainFile.js';
import type { Quarantine } from '../spool/Quarantine.js';
import { isBefore, journalBeginning, laterOf, type JournalPlace } from './JournalPlace.js';
import {
  firstIn,
  readSegment,
  type LostBytes,
  type SegmentBatch,
  type SegmentContent,
} from './readSegment.js';
import type { Segment } from './Segment.js';

/** Segments end a batch after they are full, and a batch is at most what the ring holds; larger files are nobody's. */
const mostSegmentBytes = 2 ** 31 - 1;

/** What was appended at a time; the view is valid for as long as the caller keeps it. */
export interface JournalBatch {
  readonly records: Uint8Array;
  /** Sequences of its first and last record. */
  readonly first: number;
  readonly last: number;
  /** Records between the batch before it and this one can't be read. */
  readonly isAfterHole: boolean;
  /** What is missing in front of it may be what a loss of power took: nobody had been told that it is safe. */
  readonly isAfterTear: boolean;
}

/** Who is told of what can't be read, and where it is kept. */
export interface ReplayWitness {
  readonly warn: (error: ReelayError) => void;
  /** Undefined: damage is told of, and goes with the journal. */
  readonly quarantine: Quarantine | undefined;
}

/**
 * Reads a journal once, oldest batch first, and tells what is missing from what is damaged. Each batch says up to where
 * everything was safe when it was written, so the batches that can be read say together what a loss of power can't have taken:
 * what is missing before that is damage, in whichever segment; what is missing behind it is torn, if it looks like it.
 */
export class JournalReplay {
  readonly #segments: readonly Segment[];
  readonly #daemon: number;
  readonly #witness: ReplayWitness;
  /** As far as was read; the batches behind may say more. */
  #synced = journalBeginning;
  #syncedSequence = 0;
  /** As all batches say; null until somebody has to know. */
  #known: JournalPlace | null = null;
  /** Ends of batches that weren't said to be safe by any that was read. */
  readonly #pending: { readonly end: JournalPlace; readonly last: number }[] = [];
  #last = 0;
  /** Where the last whole batch ended. */
  #end = journalBeginning;
  /** Where what can't be read behind that begins, and whether all of it looks torn. */
  #lostAt: JournalPlace | null = null;
  #looksTorn = true;

  /** @param daemon - CRC-32 of the name of the daemon that wrote it */
  constructor(segments: readonly Segment[], daemon: number, witness: ReplayWitness) {
    this.#segments = segments;
    this.#daemon = daemon;
    this.#witness = witness;
  }

  /** Up to here everything is safe from a loss of power, as the batches say that were read so far. */
  get synced(): JournalPlace {
    return this.#synced;
  }

  /** Sequence of the last record that is so. */
  get syncedSequence(): number {
    return this.#syncedSequence;
  }

  /**
   * Gives every whole batch. A torn end is cut off its segment, and a segment with damage in it, or that isn't of this journal,
   * is kept in the quarantine.
   */
  *batches(): Generator<JournalBatch, void, void> {
    let before = journalBeginning;
    for (const segment of inOrder(this.#segments)) {
      const content = this.#read(segment, before);
      if (content === odd)
        this.#witness.quarantine?.setAside(segment.path, 'a segment of a journal is a plain file');
      if (content === odd || content === undefined) continue;
      before = { segment: content.number, bytes: content.size };
      segment.bytes = content.size;
      yield* this.#batchesIn(segment, content);
      this.#judge(segment, content);
    }
  }

  #read(segment: Segment, before: JournalPlace): SegmentContent | typeof odd | undefined {
    const bytes = readPlainHere(segment.path, mostSegmentBytes);
    if (bytes === odd || bytes === undefined) return bytes;
    return readSegment(bytes, { daemon: this.#daemon, number: segment.number, before });
  }

  *#batchesIn(segment: Segment, content: SegmentContent): Generator<JournalBatch, void, void> {
    const { number, batches, lostEnd } = content;
    this.#synced = laterOf(this.#synced, content.synced);
    for (const batch of batches) {
      const { records, first, last } = batch;
      segment.firstSequence ||= first;
      segment.lastSequence = last;
      this.#learn(number, batch);
      this.#pass(number, batch.lost);
      // A segment that lies there twice.
      if (last <= this.#last) continue;
      const isAfterHole = this.#last > 0 && first > this.#last + 1;
      const isAfterTear = this.#isAfterTear(number, first);
      this.#last = last;
      this.#end = { segment: number, bytes: batch.to };
      [this.#lostAt, this.#looksTorn] = [null, true];
      yield { records, first, last, isAfterHole, isAfterTear };
    }
    this.#pass(number, lostEnd);
  }

  #pass(segment: number, lost: LostBytes | null): void {
    if (lost === null) return;
    this.#lostAt ??= { segment, bytes: lost.from };
    this.#looksTorn &&= lost.looksTorn;
  }

  /** Moves on what is known to be safe. */
  #learn(segment: number, { to, last }: SegmentBatch): void {
    this.#pending.push({ end: { segment, bytes: to }, last });
    for (let oldest = this.#pending[0]; oldest !== undefined; oldest = this.#pending[0]) {
      if (isBefore(this.#synced, oldest.end)) return;
      this.#syncedSequence = Math.max(this.#syncedSequence, oldest.last);
      this.#pending.shift();
    }
  }

  #isAfterTear(segment: number, first: number): boolean {
    if (first <= this.#last + 1 || !this.#looksTorn) return false;
    const missing = this.#last > 0 ? this.#end : this.#lostAt;
    if (missing !== null) return !this.#isSafe(missing);
    // What a journal begins with comes behind what was given back, or else behind a whole segment that never was safe.
    return segment > this.#synced.segment + 1 && segment > this.#ask().segment + 1;
  }

  /** Whether something behind a place was said to be safe. */
  #isSafe(place: JournalPlace): boolean {
    return isBefore(place, this.#synced) || isBefore(place, this.#ask());
  }

  /** Reads everything once more, for what the batches say of those before them: only where something is missing. */
  #ask(): JournalPlace {
    if (this.#known !== null) return this.#known;
    let [known, before] = [this.#synced, journalBeginning];
    for (const segment of inOrder(this.#segments)) {
      const content = this.#read(segment, before);
      if (content === odd || content === undefined) continue;
      before = { segment: content.number, bytes: content.size };
      known = laterOf(known, content.synced);
    }
    this.#known = known;
    return known;
  }

  #judge(segment: Segment, { number, size, batches, lostEnd }: SegmentContent): void {
    const isTorn = ({ looksTorn, from }: LostBytes): boolean =>
      looksTorn && !this.#isSafe({ segment: number, bytes: from });
    const all = [...batches.map(({ lost }) => lost), lostEnd].filter((lost) => lost !== null);
    const torn = all.filter(isTorn);
    const damaged = total(all) - total(torn);
    if (torn.length > 0) this.#tellTorn(segment, total(torn), size);
    if (lostEnd !== null && isTorn(lostEnd)) {
      // It would look like damage once another segment follows.
      truncateSync(segment.path, lostEnd.from);
      segment.bytes = lostEnd.from;
    }
    if (damaged > 0) this.#keepDamaged(segment, damaged, size);
  }

  #tellTorn({ path }: Segment, torn: number, size: number): void {
    const value = `${path}: ${torn} of ${size} bytes`;
    const remedy = 'Nothing to do: this is what a killed process leaves, or a loss of power.';
    this.#witness.warn(new ReelayError('journal_torn', { value, remedy }));
  }

  #keepDamaged({ path }: Segment, damaged: number, size: number): void {
    const value = `${path}: ${damaged} of ${size} bytes`;
    this.#witness.warn(new ReelayError('journal_unreadable', { value, remedy: 'Look for disk errors.' }));
    this.#witness.quarantine?.keep(path, `${damaged} of ${size} bytes are damaged, or of another journal`);
  }
}

/** Segments as they were written, whatever they are called now. */
function inOrder(segments: readonly Segment[]): Segment[] {
  let before = 0;
  const keyed = segments.map((segment) => {
    before = firstIn(segment.path) ?? before;
    return { segment, first: before };
  });
  return keyed.sort((a, b) => a.first - b.first).map(({ segment }) => segment);
}

function total(lost: readonly LostBytes[]): number {
  return lost.reduce((sum, { from, to }) => sum + to - from, 0);
}
