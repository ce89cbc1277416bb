import { RecordKind } from './TapRecord.js';
import type { Encoding, Track } from './TapRecord.js';

/** What a record says of itself beside its payload. */
export interface RecordHead {
  readonly kind: RecordKind;
  readonly call: number;
  readonly stream: number;
  readonly arrivalMs: number;
  readonly track?: Track;
  readonly encoding?: Encoding;
  readonly providerMs?: number;
}

/** What waits for room: a record that must not be lost, or the place where others were dropped. */
export type Held = HeldRecord | Drop;

export interface HeldRecord {
  readonly head: RecordHead;
  readonly payload: Uint8Array;
}

export interface Drop {
  sinceMs: number;
  records: number;
}

/** Digits of one call that may wait: more than anybody presses while a ring is full. */
const mostDigits = 64;

/**
 * What of one call waits for room in the ring, in the order in which it happened. It is bounded because starts, ends and pauses are few,
 * because drops that follow one another are one, and because of digits, of which a provider may send any number, so many are held and the
 * last one.
 */
export class HeldRecords {
  readonly #held: Held[] = [];
  #digits = 0;

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  get first(): Held | undefined {
    return this.#held[0];
  }

  /** Where the hole ends that comes first: with the next thing that wasn't dropped, else `nowMs`. */
  holeEndMs(nowMs: number): number {
    const [first, next] = this.#held;
    const endMs = next !== undefined && 'head' in next ? next.head.arrivalMs : nowMs;
    // The end of a stream is told with the time of its last word, behind what the bot has said since.
    return first !== undefined && 'records' in first ? Math.max(first.sinceMs, endMs) : endMs;
  }

  /** @returns whether another digit has given way to this one */
  push(record: HeldRecord): boolean {
    const isTooMany = isDigit(record) && this.#digits >= mostDigits;
    if (isTooMany) this.#dropLastDigit();
    if (isDigit(record)) this.#digits++;
    this.#held.push(record);
    return isTooMany;
  }

  /** Records found no room here, or elsewhere, the first of them at `sinceMs`. */
  drop(sinceMs: number, records = 1): void {
    const last = this.#held.at(-1);
    if (last !== undefined && 'records' in last) join(last, { sinceMs, records });
    else this.#held.push({ sinceMs, records });
  }

  /** The first one has found its room. */
  shift(): void {
    const first = this.#held.shift();
    if (first !== undefined && isDigit(first)) this.#digits--;
  }

  /** What lies between it and the one that comes now is missing anyway, so the tones in between are. */
  #dropLastDigit(): void {
    const at = this.#held.findLastIndex(isDigit);
    this.#held.splice(at, 1);
    this.#digits--;
    const [before, behind] = [this.#held[at - 1], this.#held[at]];
    if (before === undefined || behind === undefined || !('records' in before) || !('records' in behind))
      return;
    join(before, behind);
    this.#held.splice(at, 1);
  }
}

/** Makes one hole of two, of which nobody knows what lies between. */
function join(drop: Drop, other: Drop): void {
  drop.sinceMs = Math.min(drop.sinceMs, other.sinceMs);
  drop.records += other.records;
}

function isDigit(held: Held): boolean {
  return 'head' in held && held.head.kind === RecordKind.dtmf;
}
