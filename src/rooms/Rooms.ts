import type { Logger } from 'pino';
import { Counters } from '../tap/Counters.js';
import type { FromRooms, RoomsData, RoomToJoin, ToRooms } from '../tap/RoomsMessage.js';
import { SharedSequence } from '../tap/Sequence.js';
import { RoomRing } from './LaneWriter.js';
import { monotonicMs } from './RoomFrame.js';
import { RoomPool } from './RoomPool.js';
import { RoomServer } from './RoomServer.js';
import { RoomVisit, type VisitClock } from './RoomVisit.js';

const gaugeMs = 250;

/** The work of the thread that joins rooms: a visit for each, and the processes that they need. */
export class Rooms {
  readonly #post: (message: FromRooms) => void;
  readonly #visits = new Map<number, RoomVisit>();
  readonly #ring: RoomRing;
  readonly #pool: RoomPool;
  readonly #clock: VisitClock;
  /** Cell 0: how often something was lost that the media thread is, or will be, told of. */
  readonly #behind: Int32Array;

  /** @param entry - what the processes run */
  constructor(data: RoomsData, entry: URL, log: Logger, post: (message: FromRooms) => void) {
    this.#post = post;
    const counters = new Counters(data.counters);
    this.#ring = new RoomRing(data.ring, new SharedSequence(data.sequence), counters);
    this.#pool = new RoomPool({ entry, limits: data.limits, counters, log });
    this.#behind = new Int32Array(data.behind);
    const offsetMs = data.clockOffsetMs;
    this.#clock = {
      offsetMs,
      now: () => monotonicMs() - offsetMs,
      after: (ms, then) => {
        const timer = setTimeout(then, ms);
        return () => clearTimeout(timer);
      },
    };
    setInterval(() => this.#ring.gauge(), gaugeMs).unref();
    this.#pool.warm();
    post({ type: 'ready' });
  }

  receive(message: Exclude<ToRooms, { readonly type: 'fault' }>): void {
    if (message.type === 'limits') {
      const { roomsPerProcess, roomProcesses } = message;
      this.#pool.limits = { roomsPerProcess, roomProcesses };
      return;
    }
    if (message.type === 'stop') return this.#stop();
    if (message.type === 'join') return this.#open(message.room, message.toJoin);
    const visit = this.#visits.get(message.room);
    if (message.type === 'keep') {
      if (visit !== undefined) visit.keep = message.keep;
      this.#post({ type: 'kept', room: message.room, id: message.id });
    } else if (message.type === 'lane') visit?.open(message.lane, message.address);
    else if (message.type === 'hint') visit?.hint();
    else visit?.leave();
  }

  #stop(): void {
    for (const visit of this.#visits.values()) visit.leave();
    this.#pool.end();
    this.#visits.clear();
    this.#post({ type: 'stopped' });
  }

  #open(room: number, toJoin: RoomToJoin): void {
    const visit = new RoomVisit(room, toJoin, {
      sitters: this.#pool,
      door: new RoomServer(toJoin),
      clock: this.#clock,
      ring: this.#ring,
      post: this.#post,
      onMissed: () => (this.#behind[0] = ((this.#behind[0] ?? 0) + 1) | 0),
      onOver: () => this.#visits.delete(room),
    });
    this.#visits.set(room, visit);
    visit.begin();
  }
}
