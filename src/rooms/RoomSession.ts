import { LaneClock, type TimedFrame } from './LaneClock.js';
import type { FromRoomProcess, RoomExit, ToRoomProcess } from './RoomMessage.js';
import type { JoinedRoom, RoomEvents, RoomSdk, RoomTrack } from './RoomSdk.js';

/** What a session needs of the world. */
export interface SessionClock {
  /** CLOCK_MONOTONIC, ms. */
  now(): number;
  /** @returns a way to take it back */
  after(ms: number, then: () => void): () => void;
}

export interface SessionOutlet {
  /** One channel of 16-bit samples, and when their end was due; {@link LaneClock} says what that is. */
  audio(lane: number, timeMs: number, samples: Int16Array): void;
  /** @param lane - 0: of the room */
  tell(lane: number, timeMs: number, message: FromRoomProcess): void;
}

export type JoinRequest = Extract<ToRoomProcess, { type: 'join' }>;

/** How long nobody may have published before that is told, ms. */
const silentMs = 5000;
/** How often the jitter buffers are asked, and after how many times it is told how much they have made up, ms. */
const buffersMs = 250;
const concealedLooks = 40;
/** Less isn't worth an event: 60 ms at 48 kHz. */
const leastConcealed = 2880;
const jitterRate = 48_000;
/** A jitter buffer holds more or less by so much when it is told again, ms. */
const leastDelayChange = 20;
const untold = { isAsked: false, concealed: 0, concealedTold: 0, delayTold: null };

type Timer = 'silent' | 'empty' | 'buffers';

interface OpenLane {
  readonly number: number;
  readonly track: RoomTrack;
  readonly clock: LaneClock;
  /** An answer of its buffer is on its way. */
  isAsked: boolean;
  /** Samples that were made up, and of how many that was told, Hz: `jitterRate`. */
  concealed: number;
  concealedTold: number;
  /** What was told that its jitter buffer holds, ms; null: nothing yet. */
  delayTold: number | null;
}

/**
 * One room, as the process that sits in it sees it: says what happens there, and hands on what is heard, each with the time at which it
 * was due. A lane is a track from when it is heard until it isn't; one that comes again is another lane, of which somebody else knows whose
 * it is.
 */
export class RoomSession implements RoomEvents {
  readonly #request: JoinRequest;
  readonly #sdk: RoomSdk;
  readonly #clock: SessionClock;
  readonly #out: SessionOutlet;
  readonly #onOver: () => void;
  readonly #onLeaving: (left: Promise<void>) => void;
  readonly #lanes = new Map<string, OpenLane>();
  readonly #timers = new Map<Timer, () => void>();
  #room: JoinedRoom | null = null;
  #lastLane = 0;
  #hasHadOthers = false;
  #looks = 0;
  #isOver = false;

  constructor(
    request: JoinRequest,
    world: {
      readonly sdk: RoomSdk;
      readonly clock: SessionClock;
      readonly out: SessionOutlet;
      /** It has said its last word. */
      readonly onOver: () => void;
      /** The server is being told. @param left - never rejects; a process that ended before would be missed by it only after a time-out */
      readonly onLeaving: (left: Promise<void>) => void;
    },
  ) {
    this.#request = request;
    this.#sdk = world.sdk;
    this.#clock = world.clock;
    this.#out = world.out;
    this.#onOver = world.onOver;
    this.#onLeaving = world.onLeaving;
  }

  /** Joins the room; never rejects. */
  async join(): Promise<void> {
    try {
      const { url, token, sampleRate, mostLanes } = this.#request;
      const room = await this.#sdk.join({ url, token, sampleRate, mostLanes }, this);
      if (this.#isOver) {
        await this.#disconnect(room);
        return;
      }
      this.#room = room;
      this.#inside(room, await room.sid());
    } catch (error) {
      if (this.#isOver) return;
      this.#tell({ type: 'joinFailed', message: error instanceof Error ? error.message : String(error) });
      this.#finish();
    }
  }

  #inside(room: JoinedRoom, sid: string): void {
    // It was left while that was asked for: its last word is said.
    if (this.#isOver) return;
    this.#tell({ type: 'joined', sid });
    this.#set('silent', silentMs, () => this.#tell({ type: 'nobodyPublished' }));
    this.#look();
    if (this.#lastLane > 0) this.#unset('silent');
    this.othersChanged(room.others);
  }

  /** Leaves it, wherever it is with joining; never rejects. */
  async leave(why: RoomExit = 'left'): Promise<void> {
    if (this.#isOver) return;
    this.exited(why, '');
    if (this.#room !== null) await this.#disconnect(this.#room);
  }

  /** What the server does with it is its business; nothing is heard any more. */
  async #disconnect(room: JoinedRoom): Promise<void> {
    const left = room.leave().catch(() => undefined);
    this.#onLeaving(left);
    await left;
  }

  trackHeard(track: RoomTrack): void {
    if (this.#isOver) return;
    // Subscribed to again before its end was heard of: nobody would come back to the lane that it had.
    const former = this.#lanes.get(track.sid);
    if (former !== undefined) this.#close(former);
    const clock = new LaneClock(this.#request.sampleRate);
    const lane: OpenLane = { number: ++this.#lastLane, track, clock, ...untold };
    this.#lanes.set(track.sid, lane);
    this.#unset('silent');
    this.#tell({ type: 'laneJoined', participant: track.participant }, lane);
    if (track.isMuted) this.#tell({ type: 'laneMuted', isMuted: true }, lane);
    void this.#hear(track, lane);
  }

  trackFailed(participant: RoomTrack['participant'], message: string, code?: 'lanes_full'): void {
    if (!this.#isOver) this.#tell({ type: 'laneFailed', participant, code: code ?? null, message });
  }

  trackMuted(sid: string, isMuted: boolean): void {
    const lane = this.#lanes.get(sid);
    if (lane !== undefined) this.#tell({ type: 'laneMuted', isMuted }, lane);
  }

  /** A room in which nobody has been yet is waited in for as long as it exists; the server ends one that stays empty. */
  othersChanged(others: number): void {
    if (this.#isOver) return;
    if (others > 0) {
      this.#hasHadOthers = true;
      this.#unset('empty');
    } else if (this.#hasHadOthers && !this.#timers.has('empty')) {
      this.#set('empty', this.#request.departureMs, () => void this.leave('empty'));
    }
  }

  reconnecting(): void {
    if (!this.#isOver) this.#tell({ type: 'reconnecting' });
  }

  reconnected(sid: string): void {
    if (!this.#isOver) this.#tell({ type: 'reconnected', sid });
  }

  exited(why: RoomExit, detail: string): void {
    if (this.#isOver) return;
    for (const lane of this.#lanes.values()) this.#close(lane, why === 'lost');
    this.#lanes.clear();
    this.#tell({ type: 'exited', why, detail });
    this.#finish();
  }

  async #hear(track: RoomTrack, lane: OpenLane): Promise<void> {
    let isLost = false;
    try {
      for await (const samples of track.frames()) {
        if (this.#isOver || this.#lanes.get(track.sid) !== lane) return;
        this.#give(lane, lane.clock.push(samples, this.#clock.now()));
        if (lane.clock.isWaiting) void this.#ask(lane);
      }
    } catch (error) {
      isLost = true;
      const message = error instanceof Error ? error.message : String(error);
      this.trackFailed(track.participant, message);
    }
    // Another one may have taken the place of the same track meanwhile.
    if (this.#isOver || this.#lanes.get(track.sid) !== lane) return;
    this.#lanes.delete(track.sid);
    this.#close(lane, isLost);
  }

  #close(lane: OpenLane, isLost = false): void {
    this.#give(lane, lane.clock.flush());
    this.#tellConcealed(lane);
    this.#tell({ type: 'laneLeft', isLost }, lane);
  }

  #give({ number }: OpenLane, frames: readonly TimedFrame[]): void {
    for (const { timeMs, samples } of frames) this.#out.audio(number, timeMs, samples);
  }

  #look(): void {
    this.#set('buffers', buffersMs, () => this.#look());
    const tells = ++this.#looks % concealedLooks === 0;
    for (const lane of this.#lanes.values()) {
      void this.#ask(lane);
      if (!tells) continue;
      this.#tellConcealed(lane);
      this.#tellDelay(lane);
    }
  }

  async #ask(lane: OpenLane): Promise<void> {
    if (lane.isAsked) return;
    lane.isAsked = true;
    const report = await lane.track.buffer();
    lane.isAsked = false;
    if (report === null || this.#isOver || this.#lanes.get(lane.track.sid) !== lane) return;
    lane.concealed = report.concealed;
    this.#give(lane, lane.clock.told(report, this.#clock.now()));
    if (lane.delayTold === null) this.#tellDelay(lane);
  }

  #tellDelay(lane: OpenLane): void {
    const { delayMs } = lane.clock;
    if (delayMs === null) return;
    if (lane.delayTold !== null && Math.abs(delayMs - lane.delayTold) < leastDelayChange) return;
    lane.delayTold = Math.round(delayMs);
    this.#tell({ type: 'laneDelay', ms: lane.delayTold }, lane);
  }

  #tellConcealed(lane: OpenLane): void {
    const made = lane.concealed - lane.concealedTold;
    if (made < leastConcealed) return;
    lane.concealedTold = lane.concealed;
    const samples = Math.round((made * this.#request.sampleRate) / jitterRate);
    this.#tell({ type: 'concealed', samples }, lane);
  }

  #tell(message: FromRoomProcess, lane?: OpenLane): void {
    this.#out.tell(lane?.number ?? 0, this.#clock.now(), message);
  }

  #finish(): void {
    this.#isOver = true;
    for (const unset of this.#timers.values()) unset();
    this.#timers.clear();
    this.#onOver();
  }

  #set(name: Timer, ms: number, then: () => void): void {
    this.#unset(name);
    const unset = this.#clock.after(ms, () => {
      this.#timers.delete(name);
      if (!this.#isOver) then();
    });
    this.#timers.set(name, unset);
  }

  #unset(name: Timer): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
  }
}
