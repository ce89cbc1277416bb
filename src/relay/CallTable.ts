import { v7 as uuidv7 } from 'uuid';
import type { Logger } from 'pino';
import type { AccountConfig, Config } from '../config/Config.js';
import { ReelayError, errorCodes } from '../config/ReelayError.js';
import type { Unrecorded } from '../config/readiness.js';
import type { StartEvent } from '../providers/Dialect.js';
import type { Counters } from '../tap/Counters.js';
import type { Tap } from '../tap/Tap.js';
import { roomProvider, type CallFacts, type RoomFacts, type StreamFacts } from '../tap/TapRecord.js';
import { Call } from './Call.js';
import type { CallView } from './Call.js';
import type { BegunRecording } from './CallRecording.js';
import type { Endpoint } from './MediaRoute.js';
import { publicParameters } from './parameters.js';
import { silentCall } from './SilentTap.js';
import { wallClockAt } from './streamFacts.js';

/** A stream that has been admitted and looks for its call. */
export interface Arrival {
  /** Whose the call is. */
  readonly accountId: string;
  /** Null: nobody knows the account, or it is found later, when the recording is stored. */
  readonly account: AccountConfig | null;
  readonly config: Config;
  /** Of a room there is none; its name is all that counts here. */
  readonly dialect: { readonly name: string };
  readonly endpoint: Endpoint;
  readonly start: StartEvent;
  readonly role: StreamFacts['role'];
  readonly arrivalMs: number;
  /** Why no recording can be kept, where that is known already. */
  readonly failed?: CallFacts['failed'] | undefined;
  readonly claimedAccountId?: string | undefined;
  /** The call is a LiveKit room, and its streams are lanes. */
  readonly room?: RoomFacts | undefined;
}

/** A LiveKit room that is to be recorded. */
export interface Room {
  readonly account: AccountConfig;
  readonly config: Config;
  readonly name: string;
  readonly sid: string;
  /** As `roomCallId` has it. */
  readonly callId: string;
  readonly arrivalMs: number;
}

/** How long a call of an account that isn't known waits for another stream, s: the default of those that are. */
const resumeSeconds = 5;

/**
 * The calls that are up, keyed by account, provider and call id: one id under two accounts is two calls, and so are a stream
 * of a call and jambonz's own recording of it. Several calls may have the same key, when a second stream comes while the
 * first is still live; each has a recording of its own.
 */
export class CallTable {
  readonly #calls = new Map<string, Call[]>();
  readonly #tap: Tap;
  readonly #counters: Counters;
  readonly #log: Logger;
  readonly #onChange: (call: Call) => void;
  /** The spool takes no further recordings. Those that are under way go on. */
  isSpoolFull = false;
  /** There is too little of something to record further calls. Those that are being recorded go on. */
  isOverloaded = false;
  #live = 0;
  #size = 0;
  #resumes = true;

  constructor(options: {
    readonly tap: Tap;
    readonly counters: Counters;
    readonly log: Logger;
    readonly onChange: (call: Call) => void;
  }) {
    this.#tap = options.tap;
    this.#counters = options.counters;
    this.#log = options.log;
    this.#onChange = options.onChange;
  }

  /** Calls that have a stream; those that only wait whether one comes back aren't counted, nor are rooms that are joined from here. */
  get live(): number {
    return this.#live;
  }

  get size(): number {
    return this.#size;
  }

  views(): CallView[] {
    return this.#all().map((call) => call.view());
  }

  /** Calls that are up, or wait for another stream. */
  find(isIt: (call: Call) => boolean): Call | undefined {
    return this.#all().find(isIt);
  }

  /** @throws ReelayError `too_many_streams` when a further call would exceed the limit */
  callFor(arrival: Arrival): Call {
    const { accountId, dialect, endpoint, start, failed = '' } = arrival;
    const kind = endpoint === 'record' ? 'record' : 'stream';
    // A call that was written down as failed, for instance because it named somebody else, keeps no audio of one that isn't.
    const key = [accountId, dialect.name, kind, start.callId, failed].join('\n');
    const calls = this.#calls.get(key) ?? [];
    const waiting = calls.find((call) => isMeant(call, arrival)) ?? this.#roomOf(arrival);
    if (waiting !== undefined) return waiting;
    if (this.live >= arrival.config.limits.calls) {
      throw new ReelayError('too_many_streams', { value: arrival.config.limits.calls });
    }
    const call = this.#open(arrival, () => this.#remove(key, call));
    return this.#add(key, call);
  }

  /**
   * A LiveKit room is a call whose recording begins with it and that ends with its last stream. It takes no phone call's place: rooms have
   * a limit of their own.
   */
  openRoom(room: Room): Call {
    const { account, callId, arrivalMs } = room;
    const facts = roomFacts(room);
    const key = [account.id, roomProvider, 'room', callId, facts.recordingId].join('\n');
    const log = this.#logOf(facts, facts.recordingId);
    const begin = (): BegunRecording => this.#begin(facts, arrivalMs, log);
    const options = { log, begin, isAwaited: false, resumeMs: 0, onLive: uncounted };
    const call = this.#callOf(facts, { ...options, onOver: () => this.#remove(key, call) });
    return this.#add(key, call);
  }

  #add(key: string, call: Call): Call {
    this.#calls.set(key, [...(this.#calls.get(key) ?? []), call]);
    this.#size++;
    this.#changed(call);
    return call;
  }

  /** A room that is being recorded already, whoever began it and under whichever of its two names. */
  #roomOf({ accountId, room, role, failed }: Arrival): Call | undefined {
    if (room === undefined || failed !== undefined) return undefined;
    return this.find((call) => {
      const known = call.room?.();
      const isIt =
        known?.name === room.name && (room.sid === null || known.sid === '' || known.sid === room.sid);
      return isIt && call.identity.accountId === accountId && call.hasRoomFor(role);
    });
  }

  /** Ends every call that waits for a stream, and each other one, also one that begins later, with its last stream. */
  dontResume(): void {
    this.#resumes = false;
    for (const call of this.#all()) call.dontResume();
  }

  /** The daemon is ending: the calls that are up end without having ended. */
  cutShort(): void {
    for (const call of this.#all()) call.cutShort();
  }

  #open(arrival: Arrival, onOver: () => void): Call {
    const facts = callFacts(arrival);
    const record = recordOf(arrival);
    const log = this.#logOf(facts, record === 'never' ? null : facts.recordingId);
    const isAwaited = record === 'onRequest';
    return this.#callOf(facts, {
      log,
      begin: record === 'never' ? null : () => this.#begin(facts, isAwaited ? null : arrival.arrivalMs, log),
      isAwaited,
      resumeMs: this.#resumes ? (arrival.account?.resumeSeconds ?? resumeSeconds) * 1000 : 0,
      onLive: (change) => (this.#live += change),
      onOver,
    });
  }

  #logOf({ callId, accountId, provider }: CallFacts, recordingId: string | null): Logger {
    return this.#log.child({ callId, accountId, recordingId, provider });
  }

  #callOf(
    facts: CallFacts,
    options: Omit<ConstructorParameters<typeof Call>[0], 'identity' | 'masksDigits'>,
  ): Call {
    const { accountId, provider, callId, from, to, direction, wallClockMs } = facts;
    this.#counters.add('callsTotal');
    return new Call({
      ...options,
      identity: { accountId, provider, callId, from, to, direction, startedMs: wallClockMs },
      masksDigits: facts.masksDigits === true,
    });
  }

  /**
   * A tap that throws breaks its own promise; the call is relayed all the same.
   *
   * @param arrivalMs - null: the recording begins now, in the middle of its call
   */
  #begin(known: CallFacts, arrivalMs: number | null, log: Logger): BegunRecording {
    const failed = known.failed ?? this.unrecorded;
    const startMs = arrivalMs ?? performance.now();
    const facts = {
      ...known,
      wallClockMs: wallClockAt(startMs),
      ...(failed === undefined ? {} : { failed }),
    };
    const { recordingId, claimedAccountId } = facts;
    if (failed !== undefined) log.error({ code: failed, claimedAccountId }, errorCodes[failed]);
    try {
      return {
        recordingId,
        tap: this.#tap.startCall(facts, startMs),
        keepsAudio: failed === undefined,
      };
    } catch (error) {
      log.error({ code: 'stream_failed', err: error, part: 'tap' }, 'the call is not recorded');
      return { recordingId, tap: silentCall, keepsAudio: false };
    }
  }

  /** Why calls that begin now aren't recorded. */
  get unrecorded(): Unrecorded | undefined {
    if (this.isSpoolFull) return 'spool_full';
    return this.isOverloaded ? 'overloaded' : undefined;
  }

  #remove(key: string, call: Call): void {
    const others = (this.#calls.get(key) ?? []).filter((other) => other !== call);
    if (others.length === 0) this.#calls.delete(key);
    else this.#calls.set(key, others);
    this.#size--;
    this.#changed(call);
  }

  #changed(call: Call): void {
    this.#counters.set('calls', this.size);
    this.#onChange(call);
  }

  #all(): Call[] {
    return [...this.#calls.values()].flat();
  }
}

/** A sid is nothing that anybody has proven; whoever may record one room could name another one's. */
function isMeant(call: Call, { role, room }: Arrival): boolean {
  return call.hasRoomFor(role) && (room === undefined || call.room?.().name === room.name);
}

/** The parameter of a stream's start message that goes before what its account is configured to have recorded. */
const recordParameter = 'reelay.record';

function recordOf({ account, endpoint, start }: Arrival): AccountConfig['record'] {
  // Whoever sends jambonz's own recordings here, or a track of a room, has asked for them.
  if (account === null) return 'always';
  const asked = start.parameters[recordParameter];
  const record = asked === 'always' || asked === 'never' || asked === 'onRequest' ? asked : account.record;
  const isAskedFor = endpoint === 'record' || endpoint === 'track';
  return isAskedFor && record === 'onRequest' ? 'always' : record;
}

function callFacts(arrival: Arrival): CallFacts {
  const { account, config, dialect, endpoint, start, claimedAccountId, room } = arrival;
  const noStore = account !== null && account.store === null ? 'no_store' : undefined;
  const failed = arrival.failed ?? noStore;
  return {
    recordingId: uuidv7(),
    accountId: arrival.accountId,
    provider: dialect.name,
    callId: start.callId,
    wallClockMs: wallClockAt(arrival.arrivalMs),
    sampleRate: start.sampleRate,
    channels: room === undefined ? config.recording.channels : 'mixed',
    chunkSeconds: config.recording.chunkSeconds,
    layout: endpoint === 'record' ? config.recordEndpoint.layout : config.recording.layout,
    ...(config.recording.dtmf === 'mask' ? { masksDigits: true } : {}),
    from: bounded(start.from),
    to: bounded(start.to),
    direction: bounded(start.direction),
    parameters: publicParameters(start.parameters),
    ...(failed === undefined ? {} : { failed }),
    ...(claimedAccountId === undefined ? {} : { claimedAccountId }),
    ...(room === undefined ? {} : { room }),
  };
}

function roomFacts({ account, config, name, sid, callId, arrivalMs }: Room): CallFacts {
  const { chunkSeconds, layout, dtmf } = config.recording;
  return {
    recordingId: uuidv7(),
    accountId: account.id,
    provider: roomProvider,
    callId,
    wallClockMs: wallClockAt(arrivalMs),
    sampleRate: account.livekit?.sampleRate ?? roomRate,
    channels: 'mixed',
    chunkSeconds,
    layout,
    ...(dtmf === 'mask' ? { masksDigits: true } : {}),
    from: null,
    to: null,
    direction: null,
    parameters: { room: bounded(name) },
    room: { name: name.slice(0, maxNameCharacters), sid },
    ...(account.store === null ? { failed: 'no_store' as const } : {}),
  };
}

function uncounted(): void {
  // Whoever begins such a call counts it.
}

/** What LiveKit carries, Hz. */
const roomRate = 48_000;

/** Longer than any number or SIP address; the call's facts have to fit into one record of the tap. */
const maxNameCharacters = 1024;

function bounded(name: string | null): string | null {
  return name === null ? null : name.slice(0, maxNameCharacters);
}
