import type { BridgedCallFacts } from './BridgedCallFacts.js';

/** Why a room is left that wasn't left from here. */
export type RoomEnd =
  /** The room was closed or deleted, or this participant removed from it: the call is to end. */
  | 'ended'
  /** Another participant of the same identity has joined. */
  | 'replaced'
  /** The connection, or the server; the room may be had again. */
  | 'lost';

/** One who is in the room beside the caller, and isn't hidden. */
export interface Participant {
  readonly identity: string;
  readonly isAgent: boolean;
}

/** What happens in a room. None of these may throw. */
export interface RoomOwner {
  participantJoined(participant: Participant): void;
  participantLeft(identity: string): void;
  /** A track with audio was subscribed to. @param voice - its number in this room; one that was removed doesn't come again */
  voiceAdded(voice: number, identity: string): void;
  /** 20 ms of mono audio at `voiceRate`. The array isn't used again by whoever gave it. */
  voiceHeard(voice: number, samples: Int16Array): void;
  voiceMuted(voice: number, isMuted: boolean): void;
  voiceRemoved(voice: number): void;
  /** `lk.agent.state` of a participant: `initializing`, `idle`, `listening`, `thinking`, `speaking`. */
  agentState(identity: string, state: string): void;
  /** Somebody has sent a digit, one of `0-9 * # A-D`. */
  digitCame(digit: string): void;
  /** The connection is being mended by the SDK itself, or has been. */
  reconnecting(isReconnecting: boolean): void;
  left(why: RoomEnd): void;
}

/** A room that has been joined, with the caller's track published. */
export interface Room {
  /**
   * Hands the caller's audio over; to be called again only when the promise is settled. It settles at once while little waits, and
   * otherwise when less does.
   *
   * @param samples - mono at `callerRate`, a whole number of 10 ms, in an array of its own
   */
  say(samples: Int16Array): Promise<void>;
  /** Drops what was handed over and not yet sent. */
  clear(): void;
  /** @param digit - one of `0-9 * # A-D` */
  press(digit: string): Promise<void>;
  /** Settles when the room has been told. Nothing is told to the owner any more. */
  leave(): Promise<void>;
}

export interface RoomJoin {
  readonly call: BridgedCallFacts;
  /** Of what the caller says, Hz; one of {@link roomRates}. */
  readonly callerRate: number;
  /** Of what is to be heard, Hz; one of {@link roomRates}. */
  readonly voiceRate: number;
  readonly owner: RoomOwner;
}

/** A room couldn't be joined. `denied`: another try would be refused too. */
export class JoinError extends Error {
  readonly why: 'denied' | 'unreachable';

  constructor(why: JoinError['why'], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'JoinError';
    this.why = why;
  }
}

/** The way into rooms: LiveKit's SDK, or a test's own. */
export interface Rooms {
  /** @throws JoinError (rejects with it) */
  join(options: RoomJoin): Promise<Room>;
}

/** Rates that LiveKit's SDK takes and gives without further ado, Hz. */
export const roomRates: readonly number[] = [8000, 16_000, 24_000, 32_000, 48_000];
