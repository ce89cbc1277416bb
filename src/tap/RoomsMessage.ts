import type { Config } from '../config/Config.js';
import type { EventFacts, ParticipantFacts, StreamEndFacts } from './TapRecord.js';
import type { TapAddress } from './Tap.js';

/**
 * What the media thread and the thread that joins rooms tell each other. The media thread has a room's recording and its lanes, as it has
 * calls and streams; the other one has the processes that sit in the rooms, and writes audio into a ring of its own, where it is told.
 */

/** A room that is to be joined; times and numbers are of the room's account. */
export interface RoomToJoin {
  readonly accountId: string;
  readonly recordingId: string;
  readonly name: string;
  /** Null: whichever has the name. */
  readonly sid: string | null;
  readonly url: string;
  readonly apiKey: string;
  readonly apiSecret: string;
  /** How long to stay when everybody has gone, s. */
  readonly departureSeconds: number;
  /** Of what is recorded, Hz. */
  readonly sampleRate: number;
  /** Tracks that are heard at once. */
  readonly mostLanes: number;
  /** It has been joined before, by a predecessor of the thread. */
  readonly isRejoin: boolean;
  /** That has heard somebody in it. */
  readonly wasHeard: boolean;
  /** Counts the times that a thread is told to join it: what is numbered from 1 each time is told apart by this. */
  readonly generation: number;
}

/** What of a room's audio is written: all of it, only how long it was, or nothing. */
export type RoomKeep = 'audio' | 'length' | 'nothing';

/** Rooms are numbered by the media thread from 1, and lanes within a room, each time one begins, by the other one from 1. */
export type ToRooms =
  | { readonly type: 'join'; readonly room: number; readonly toJoin: RoomToJoin }
  /** The server has said that the room is there (again), under this sid: it need not be waited for any longer. */
  | { readonly type: 'hint'; readonly room: number; readonly sid: string }
  /** Answered with `ended`. */
  | { readonly type: 'leave'; readonly room: number }
  /** Where a lane's audio belongs; what came before waits for it. */
  | { readonly type: 'lane'; readonly room: number; readonly lane: number; readonly address: TapAddress }
  /** Answered with `kept`, when it holds for whatever is written from then on. */
  | { readonly type: 'keep'; readonly room: number; readonly keep: RoomKeep; readonly id: number }
  /** The daemon ends: every process does, and nothing is written any more; answered with `stopped`. */
  | { readonly type: 'stop' }
  /** `POST /v1/faults`. */
  | { readonly type: 'fault'; readonly fault: 'throw' | 'hang' | 'exit' | 'heap' }
  | { readonly type: 'limits'; readonly roomsPerProcess: number; readonly roomProcesses: number };

/** All times are those of the media thread's clock, ms. */
export type FromRooms =
  | { readonly type: 'ready' }
  | { readonly type: 'joined'; readonly room: number; readonly sid: string; readonly arrivalMs: number }
  | {
      readonly type: 'event';
      readonly room: number;
      /** Of which lane it tells; null: of the room. */
      readonly lane: number | null;
      readonly facts: EventFacts;
      readonly arrivalMs: number;
    }
  | {
      readonly type: 'laneJoined';
      readonly room: number;
      readonly lane: number;
      readonly participant: ParticipantFacts;
      readonly arrivalMs: number;
    }
  | {
      readonly type: 'laneLeft';
      readonly room: number;
      readonly lane: number;
      readonly reason: StreamEndFacts['reason'];
      readonly arrivalMs: number;
    }
  /** Records of a lane found no room in the ring, the first of them at `sinceMs`. */
  | {
      readonly type: 'missed';
      readonly room: number;
      readonly lane: number;
      readonly records: number;
      readonly sinceMs: number;
    }
  | { readonly type: 'stopped' }
  | { readonly type: 'kept'; readonly room: number; readonly id: number }
  /** The room isn't joined any more, and won't be by itself. */
  | {
      readonly type: 'ended';
      readonly room: number;
      /** Why it was no proper end, a code of the catalogue; null: it was one. */
      readonly reason: string | null;
      readonly arrivalMs: number;
    };

/** `workerData` of the thread that joins rooms. */
export interface RoomsData {
  readonly ring: SharedArrayBuffer;
  /** Cells of the sequence that numbers the records of all rings. */
  readonly sequence: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  /** Int32 cells as of `SupervisedThread`. */
  readonly heartbeat: SharedArrayBuffer;
  /** Int32 cell 0: lanes that have lost records which the media thread hasn't been told of. */
  readonly behind: SharedArrayBuffer;
  /** CLOCK_MONOTONIC less the media thread's `performance.now()`, ms. */
  readonly clockOffsetMs: number;
  readonly limits: { readonly roomsPerProcess: number; readonly roomProcesses: number };
  readonly logLevel: Config['log']['level'];
}
