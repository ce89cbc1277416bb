import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import type { Counters } from '../tap/Counters.js';
import type { RoomOutcome, RoomRequest } from '../tap/RoomRequest.js';
import type { FromRooms, ToRooms } from '../tap/RoomsMessage.js';
import type { CallTable } from './CallTable.js';
import type { Declined, DeclinedRooms } from './DeclinedRooms.js';
import { RoomCall } from './RoomCall.js';
import { roomCallId } from './roomCallId.js';
import type { Call } from './Call.js';

/** How long whoever takes over waits until it is written down which rooms it isn't to record, ms. */
const handOverMs = 1000;
/** Rooms that are remembered to be asked for again. */
const mostDeferred = 10_000;
/** Rooms that may wait for a place: as many again as there are places, and so many at least. */
const leastWaiting = 4;
const tried: readonly (string | undefined)[] = [
  'sdk_missing',
  'room_join_failed',
  'room_denied',
  'room_worker_lost',
];

/**
 * The rooms that are being recorded, as the media thread has them: each is a call, so that what holds of calls (limits, the list of those
 * that are up, pausing, stopping, draining) holds of rooms.
 */
export class RoomCalls {
  /** Rooms that are recorded go on, and no others are. */
  isDraining = false;
  readonly #config: () => Config;
  readonly #calls: CallTable;
  readonly #counters: Counters;
  readonly #post: (message: ToRooms) => void;
  readonly #onChange: (call: Call) => void;
  readonly #onOver: () => void;
  /** By account and name: a room of one name is there once. */
  readonly #byName = new Map<string, RoomCall>();
  readonly #byNumber = new Map<number, RoomCall>();
  readonly #declined: DeclinedRooms;
  /** Rooms that can't be recorded yet, and will be as soon as they can. */
  readonly #deferred = new Map<string, RoomRequest>();
  #hasBegun = false;
  #isHandedOver = false;
  /** By number, those of which it is written down that they are paused. */
  readonly #paused = new Set<number>();
  #last = 0;
  #lanes = 0;

  constructor(options: {
    readonly config: () => Config;
    readonly calls: CallTable;
    readonly counters: Counters;
    readonly declined: DeclinedRooms;
    /** To the thread that joins rooms, or its successor. */
    readonly post: (message: ToRooms) => void;
    readonly onChange: (call: Call) => void;
    /** One of them has ended. */
    readonly onOver: () => void;
  }) {
    this.#config = options.config;
    this.#onOver = options.onOver;
    this.#calls = options.calls;
    this.#counters = options.counters;
    this.#declined = options.declined;
    this.#post = options.post;
    this.#onChange = options.onChange;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  /** From now on rooms are this daemon's: nobody else records them any more. */
  begin(): void {
    this.#declined.load();
    this.#hasBegun = true;
    for (const key of [...this.#deferred.keys()]) this.#resume(key);
  }

  /**
   * Another daemon records rooms from now on: they are left here. Resolves when it can know which ones it isn't to record, or doesn't
   * wait for that any longer.
   */
  async handOver(): Promise<void> {
    this.isDraining = this.#isHandedOver = true;
    this.#notePauses();
    this.#declined.close();
    this.leaveAll();
    await Promise.race([this.written(), sleep(handOverMs, undefined, { ref: false })]);
  }

  /** Resolves when it is on the disk which rooms aren't to be recorded again. */
  async written(): Promise<void> {
    await this.#declined.written();
  }

  /** Has a room recorded, unless it is. Never throws. */
  record(request: RoomRequest): RoomOutcome {
    const { account, name, sid, isAsked } = request;
    const key = keyOf(account.id, name);
    const known = this.#byName.get(key);
    if (known !== undefined) {
      known.hint(sid);
      // It may be on its way out of a room that is no more, and this one has begun meanwhile.
      if (sid !== known.view.sid) this.#defer(key, request);
      return outcomeOf(known.call, false);
    }
    if (!this.#hasBegun) {
      this.#defer(key, request);
      return { code: 'starting', value: name };
    }
    const why = isAsked ? null : this.#declined.whyOf(keyOf(key, sid));
    if (why !== null) return { code: 'recording_not_live', value: reasons[why] };
    const brought = this.#broughtByEgress(request);
    // Somebody has ended that one, and somebody asks for another.
    if (brought !== undefined && (brought.recording.keepsAudio || !isAsked)) return outcomeOf(brought, false);
    if (this.#isHandedOver) return { code: 'recording_not_live', value: 'another daemon records rooms now' };
    if (this.isDraining) return { code: 'draining', value: name };
    const { unrecorded } = this.#calls;
    if (unrecorded !== undefined) return { code: unrecorded, value: name };
    // What somebody has asked for goes on after a crash.
    if (isAsked) this.#declined.allow(keyOf(key, sid));
    try {
      return this.#open(request, key);
    } catch (error) {
      if (error instanceof ReelayError) return { code: error.code, value: error.value ?? '' };
      return { code: 'internal', value: name };
    }
  }

  receive(message: FromRooms): void {
    if (message.type === 'ready') return this.#threadReady();
    if ('room' in message) this.#byNumber.get(message.room)?.receive(message);
  }

  /** The thread that joins rooms is gone. */
  threadLost(): void {
    for (const room of this.#all) room.threadLost();
  }

  /** It, or its successor, is there. */
  #threadReady(): void {
    // One that was still to be left when the thread was lost isn't joined for that.
    for (const room of this.#all)
      if (this.#isHandedOver) room.cut();
      else room.join();
  }

  tick(): void {
    for (const room of this.#byNumber.values()) room.tick();
    this.#notePauses();
  }

  /** The daemon is ending: rooms are left, and what they have said until then is kept. */
  leaveAll(): void {
    for (const room of this.#all) room.leave();
  }

  /** As above, without waiting. */
  cutAll(): void {
    for (const room of this.#all) room.cut();
  }

  /** A copy: those that end on the way are taken out. */
  get #all(): readonly RoomCall[] {
    return [...this.#byNumber.values()];
  }

  /** A call of this room that nobody here has joined: its tracks come by themselves. */
  #broughtByEgress({ account, name, sid }: RoomRequest): Call | undefined {
    return this.#calls.find((call) => {
      const room = call.room?.();
      const isIt = room?.name === name && (room.sid === '' || room.sid === sid);
      return isIt && call.live && call.identity.accountId === account.id;
    });
  }

  #open({ account, name, sid }: RoomRequest, key: string): RoomOutcome {
    const config = this.#config();
    const { livekit } = account;
    if (livekit === null) return { code: 'room_unknown', value: 'the account has no LiveKit server' };
    const places = config.limits.roomsPerProcess * config.limits.roomProcesses;
    if (this.size >= places + Math.max(places, leastWaiting))
      return { code: 'rooms_full', value: `${this.size} rooms, ${places} places` };
    const callId = roomCallId(name, sid);
    const number = ++this.#last;
    const arrivalMs = performance.now();
    const call = this.#calls.openRoom({ account, config, name, sid, callId, arrivalMs });
    const room: RoomCall = new RoomCall({
      number,
      name,
      sid,
      call,
      livekit,
      mostLanes: config.limits.lanesPerRoom,
      post: this.#post,
      onChange: () => this.#onChange(call),
      onLanes: (change) => this.#counters.set('roomLanes', (this.#lanes += change)),
      onOver: () => this.#remove(room, key),
    });
    this.#byName.set(key, room);
    this.#byNumber.set(number, room);
    this.#counters.set('rooms', this.size);
    call.attach(room);
    call.room = () => room.view;
    call.log.info({ room: name, sid }, 'room is to be recorded');
    if (call.recording.keepsAudio) room.join();
    // Written down as failed; there is nobody in the room to relay to.
    else room.cut();
    return outcomeOf(call, true);
  }

  #remove(room: RoomCall, key: string): void {
    this.#byName.delete(key);
    this.#byNumber.delete(room.number);
    this.#paused.delete(room.number);
    this.#counters.set('rooms', this.size);
    this.#onOver();
    const { call, view } = room;
    if (call.live) call.room = () => ({ ...view, presence: 'audible', lanes: [...call.lanes.keys()] });
    this.#note(room, key);
    if (this.#deferred.get(key)?.sid === view.sid) this.#deferred.delete(key);
    this.#resume(key);
  }

  #note({ call, view }: RoomCall, key: string): void {
    const { recording, endReason } = call;
    const { state } = recording;
    const declined = keyOf(key, view.sid);
    if (state === 'stopped') this.#declined.decline(declined, 'ended');
    else if (endReason === 'room_removed') this.#declined.decline(declined, 'removed');
    else if (state === 'off') this.#declined.decline(declined, 'unkept');
    else if (tried.includes(endReason)) this.#declined.decline(declined, 'failed');
    // Nobody wants to hear of a room that was left or lost in a pause before somebody has said so.
    else if (state === 'paused' && (this.isDraining || endReason !== undefined))
      this.#declined.decline(declined, 'paused');
    else this.#declined.allow(declined);
  }

  /** A pause has to hold when this daemon is killed: what would go on is another recording. */
  #notePauses(): void {
    for (const [key, { call, number, view }] of this.#byName) {
      const isPaused = call.recording.state === 'paused';
      if (isPaused === this.#paused.has(number)) continue;
      if (isPaused) {
        this.#paused.add(number);
        this.#declined.decline(keyOf(key, view.sid), 'paused');
      } else {
        this.#paused.delete(number);
        this.#declined.allow(keyOf(key, view.sid));
      }
    }
  }

  #defer(key: string, request: RoomRequest): void {
    if (this.#deferred.size < mostDeferred || this.#deferred.has(key)) this.#deferred.set(key, request);
  }

  #resume(key: string): void {
    const request = this.#deferred.get(key);
    this.#deferred.delete(key);
    if (request !== undefined) this.record(request);
  }
}

const reasons: Readonly<Record<Declined, string>> = {
  ended: 'its recording was ended',
  removed: 'the recorder was removed',
  paused: 'its recording was paused as the daemon before left it, or as the room was lost',
  failed: 'it could not be joined, and is tried again after five minutes',
  unkept: 'nothing of it could be kept',
};

function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

function outcomeOf({ recording, identity }: Call, isNew: boolean): RoomOutcome {
  const { recordingId, state } = recording;
  return { recordingId: recordingId ?? '', callId: identity.callId, recording: state, isNew };
}
