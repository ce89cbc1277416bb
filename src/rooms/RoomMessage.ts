import type { ParticipantFacts } from '../tap/TapRecord.js';

/** Why a process isn't in a room any more: what the server said, or what went wrong. */
export type RoomExit =
  /** It was told to leave. */
  | 'left'
  /** Everybody had gone for as long as was waited. */
  | 'empty'
  /** The server has closed the room, or somebody has deleted it. */
  | 'finished'
  /** Somebody has removed the recorder, or one of the same identity has come. */
  | 'removed'
  /** The connection broke, and could not be made again. */
  | 'lost';

/** What a process that sits in rooms is told. The room is the frame's. */
export type ToRoomProcess =
  | {
      readonly type: 'join';
      readonly url: string;
      readonly token: string;
      readonly sampleRate: number;
      readonly departureMs: number;
      /** Tracks that are heard at once. */
      readonly mostLanes: number;
    }
  | { readonly type: 'leave' };

/** What it tells. Room, lane and time are the frame's. */
export type FromRoomProcess =
  /** It has loaded what it needs to join rooms. */
  | { readonly type: 'ready' }
  /** It never will: the package isn't there, or not for this machine. */
  | { readonly type: 'unusable'; readonly message: string }
  | { readonly type: 'joined'; readonly sid: string }
  | { readonly type: 'joinFailed'; readonly message: string }
  | { readonly type: 'nobodyPublished' }
  | { readonly type: 'laneJoined'; readonly participant: ParticipantFacts }
  /** Lost: it can't be heard any more, and its participant may be speaking all the same. */
  | { readonly type: 'laneLeft'; readonly isLost: boolean }
  | { readonly type: 'laneMuted'; readonly isMuted: boolean }
  /** A track could not be subscribed to, or isn't because there are too many. */
  | {
      readonly type: 'laneFailed';
      readonly participant: ParticipantFacts;
      /** Null: there is none but the message. */
      readonly code: 'lanes_full' | null;
      readonly message: string;
    }
  /** So many samples of the lane, at its rate, were made up for by the jitter buffer since it was last told. */
  | { readonly type: 'concealed'; readonly samples: number }
  /** So much the lane's jitter buffer holds, which was taken off the times of its frames. */
  | { readonly type: 'laneDelay'; readonly ms: number }
  | { readonly type: 'reconnecting' }
  /** The sid may be another: a server that was started again has another room of the same name. */
  | { readonly type: 'reconnected'; readonly sid: string }
  /** The last word about a room. */
  | { readonly type: 'exited'; readonly why: RoomExit; readonly detail: string };
