import type { ParticipantFacts } from '../tap/TapRecord.js';
import type { BufferDelay } from './LaneClock.js';

/** What a room tells whoever is in it. None of these may throw. */
export interface RoomEvents {
  /** An audio track can be heard from now on; the same participant may have several. */
  trackHeard(track: RoomTrack): void;
  /** A track isn't heard. @param code - missing: the server, or the client, had something against it */
  trackFailed(participant: ParticipantFacts, message: string, code?: 'lanes_full'): void;
  /** @param sid - of the track */
  trackMuted(sid: string, isMuted: boolean): void;
  /** Somebody has come or gone, recorders and other hidden ones not counted. */
  othersChanged(others: number): void;
  reconnecting(): void;
  /** @param sid - of the room, which may be another one of the same name; '' where it isn't known */
  reconnected(sid: string): void;
  /** The last word. */
  exited(why: 'finished' | 'removed' | 'lost', detail: string): void;
}

/** A participant's audio track. */
export interface RoomTrack {
  /** The server's id of the track, a new one each time it is published. */
  readonly sid: string;
  readonly participant: ParticipantFacts;
  readonly isMuted: boolean;
  /**
   * Its audio, as one channel of 16-bit samples at the rate that was asked for, in frames of {@link frameMs} that come in real time, silence
   * too. Ends when the track isn't heard any more.
   */
  frames(): AsyncIterable<Int16Array>;
  /** What its jitter buffer tells; null where that can't be had. Never rejects. */
  buffer(): Promise<BufferReport | null>;
}

/** A room that has been joined. */
export interface JoinedRoom {
  sid(): Promise<string>;
  /** Participants that are there, as of {@link RoomEvents.othersChanged}. */
  readonly others: number;
  /** Leaves it; nothing is told of it any more. */
  leave(): Promise<void>;
}

/** What a track's jitter buffer tells of all that it has done. */
export interface BufferReport extends BufferDelay {
  /** Samples at 48 kHz that it has made up and that weren't silence. */
  readonly concealed: number;
}

/** The little of LiveKit's client that recording needs, so that tests have one of their own. */
export interface RoomSdk {
  /**
   * Joins a room, subscribing to nothing but audio. The events begin before it resolves.
   *
   * @throws Error whose message says what the server, or the network, had against it
   */
  join(options: JoinOptions, events: RoomEvents): Promise<JoinedRoom>;
}

export interface JoinOptions {
  readonly url: string;
  readonly token: string;
  /** Of the frames, Hz. */
  readonly sampleRate: number;
  /** Tracks that are heard at once. */
  readonly mostLanes: number;
}

/**
 * Length of the frames, ms. Each costs a turn of every listener of its process, so short ones cost several times the CPU; at the end of a
 * track up to one of them is lost.
 */
export const frameMs = 100;
