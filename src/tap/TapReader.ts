import { unreadIn, type UnreadRecords } from './RecordReader.js';
import { RingReader } from './Ring.js';
import { sequenceAt } from './TapRecord.js';

/** How long a number may be missing in front of everything, ms: its producer has it and is about to show the record. */
const patienceMs = 1000;

/**
 * The consumer's end of several rings whose records are numbered together ({@link SharedSequence}): shows them as one, in the order of
 * their numbers. So a call whose records come over one ring and then over another loses none and has none in the wrong place.
 *
 *     ring A   1 2 . . 5 6 .       shown: 1 2, 3 4, 5 6; and 7 and 8 when 7 is there
 *     ring B   . . 3 4 . . . 8
 *
 * Nothing is copied: what is shown are pieces of the rings. Rings that have no producer yet cost a look at one cell.
 */
export class TapReader {
  readonly #readers: readonly RingReader[];
  /** How much of each ring was shown, bytes. */
  #taken: number[] = [];
  #missingSinceMs: number | null = null;
  #hasShown = false;

  /** Becomes the consumer of each ring. @param rings - at least one */
  constructor(rings: readonly SharedArrayBuffer[]) {
    this.#readers = rings.map((ring) => new RingReader(ring));
  }

  /** Whether nothing waits in any ring. What was shown and not released isn't shown any more. */
  get isEmpty(): boolean {
    this.#taken = [];
    return this.#readers.every((reader) => reader.peek().length === 0);
  }

  /**
   * What comes after a number, in the order of the numbers, as far as none is missing that is about to be there. Valid until it is released.
   *
   * @param after - what has it or a lower number is passed over: a predecessor had it and ended before it could say so
   */
  peek(after: number, nowMs = performance.now()): UnreadRecords {
    const waiting = this.#waiting();
    const [first, ...others] = waiting;
    if (others.every((runs) => runs === null)) {
      this.#taken = [Infinity];
      const unread = unreadIn(first ?? [], after);
      this.#hasShown ||= unread.pieces.length > 0;
      return unread;
    }
    const heads = waiting.map((runs) => new Head(runs ?? [], after));
    const pieces: Uint8Array[] = [];
    let [from, last] = [0, 0];
    for (let head = nextOf(heads); head !== undefined; head = nextOf(heads)) {
      const { number } = head;
      if (!this.#follows(number, last === 0 ? after : last, pieces.length === 0, nowMs)) break;
      from ||= number;
      pieces.push(head.take());
      last = head.lastTaken;
    }
    this.#taken = heads.map(({ takenBytes }) => takenBytes);
    return { pieces, first: from, last };
  }

  /** Gives what `peek` showed back to the producers. */
  release(): void {
    for (const [index, bytes] of this.#taken.entries()) this.#readers[index]?.release(bytes);
    this.#taken = [];
  }

  /**
   * What waits in each ring; null where there is no producer yet. The first ring comes first: a producer that is still missing behind it
   * had taken no number when the first showed its records, so that none of those has to wait.
   */
  #waiting(): (readonly Uint8Array[] | null)[] {
    return this.#readers.map((reader, index) => (index === 0 || reader.isOpen ? reader.peek() : null));
  }

  /**
   * At its beginning, after a journal was damaged, one that never comes isn't waited for for ever, and neither is one that a thread which was
   * ended may have taken with it. Otherwise each number comes, though a producer may stand still for longer than anybody's patience: whoever
   * passed it over would lose it without a word.
   */
  #follows(number: number, before: number, isFirst: boolean, nowMs: number): boolean {
    if (number === before + 1) {
      this.#hasShown = true;
      this.#missingSinceMs = null;
      return true;
    }
    if (!isFirst || (this.#hasShown && !this.#isLost(before + 1, number))) return false;
    this.#missingSinceMs ??= nowMs;
    if (nowMs - this.#missingSinceMs < patienceMs) return false;
    this.#missingSinceMs = null;
    return true;
  }

  /** Whether every number of `[from, to)` may have been taken by a thread that has ended. */
  #isLost(from: number, to: number): boolean {
    for (let number = from; number < to; number++)
      if (!this.#readers.some((reader) => reader.hasLost(number))) return false;
    return true;
  }
}

/** Where in what a ring shows the first record is that hasn't been taken. */
class Head {
  readonly #runs: readonly Uint8Array[];
  #run = 0;
  #at = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  takenBytes = 0;
  lastTaken = 0;
  /** Of the record that is next; Infinity where there is none. */
  number = Infinity;

  /** @param after - what has it or a lower number is passed over, and counts as taken */
  constructor(runs: readonly Uint8Array[], after: number) {
    this.#runs = runs;
    this.#enter();
    while (this.number <= after) this.#pass();
  }

  /** Moves over records that follow on one another and lie in one piece. @returns them */
  take(): Uint8Array {
    const { buffer, byteOffset } = this.#view;
    const [run, from] = [this.#run, this.#at];
    let to: number;
    do {
      this.lastTaken = this.number;
      to = this.#pass();
    } while (this.#run === run && this.number === this.lastTaken + 1);
    return new Uint8Array(buffer, byteOffset + from, to - from);
  }

  /** @returns where the record that was next ended in its run */
  #pass(): number {
    const end = this.#at + ((this.#view.getUint32(this.#at, true) + 7) & ~7);
    this.takenBytes += end - this.#at;
    this.#at = end;
    if (end < this.#view.byteLength) this.number = this.#view.getFloat64(end + sequenceAt, true);
    else {
      this.#run += 1;
      this.#enter();
    }
    return end;
  }

  #enter(): void {
    const run = this.#runs[this.#run];
    this.#at = 0;
    if (run !== undefined) this.#view = new DataView(run.buffer, run.byteOffset, run.byteLength);
    this.number = run === undefined ? Infinity : this.#view.getFloat64(sequenceAt, true);
  }
}

/** The one whose next record has the lowest number; undefined where there is none. */
function nextOf(heads: readonly Head[]): Head | undefined {
  let next: Head | undefined;
  for (const head of heads) if (head.number < (next?.number ?? Infinity)) next = head;
  return next;
}
