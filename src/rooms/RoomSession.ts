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
  /** One channel of 16-bit samples that ended at `timeMs`. */
  audio(lane: number, timeMs: number, samples: Int16Array): void;
  /** @param lane - 0: of the room */
  tell(lane: number, timeMs: number, message: FromRoomProcess): void;
}

export type JoinRequest = Extract<ToRoomProcess, { type: 'join' }>;

/** How long nobody may have published before that is told, ms. */
const silentMs = 5000;
/** How often it is asked how much the jitter buffers have made up, ms. */
const concealedMs = 10_000;
/** Less isn't worth an event: 60 ms at 48 kHz. */
const leastConcealed = 2880;
const jitterRate = 48_000;

interface OpenLane {
  readonly number: number;
  concealed: number;
}

/**
 * One room, as the process that sits in it sees it: says what happens there, and hands on what is heard, each with the time at which it
 * came. A lane is a track from when it is heard until it isn't; one that comes again is another lane, of which somebody else knows whose
 * it is.
 */
export class RoomSession implements RoomEvents {
  readonly #request: JoinRequest;
  readonly #sdk: RoomSdk;
  readonly #clock: SessionClock;
  readonly #out: SessionOutlet;
  readonly #onOver: () => void;
  readonly #lanes = new Map<string, OpenLane>();
  readonly #timers = new Map<'silent' | 'empty' | 'concealed', () => void>();
  #room: JoinedRoom | null = null;
  #lastLane = 0;
  #hasHadOthers = false;
  #isOver = false;

  constructor(
    request: JoinRequest,
    world: {
      readonly sdk: RoomSdk;
      readonly clock: SessionClock;
      readonly out: SessionOutlet;
      /** It has said its last word. */
      readonly onOver: () => void;
    },
  ) {
    this.#request = request;
    this.#sdk = world.sdk;
    this.#clock = world.clock;
    this.#out = world.out;
    this.#onOver = world.onOver;
  }

  /** Joins the room; never rejects. */
  async join(): Promise<void> {
    try {
      const { url, token, sampleRate } = this.#request;
      const room = await this.#sdk.join({ url, token, sampleRate }, this);
      if (this.#isOver) {
        await room.leave();
        return;
      }
      this.#room = room;
      this.#tell({ type: 'joined', sid: await room.sid() });
      this.#set('silent', silentMs, () => this.#tell({ type: 'nobodyPublished' }));
      this.#set('concealed', concealedMs, () => void this.#askConcealed());
      if (this.#lastLane > 0) this.#unset('silent');
      this.othersChanged(room.others);
    } catch (error) {
      if (this.#isOver) return;
      this.#tell({ type: 'joinFailed', message: error instanceof Error ? error.message : String(error) });
      this.#finish();
    }
  }

  /** Leaves it, wherever it is with joining; never rejects. */
  async leave(why: RoomExit = 'left'): Promise<void> {
    if (this.#isOver) return;
    this.exited(why, '');
    // What the server does with it is its business; nothing is heard any more.
    await this.#room?.leave().catch(() => undefined);
  }

  trackHeard(track: RoomTrack): void {
    if (this.#isOver) return;
    const lane: OpenLane = { number: ++this.#lastLane, concealed: 0 };
    this.#lanes.set(track.sid, lane);
    this.#unset('silent');
    this.#tell({ type: 'laneJoined', participant: track.participant }, lane);
    if (track.isMuted) this.#tell({ type: 'laneMuted', isMuted: true }, lane);
    void this.#hear(track, lane);
  }

  trackFailed(participant: RoomTrack['participant'], message: string): void {
    if (!this.#isOver) this.#tell({ type: 'laneFailed', participant, message });
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
    for (const lane of this.#lanes.values()) this.#tell({ type: 'laneLeft' }, lane);
    this.#lanes.clear();
    this.#tell({ type: 'exited', why, detail });
    this.#finish();
  }

  async #hear(track: RoomTrack, lane: OpenLane): Promise<void> {
    try {
      for await (const samples of track.frames()) {
        if (this.#isOver) return;
        this.#out.audio(lane.number, this.#clock.now(), samples);
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.trackFailed(track.participant, message);
    }
    // Another one may have taken the place of the same track meanwhile.
    if (this.#isOver || this.#lanes.get(track.sid) !== lane) return;
    this.#lanes.delete(track.sid);
    this.#tell({ type: 'laneLeft' }, lane);
  }

  async #askConcealed(): Promise<void> {
    this.#set('concealed', concealedMs, () => void this.#askConcealed());
    // Statistics that can't be had are none.
    const found = await this.#room?.concealed().catch(() => undefined);
    for (const [sid, lane] of this.#lanes) {
      const all = found?.get(sid) ?? lane.concealed;
      const made = all - lane.concealed;
      if (made < leastConcealed) continue;
      lane.concealed = all;
      const samples = Math.round((made * this.#request.sampleRate) / jitterRate);
      this.#tell({ type: 'concealed', samples }, lane);
    }
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

  #set(name: 'silent' | 'empty' | 'concealed', ms: number, then: () => void): void {
    this.#unset(name);
    const unset = this.#clock.after(ms, () => {
      this.#timers.delete(name);
      if (!this.#isOver) then();
    });
    this.#timers.set(name, unset);
  }

  #unset(name: 'silent' | 'empty' | 'concealed'): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
  }
}
