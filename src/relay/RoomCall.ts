import type { LiveKitAccount } from '../config/Config.js';
import type { FromRooms, RoomKeep, ToRooms } from '../tap/RoomsMessage.js';
import type { StreamTap, TapAddress } from '../tap/Tap.js';
import type { EventFacts, ParticipantFacts, StreamEndFacts } from '../tap/TapRecord.js';
import type { Call, CallStream } from './Call.js';
import { laneFacts } from './laneFacts.js';

/** Where the recorder is with a room. `silent`: it is in the room, and nobody has published anything yet. */
export type RoomPresence = 'joining' | 'joined' | 'silent' | 'audible' | 'reconnecting';

/** A room as it is listed, plain data. */
export interface RoomView {
  readonly name: string;
  readonly sid: string;
  readonly presence: RoomPresence;
  /** Names of the lanes that are there now. */
  readonly lanes: readonly string[];
}

/** Where audio belongs that nobody wants. */
const nowhere: TapAddress = { call: 0, stream: 0 };

interface Lane {
  readonly name: string;
  readonly participant: ParticipantFacts;
  readonly tap: StreamTap;
  /** The other thread knows where its audio belongs. */
  isOpen: boolean;
}

/** What the thread that joins rooms tells of one of them. */
export type RoomNews = Extract<FromRooms, { readonly room: number }>;

/**
 * A LiveKit room that is being recorded: the one stream of its call, which has a stream of the tap for each lane. Their audio doesn't
 * come this way: the thread that joins rooms writes it where it is told. Here comes what happens in the room, a few times a minute.
 */
export class RoomCall implements CallStream {
  readonly streamId: string;
  readonly role = 'lane';
  readonly upstreamState = 'none';
  readonly number: number;
  readonly name: string;
  readonly #call: Call;
  readonly #livekit: LiveKitAccount;
  readonly #mostLanes: number;
  readonly #post: (message: ToRooms) => void;
  readonly #onChange: () => void;
  readonly #onLanes: (change: 1 | -1) => void;
  readonly #onOver: () => void;
  readonly #lanes = new Map<number, Lane>();
  readonly #kept = new Map<number, () => void>();
  #sid: string;
  #presence: RoomPresence = 'joining';
  #asked = 0;
  /** Of the lanes' numbers: each thread counts them from 1. */
  #generation = 0;
  #isLeaving = false;
  #isOver = false;
  #hasBeenInside = false;
  #hasBeenHeard = false;

  constructor(options: {
    readonly number: number;
    readonly name: string;
    readonly sid: string;
    readonly call: Call;
    readonly livekit: LiveKitAccount;
    /** Lanes at once. */
    readonly mostLanes: number;
    readonly post: (message: ToRooms) => void;
    readonly onChange: () => void;
    /** Another lane has come, or one has gone. */
    readonly onLanes: (change: 1 | -1) => void;
    /** Called once, when it has been left; its call may go on with tracks that an egress brings. */
    readonly onOver: () => void;
  }) {
    this.number = options.number;
    this.name = options.name;
    this.#sid = options.sid;
    this.streamId = options.sid;
    this.#call = options.call;
    this.#livekit = options.livekit;
    this.#mostLanes = options.mostLanes;
    this.#post = options.post;
    this.#onChange = options.onChange;
    this.#onLanes = options.onLanes;
    this.#onOver = options.onOver;
  }

  get call(): Call {
    return this.#call;
  }

  get view(): RoomView {
    const lanes = [...this.#lanes.values()].map(({ name }) => name);
    return { name: this.name, sid: this.#sid, presence: this.#presence, lanes };
  }

  /** Has the room joined; also by a successor of the thread that has joined it before. */
  join(): void {
    // Nobody is in it any more who could leave it.
    if (this.#isLeaving) return this.#end({ reason: 'stop', closeCode: null }, null, performance.now());
    const { url, apiKey, apiSecret, departureSeconds, sampleRate } = this.#livekit;
    const { accountId } = this.#call.identity;
    const recordingId = this.#call.recording.recordingId ?? '';
    const account = { accountId, recordingId, url, apiKey, apiSecret, departureSeconds, sampleRate };
    const room = { name: this.name, sid: this.#sid, mostLanes: this.#mostLanes };
    this.#generation++;
    const before = { isRejoin: this.#hasBeenInside, wasHeard: this.#hasBeenHeard };
    const toJoin = { ...account, ...room, ...before, generation: this.#generation };
    this.#post({ type: 'join', room: this.number, toJoin });
    // Whoever has asked meanwhile waits for an answer, and nobody was there to hear it.
    const asked = this.#kept.size === 0 && this.#keep !== 'audio' ? [0] : [...this.#kept.keys()];
    for (const id of asked) this.#post({ type: 'keep', room: this.number, keep: this.#keep, id });
  }

  /** The server says that the room is there. */
  hint(sid: string): void {
    this.#post({ type: 'hint', room: this.number, sid });
  }

  /** Whatever is on its way of its audio is written first, and the end comes with the answer. */
  leave(): void {
    this.#isLeaving = true;
    this.#post({ type: 'leave', room: this.number });
  }

  /** There is nobody to wait for. */
  cut(): void {
    this.#end({ reason: 'relay', closeCode: null }, null, performance.now());
  }

  comeBack(then: () => void): void {
    const id = ++this.#asked;
    this.#kept.set(id, then);
    this.#post({ type: 'keep', room: this.number, keep: this.#keep, id });
  }

  beginRecording(): void {
    // It begins with the call.
  }

  /** Nothing is to be had of the room any more but its recording, so it is left. */
  endRecording(): void {
    this.leave();
    this.#end({ reason: 'relay', closeCode: null }, null, performance.now());
  }

  receive(news: RoomNews): void {
    if (this.#isOver) return;
    switch (news.type) {
      case 'joined':
        return this.#joined(news.sid, news.arrivalMs);
      case 'event':
        return this.#event(news.facts, news.lane, news.arrivalMs);
      case 'laneJoined':
        return this.#laneJoined(news.lane, news.participant, news.arrivalMs);
      case 'laneLeft':
        return this.#laneLeft(news.lane, { reason: news.reason, closeCode: null }, news.arrivalMs);
      case 'missed':
        return this.#lanes.get(news.lane)?.tap.missed(news.records, news.sinceMs, performance.now());
      case 'kept':
        this.#kept.get(news.id)?.();
        this.#kept.delete(news.id);
        return;
      case 'ended': {
        const reason = news.reason === null ? 'stop' : 'lost';
        return this.#end({ reason, closeCode: null }, news.reason, news.arrivalMs);
      }
    }
  }

  /** The thread that had joined it is gone, and its processes with it: what they had written is there, and no more comes. */
  threadLost(): void {
    const nowMs = performance.now();
    for (const [number] of this.#lanes) this.#laneLeft(number, { reason: 'lost', closeCode: null }, nowMs);
    this.#event({ type: 'room_left', why: 'thread_lost' }, null, nowMs);
    const waiting = [...this.#kept.values()];
    this.#kept.clear();
    for (const then of waiting) then();
  }

  /** Lanes whose beginning had found no room in the ring may have found it since. */
  tick(): void {
    for (const [number, lane] of this.#lanes) if (!lane.isOpen) this.#open(number, lane);
  }

  get #keep(): RoomKeep {
    const { recording } = this.#call;
    if (!recording.keepsAudio) return 'nothing';
    return recording.isMuted ? 'length' : 'audio';
  }

  #joined(sid: string, arrivalMs: number): void {
    this.#sid = sid === '' ? this.#sid : sid;
    this.#hasBeenInside = true;
    this.#event({ type: 'room_joined', sid: this.#sid }, null, arrivalMs);
  }

  #laneJoined(number: number, participant: ParticipantFacts, arrivalMs: number): void {
    const { identity, source } = participant;
    const name = this.#nameFor(participant);
    if (name === null) return this.#laneRefused(number, participant, arrivalMs);
    const { sampleRate } = this.#livekit;
    const streamId = `${participant.sid}-${this.#generation}-${number}`;
    const facts = laneFacts({
      streamId,
      lane: name,
      participant,
      isOnTime: true,
      sampleRate,
      arrivalMs,
    });
    const lane: Lane = {
      name,
      participant,
      tap: this.#call.tap.startStream(facts, arrivalMs),
      isOpen: false,
    };
    this.#lanes.set(number, lane);
    this.#onLanes(1);
    if (this.#hasBeenHeard) this.#presence = 'audible';
    this.#call.event({ type: 'lane_joined', lane: name, identity, source }, arrivalMs);
    this.#call.log.info({ lane: name, identity, source, kind: participant.kind }, 'lane joined');
    this.#open(number, lane);
    this.#onChange();
  }

  /**
   * Who comes back has the lane from before; of two tracks of one source that are there together the second has one of its own, as a lane
   * holds one at a time.
   *
   * @returns null: the recording has had as many lanes as it may
   */
  #nameFor({ identity, source }: ParticipantFacts): string | null {
    const { laneNames } = this.#call;
    const taken = new Set([...this.#lanes.values()].map(({ name }) => name));
    for (let turn = 1; ; turn++) {
      const numbered = turn === 1 ? source : `${source}-${turn}`;
      if (!laneNames.mayName(identity, numbered, this.#mostLanes)) return null;
      const name = laneNames.of(identity, numbered);
      if (!taken.has(name)) return name;
    }
  }

  #laneRefused(number: number, { identity, source }: ParticipantFacts, arrivalMs: number): void {
    const detail = `the recording has had ${this.#call.laneNames.size} lanes`;
    const facts = { type: 'lane_failed', code: 'lanes_full', identity, source, detail };
    this.#event(facts, null, arrivalMs);
    this.#post({ type: 'lane', room: this.number, lane: number, address: nowhere });
  }

  #open(number: number, lane: Lane): void {
    const address: TapAddress | null = lane.tap.address;
    if (address === null) return;
    lane.isOpen = true;
    this.#post({ type: 'lane', room: this.number, lane: number, address });
  }

  #laneLeft(number: number, facts: StreamEndFacts, arrivalMs: number): void {
    const lane = this.#lanes.get(number);
    if (lane === undefined) return;
    this.#lanes.delete(number);
    this.#onLanes(-1);
    const { identity, source } = lane.participant;
    this.#call.event(
      { type: 'lane_left', lane: lane.name, identity, source, reason: facts.reason },
      arrivalMs,
    );
    lane.tap.end(facts, arrivalMs);
    this.#call.log.info({ lane: lane.name, identity, reason: facts.reason }, 'lane left');
    this.#onChange();
  }

  #event(facts: EventFacts, number: number | null, arrivalMs: number): void {
    const lane = number === null ? undefined : this.#lanes.get(number)?.name;
    const told = lane === undefined ? facts : { ...facts, lane };
    this.#call.event(told, arrivalMs);
    const level = troubles.includes(facts.type) ? 'warn' : 'info';
    this.#call.log[level]({ room: this.name, event: told, code: facts['code'] }, 'room');
    this.#presence = presenceAfter[facts.type] ?? this.#presence;
    if (facts.type === 'first_audio') this.#hasBeenHeard = true;
    if (facts.type === 'room_replaced' && typeof facts['sid'] === 'string') this.#sid = facts['sid'];
    // Who is in the room again may hear somebody, and need not be told so a second time.
    if (facts.type === 'reconnected' || facts.type === 'room_joined')
      this.#presence = this.#lanes.size > 0 ? 'audible' : 'joined';
    this.#onChange();
  }

  #end(facts: StreamEndFacts, reason: string | null, arrivalMs: number): void {
    if (this.#isOver) return;
    for (const [number] of this.#lanes) this.#laneLeft(number, facts, arrivalMs);
    this.#isOver = true;
    const waiting = [...this.#kept.values()];
    this.#kept.clear();
    for (const then of waiting) then();
    this.#call.log.info({ room: this.name, reason }, 'room left');
    this.#call.detach(this, facts.reason, reason ?? undefined);
    this.#onChange();
    this.#onOver();
  }
}

const troubles: readonly string[] = [
  'join_failed',
  'room_left',
  'reconnecting',
  'lane_failed',
  'room_replaced',
];

const presenceAfter: Readonly<Partial<Record<string, RoomPresence>>> = {
  room_joining: 'joining',
  nobody_published: 'silent',
  first_audio: 'audible',
  reconnecting: 'reconnecting',
  room_left: 'joining',
};
