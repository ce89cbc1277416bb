import { ReelayError, type ErrorCode } from '../config/ReelayError.js';
import type { FromRooms, RoomKeep, RoomToJoin } from '../tap/RoomsMessage.js';
import type { TapAddress } from '../tap/Tap.js';
import type { EventFacts, StreamEndFacts } from '../tap/TapRecord.js';
import type { RoomRing } from './LaneWriter.js';
import { Patience } from './Patience.js';
import type { FromRoomProcess, RoomExit } from './RoomMessage.js';
import type { RoomInProcess, RoomProcess } from './RoomProcess.js';
import type { RoomServer } from './RoomServer.js';
import { VisitLanes } from './VisitLanes.js';

/** What a visit needs of a process; of a pool; of a server; and of time. */
export type Sitter = Pick<RoomProcess, 'join' | 'leave' | 'forget' | 'release'>;
export interface Sitters {
  place(signal: AbortSignal, isAlone: boolean): Promise<Sitter | null>;
  changed(): void;
}
export type Door = Pick<RoomServer, 'rooms' | 'token'>;
export interface VisitClock {
  /** The media thread's, ms. */
  now(): number;
  /** CLOCK_MONOTONIC less that, ms. */
  readonly offsetMs: number;
  /** @returns a way to take it back */
  after(ms: number, then: () => void): () => void;
}

/** How long it may take until there is a process; and how long that may take to join, and to leave, ms. */
const placeMs = 10_000;
const joinMs = 20_000;
const leaveMs = 3000;
/** No further try makes these better. */
const final: readonly ErrorCode[] = ['room_denied', 'sdk_missing'];

/** What leaving a room is called among the events of its recording. */
const departures = {
  empty: 'room_emptied',
  finished: 'room_finished',
  removed: 'room_left',
  lost: 'room_left',
} as const;

type Told = FromRooms extends infer Each
  ? Each extends { room: number }
    ? Omit<Each, 'room'>
    : never
  : never;

/**
 * The presence in one room, from the wish to be there to the last word: looks whether the room is there (to join one that isn't would make
 * it), has a process join it, and does so again when the process or the connection is lost. Whatever becomes of it is told, each time with
 * a code.
 *
 *     looking ── joining ── inside ── over
 *        └── waiting ──┴─────────┘ lost
 */
export class RoomVisit implements RoomInProcess {
  readonly #number: number;
  readonly #toJoin: RoomToJoin;
  readonly #sitters: Sitters;
  readonly #door: Door;
  readonly #clock: VisitClock;
  readonly #post: (message: FromRooms) => void;
  readonly #onOver: () => void;
  /** Ends the wait for a place. */
  #placing = new AbortController();
  readonly #lanes: VisitLanes;
  #state: 'looking' | 'waiting' | 'joining' | 'inside' | 'leaving' | 'over' = 'looking';
  #sitter: Sitter | null = null;
  #sid: string | null;
  #tries = 0;
  readonly #patience: Patience;
  #timer: (() => void) | null = null;
  #isFullTold = false;
  #hasHeard: boolean;
  /** The client has lost the server, and tries to get it back: lanes that end now are lost. */
  #isReconnecting = false;

  constructor(
    number: number,
    toJoin: RoomToJoin,
    world: {
      readonly sitters: Sitters;
      readonly door: Door;
      readonly clock: VisitClock;
      readonly ring: RoomRing;
      readonly post: (message: FromRooms) => void;
      /** A lane has lost records, of which a `missed` will tell. */
      readonly onMissed: () => void;
      readonly onOver: () => void;
    },
  ) {
    this.#number = number;
    this.#toJoin = toJoin;
    this.#sid = toJoin.sid;
    this.#hasHeard = toJoin.wasHeard;
    this.#sitters = world.sitters;
    this.#door = world.door;
    this.#clock = world.clock;
    this.#post = world.post;
    this.#onOver = world.onOver;
    this.#lanes = new VisitLanes({
      ring: world.ring,
      after: (ms, then) => void this.#clock.after(ms, then),
      tell: (news) => this.#tell(news),
      onMissed: world.onMissed,
    });
    this.#patience = new Patience(toJoin.isRejoin, world.clock.now());
  }

  begin(): void {
    this.#event({ type: 'room_joining' });
    void this.#try();
  }

  /** The server says that the room is there. Who was thrown out of it again and again waits all the same. */
  hint(): void {
    if (this.#state === 'waiting' && !this.#patience.isWary) void this.#try();
  }

  leave(): void {
    if (this.#state === 'over' || this.#state === 'leaving') return;
    const sitter = this.#sitter;
    if (sitter === null) return this.#end(null);
    this.#state = 'leaving';
    this.#after(leaveMs, () => this.#exited('left', ''));
    sitter.leave(this.#number);
  }

  /** The lanes' audio is kept like this from now on. */
  set keep(keep: RoomKeep) {
    this.#lanes.keep = keep;
  }

  open(lane: number, address: TapAddress): void {
    this.#lanes.open(lane, address);
  }

  audio(lane: number, timeMs: number, pcm: Uint8Array): void {
    const arrivalMs = timeMs - this.#clock.offsetMs;
    const known = this.#lanes.numberOf(lane);
    if (known === null) return;
    if (!this.#hasHeard) {
      this.#hasHeard = true;
      this.#event({ type: 'first_audio' }, arrivalMs, known);
    }
    this.#lanes.write(lane, pcm, arrivalMs);
  }

  told(lane: number, timeMs: number, message: FromRoomProcess): void {
    const arrivalMs = timeMs - this.#clock.offsetMs;
    const known = this.#lanes.numberOf(lane);
    switch (message.type) {
      case 'joined':
        return this.#joined(message.sid, arrivalMs);
      case 'joinFailed':
        return this.#lost('room_join_failed', message.message);
      case 'nobodyPublished':
        return this.#event({ type: 'nobody_published' }, arrivalMs);
      case 'laneJoined':
        return this.#lanes.join(lane, message.participant, arrivalMs);
      case 'laneLeft':
        return this.#lanes.leave(lane, message.isLost || this.#isReconnecting ? 'lost' : 'stop', arrivalMs);
      case 'laneMuted': {
        const type = message.isMuted ? 'lane_muted' : 'lane_unmuted';
        if (known !== null) this.#event({ type }, arrivalMs, known);
        return;
      }
      case 'laneFailed': {
        const { participant, code, message: detail } = message;
        const { identity, source } = participant;
        const why = { ...(code !== null && { code }), detail };
        return this.#event({ type: 'lane_failed', identity, source, ...why }, arrivalMs);
      }
      case 'concealed':
        if (known !== null) this.#event({ type: 'concealed', samples: message.samples }, arrivalMs, known);
        return;
      case 'laneDelay':
        if (known !== null) this.#event({ type: 'lane_delay', ms: message.ms }, arrivalMs, known);
        return;
      case 'reconnecting':
        this.#isReconnecting = true;
        return this.#event({ type: 'reconnecting' }, arrivalMs);
      case 'reconnected':
        this.#isReconnecting = false;
        this.#event({ type: 'reconnected' }, arrivalMs);
        return this.#found(message.sid, arrivalMs);
      case 'exited':
        return this.#exited(message.why, message.detail);
      default:
    }
  }

  processLost(detail: string): void {
    this.#sitter = null;
    if (this.#state === 'leaving') return this.#end(null);
    this.#lanes.leaveAll('lost', this.#clock.now());
    if (this.#state === 'inside') this.#event({ type: 'room_left', why: 'worker_lost', detail });
    this.#lost('room_worker_lost', detail);
  }

  /** One round: look, find a process, join. Never rejects. */
  async #try(): Promise<void> {
    this.#clear();
    this.#state = 'looking';
    this.#tries++;
    try {
      const found = await this.#look();
      if (this.#is('over')) return;
      if (found === null) {
        this.#absent();
        return;
      }
      // One identity may be in a room once: each try has its own, in case the server still has the one before.
      const { name, recordingId, generation } = this.#toJoin;
      const identity = `reelay-${recordingId}-${generation}-${this.#tries}`;
      const token = await this.#door.token(name, identity);
      if (this.#is('over')) return;
      const sitter = await this.#place();
      if (this.#is('over')) sitter?.release();
      else if (sitter === null) this.#full();
      else this.#join(sitter, found, token);
    } catch (error) {
      if (this.#is('over')) return;
      const { code, value } =
        error instanceof ReelayError ? error : new ReelayError('room_join_failed', { value: String(error) });
      if (final.includes(code)) {
        this.#event({ type: 'join_failed', code, detail: value ?? '' });
        this.#end(code);
      } else this.#lost(code, value ?? '');
    }
  }

  /** @returns the room's sid; null: there is none that is meant */
  async #look(): Promise<string | null> {
    const { name, sid } = this.#toJoin;
    const room = (await this.#door.rooms([name])).find((each) => each.name === name);
    if (room === undefined) return null;
    // One of the same name is another room; to those who were thrown out of the former it is the same.
    if (sid !== null && room.sid !== sid && !this.#patience.hasBeenInside) return null;
    return room.sid;
  }

  /** @throws ReelayError `room_worker_lost`: processes end, or hang, before they can be used, and one that can is always to come */
  async #place(): Promise<Sitter | null> {
    const value = `there is none that can join within ${placeMs} ms`;
    const placing = new AbortController();
    this.#placing = placing;
    this.#after(placeMs, () => placing.abort(new ReelayError('room_worker_lost', { value })));
    // What breaks its processes is to harm nobody else, and who shares one with that is to get away from it.
    return await this.#sitters.place(placing.signal, this.#patience.isToBeAlone);
  }

  #join(sitter: Sitter, sid: string, token: string): void {
    const { url, sampleRate, departureSeconds, mostLanes } = this.#toJoin;
    this.#state = 'joining';
    this.#sitter = sitter;
    this.#isReconnecting = false;
    this.#found(sid);
    this.#after(joinMs, () => {
      sitter.leave(this.#number);
      sitter.forget(this.#number);
      this.#lost('room_join_failed', `not within ${joinMs} ms`);
    });
    const departureMs = departureSeconds * 1000;
    sitter.join(this.#number, { type: 'join', url, token, sampleRate, departureMs, mostLanes }, this);
    this.#sitters.changed();
  }

  #joined(sid: string, arrivalMs: number): void {
    if (this.#state !== 'joining') return;
    this.#clear();
    this.#state = 'inside';
    this.#patience.entered(this.#clock.now());
    this.#found(sid, arrivalMs);
    this.#tell({ type: 'joined', sid: this.#sid ?? '', arrivalMs });
  }

  /** The room has this sid; a server that was started again has another room of the same name. */
  #found(sid: string, arrivalMs = this.#clock.now()): void {
    if (sid === '' || sid === this.#sid) return;
    if (this.#sid !== null) this.#event({ type: 'room_replaced', sid, was: this.#sid }, arrivalMs);
    this.#sid = sid;
  }

  #absent(): void {
    // Whoever was thrown out by the server, as it was started again, comes back to make it.
    if (this.#patience.hasBeenInside) this.#lost('room_gone', '');
    else {
      this.#event({ type: 'join_failed', code: 'room_gone' });
      this.#end('room_gone');
    }
  }

  /** The room is there, and so may be a place, at any time. */
  #full(): void {
    if (!this.#isFullTold) this.#event({ type: 'join_failed', code: 'rooms_full' });
    this.#isFullTold = true;
    this.#patience.renew(this.#clock.now());
    this.#wait();
  }

  /** It isn't in the room, or not any more, and may be again. */
  #lost(code: ErrorCode, detail: string): void {
    if (this.#state === 'over' || this.#state === 'leaving') return;
    const nowMs = this.#clock.now();
    const wasInside = this.#state === 'inside';
    const isAtOnce = wasInside && this.#patience.left(nowMs, code === 'room_worker_lost');
    this.#letGo('lost');
    if (!wasInside) this.#event({ type: 'join_failed', code, detail });
    if (this.#patience.isOver(nowMs)) this.#end(code);
    else if (isAtOnce) void this.#try();
    else this.#wait();
  }

  #exited(why: RoomExit, detail: string): void {
    if (this.#state === 'over') return;
    const { sitter, wasLeaving } = { sitter: this.#sitter, wasLeaving: this.#state === 'leaving' };
    sitter?.forget(this.#number);
    if (why === 'left' && !wasLeaving) return this.#leftUnasked(sitter);
    this.#lanes.leaveAll(why === 'lost' ? 'lost' : 'stop', this.#clock.now());
    if (why === 'lost' && !wasLeaving) {
      this.#event({ type: 'room_left', why: 'connection_lost', detail });
      return this.#lost('room_unreachable', detail);
    }
    this.#letGo('stop');
    // That the room was lost makes its recording incomplete; that everybody has gone doesn't.
    if (why !== 'left') this.#event({ type: departures[why], why, detail });
    this.#end(why === 'removed' && !wasLeaving ? 'room_removed' : null);
  }

  /** The answer to what a former try was told, which was given up: what the process has of the room is nobody's any more. */
  #leftUnasked(sitter: Sitter | null): void {
    const detail = 'its process has left it unasked';
    sitter?.leave(this.#number);
    this.#lanes.leaveAll('lost', this.#clock.now());
    if (this.#state === 'inside') this.#event({ type: 'room_left', why: 'worker_lost', detail });
    this.#lost('room_worker_lost', detail);
  }

  #wait(): void {
    this.#state = 'waiting';
    this.#after(this.#patience.pause(), () => void this.#try());
  }

  /** @param reason - null: a proper end */
  #end(reason: ErrorCode | null): void {
    if (this.#state === 'over') return;
    this.#letGo(reason === null ? 'stop' : 'lost');
    this.#lanes.end();
    this.#state = 'over';
    this.#placing.abort(new Error('the room is left'));
    this.#tell({ type: 'ended', reason, arrivalMs: this.#clock.now() });
    this.#onOver();
    this.#sitters.changed();
  }

  #letGo(reason: StreamEndFacts['reason']): void {
    this.#clear();
    this.#sitter?.forget(this.#number);
    this.#sitter = null;
    this.#lanes.leaveAll(reason, this.#clock.now());
  }

  #event(facts: EventFacts, arrivalMs = this.#clock.now(), lane: number | null = null): void {
    this.#tell({ type: 'event', lane, facts, arrivalMs });
  }

  #tell(message: Told): void {
    this.#post({ ...message, room: this.#number });
  }

  /** Asked after a pause, in which it may have come to be so. */
  #is(state: 'over'): boolean {
    return this.#state === state;
  }

  #after(ms: number, then: () => void): void {
    this.#clear();
    this.#timer = this.#clock.after(ms, then);
  }

  #clear(): void {
    this.#timer?.();
    this.#timer = null;
  }
}
