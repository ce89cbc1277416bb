import type { RoomKeep } from '../tap/RoomsMessage.js';
import type { TapAddress } from '../tap/Tap.js';
import type { ParticipantFacts, StreamEndFacts } from '../tap/TapRecord.js';
import { LaneWriter, type RoomRing } from './LaneWriter.js';

/** What found no room in the ring is told as often as this, ms. */
const missedMs = 200;
/** How long the address of a lane is waited for that isn't heard any more, ms: behind it main is busy, or its own ring full. */
const addressMs = 5000;

interface Lane {
  readonly number: number;
  readonly writer: LaneWriter;
  missed: { records: number; sinceMs: number } | null;
}

/** What is told of a lane. */
export type LaneNews =
  | {
      readonly type: 'laneJoined';
      readonly lane: number;
      readonly participant: ParticipantFacts;
      readonly arrivalMs: number;
    }
  | {
      readonly type: 'laneLeft';
      readonly lane: number;
      readonly reason: StreamEndFacts['reason'];
      readonly arrivalMs: number;
    }
  | { readonly type: 'missed'; readonly lane: number; readonly records: number; readonly sinceMs: number };

/**
 * Whom a visit hears. The process in the room numbers its lanes from 1, and so does the one that takes its place; here each has a number
 * of its own for as long as the visit lasts.
 */
export class VisitLanes {
  readonly #ring: RoomRing;
  readonly #after: (ms: number, then: () => void) => void;
  readonly #tell: (news: LaneNews) => void;
  readonly #onMissed: () => void;
  /** By the numbers of the process that is in the room. */
  readonly #lanes = new Map<number, Lane>();
  /** By their own numbers: whose audio still waits for an address. What is left of them is told after it. */
  readonly #leaving = new Map<number, { readonly lane: Lane; readonly tellLeft: () => void }>();
  #keep: RoomKeep = 'audio';
  #last = 0;

  constructor(world: {
    readonly ring: RoomRing;
    readonly after: (ms: number, then: () => void) => void;
    readonly tell: (news: LaneNews) => void;
    /** A lane has lost records, of which a `missed` will tell. */
    readonly onMissed: () => void;
  }) {
    this.#ring = world.ring;
    this.#after = world.after;
    this.#tell = world.tell;
    this.#onMissed = world.onMissed;
  }

  /** Their audio is kept like this from now on. */
  set keep(keep: RoomKeep) {
    this.#keep = keep;
    for (const { writer } of this.#lanes.values()) writer.keep = keep;
    for (const { lane } of this.#leaving.values()) lane.writer.keep = keep;
  }

  /** @param processLane - the process's number of it. @returns its own; null: it isn't there */
  numberOf(processLane: number): number | null {
    return this.#lanes.get(processLane)?.number ?? null;
  }

  /** Its stream is written down, so that its audio may be. @param lane - its own number */
  open(lane: number, address: TapAddress): void {
    for (const { number, writer } of this.#lanes.values()) if (number === lane) writer.open(address);
    this.#leaving.get(lane)?.lane.writer.open(address);
    this.#left(lane);
  }

  write(processLane: number, pcm: Uint8Array, arrivalMs: number): void {
    this.#lanes.get(processLane)?.writer.write(pcm, arrivalMs);
  }

  join(processLane: number, participant: ParticipantFacts, arrivalMs: number): void {
    const lane: Lane = {
      number: ++this.#last,
      writer: new LaneWriter(this.#ring, (records, sinceMs) => this.#missed(lane, records, sinceMs)),
      missed: null,
    };
    lane.writer.keep = this.#keep;
    this.#lanes.set(processLane, lane);
    this.#tell({ type: 'laneJoined', lane: lane.number, participant, arrivalMs });
  }

  leave(processLane: number, reason: StreamEndFacts['reason'], arrivalMs: number): void {
    const lane = this.#lanes.get(processLane);
    if (lane === undefined) return;
    this.#lanes.delete(processLane);
    const { number } = lane;
    this.#leaving.set(number, {
      lane,
      tellLeft: () => this.#tell({ type: 'laneLeft', lane: number, reason, arrivalMs }),
    });
    if (lane.writer.isHolding) this.#after(addressMs, () => this.#left(number));
    else this.#left(number);
  }

  leaveAll(reason: StreamEndFacts['reason'], arrivalMs: number): void {
    for (const number of [...this.#lanes.keys()]) this.leave(number, reason, arrivalMs);
  }

  /** Nobody will say any more where their audio belongs. */
  end(): void {
    for (const number of [...this.#leaving.keys()]) this.#left(number);
  }

  /** Its audio is where it belongs, or never will be. */
  #left(number: number): void {
    const leaving = this.#leaving.get(number);
    if (leaving === undefined) return;
    this.#leaving.delete(number);
    leaving.lane.writer.giveUp();
    this.#tellMissed(leaving.lane);
    leaving.tellLeft();
  }

  #missed(lane: Lane, records: number, sinceMs: number): void {
    if (lane.missed !== null) {
      lane.missed.records += records;
      return;
    }
    lane.missed = { records, sinceMs };
    this.#onMissed();
    this.#after(missedMs, () => this.#tellMissed(lane));
  }

  #tellMissed(lane: Lane): void {
    const { missed } = lane;
    lane.missed = null;
    if (missed !== null) this.#tell({ type: 'missed', lane: lane.number, ...missed });
  }
}
