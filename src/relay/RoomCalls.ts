import { createHash } from 'node:crypto';
import type { Config } from '../config/Config.js';
import { ReelayError } from '../config/ReelayError.js';
import { isSafeId } from '../providers/Dialect.js';
import type { Counters } from '../tap/Counters.js';
import type { RoomOutcome, RoomRequest } from '../tap/RoomRequest.js';
import type { FromRooms, ToRooms } from '../tap/RoomsMessage.js';
import type { CallTable } from './CallTable.js';
import { RoomCall } from './RoomCall.js';
import type { Call } from './Call.js';

/** Rooms that are remembered as not to be recorded again by themselves. */
const mostDeclined = 10_000;
/** How long one isn't tried again that couldn't be joined, ms: each try is a recording. */
const restMs = 300_000;
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
  /**
   * Rooms, by sid, whose recording somebody has ended, or that can't be recorded, and until when, ms: meanwhile nobody but who asks for it
   * begins another.
   */
  readonly #declined = new Map<string, number>();
  #last = 0;
  #lanes = 0;

  constructor(options: {
    readonly config: () => Config;
    readonly calls: CallTable;
    readonly counters: Counters;
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
    this.#post = options.post;
    this.#onChange = options.onChange;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  /** Has a room recorded, unless it is. Never throws. */
  record(request: RoomRequest): RoomOutcome {
    const { account, name, sid, isAsked } = request;
    const key = keyOf(account.id, name);
    const known = this.#byName.get(key);
    if (known !== undefined) {
      known.hint(sid);
      return outcomeOf(known.call, false);
    }
    if (!isAsked && performance.now() < (this.#declined.get(keyOf(key, sid)) ?? 0))
      return { code: 'recording_not_live', value: 'its recording was ended' };
    if (this.isDraining) return { code: 'draining', value: name };
    const { unrecorded } = this.#calls;
    if (unrecorded !== undefined) return { code: unrecorded, value: name };
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
    for (const room of this.#all) room.join();
  }

  tick(): void {
    for (const room of this.#byNumber.values()) room.tick();
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

  #open({ account, name, sid }: RoomRequest, key: string): RoomOutcome {
    const config = this.#config();
    const { livekit } = account;
    if (livekit === null) return { code: 'room_unknown', value: 'the account has no LiveKit server' };
    const callId = isSafeId(sid)
      ? sid
      : `room-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
    const number = ++this.#last;
    const arrivalMs = performance.now();
    const onOver = (): void => this.#remove(room, key);
    const call = this.#calls.openRoom({ account, config, name, sid, callId, arrivalMs, onOver });
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
    this.#counters.set('rooms', this.size);
    this.#onOver();
    const { recording, endReason } = room.call;
    const isUnwanted =
      recording.state === 'stopped' || recording.state === 'off' || endReason === 'room_removed';
    if (!isUnwanted && !tried.includes(endReason)) return;
    this.#declined.set(keyOf(key, room.view.sid), isUnwanted ? Infinity : performance.now() + restMs);
    const [oldest] = this.#declined.keys();
    if (this.#declined.size > mostDeclined && oldest !== undefined) this.#declined.delete(oldest);
  }
}

function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

function outcomeOf({ recording, identity }: Call, isNew: boolean): RoomOutcome {
  const { recordingId, state } = recording;
  return { recordingId: recordingId ?? '', callId: identity.callId, recording: state, isNew };
}
