import type { BridgeClock } from './BridgeClock.js';
import { BridgeClose } from './BridgeClose.js';
import type { BridgedCallFacts } from './BridgedCallFacts.js';
import { CallerVoice } from './CallerVoice.js';
import { dtmfTone } from './dtmfTone.js';
import type { Line, PhoneLineOwner } from './PhoneLine.js';
import { PhoneVoice } from './PhoneVoice.js';
import { JoinError, type Participant, type Room, type RoomEnd, type RoomOwner, type Rooms } from './Room.js';
import { VoiceMix } from './VoiceMix.js';

/** How long a room that can't be joined, or was lost, is tried for, ms, and the pauses between. */
const joiningMs = 10_000;
const rejoiningMs = 30_000;
const pauseMs = { first: 250, longest: 2000 } as const;
/** How long a room that is left may take to be told so, ms: a process that ends before would leave a ghost of the caller there. */
const leavingMs = 1000;

export type Report = (
  level: 'info' | 'warn' | 'error',
  message: string,
  facts?: Readonly<Record<string, unknown>>,
) => void;

/**
 * A phone call that is in a room: what the caller says is published there, what is said there is sent to the phone, and digits go both
 * ways. The line decides: it stays up while a room is joined, or joined again, and hears nothing meanwhile. It is closed
 * - with 1000, a proper end, when the room is closed, the caller is removed from it, or everybody else has left and stayed away for
 *   `departureSeconds`,
 * - with a code of {@link BridgeClose} when the room can't be had, or nobody has come for `answerSeconds`.
 */
export class BridgedCall implements PhoneLineOwner, RoomOwner {
  readonly #call: BridgedCallFacts;
  readonly #rooms: Rooms;
  readonly #clock: BridgeClock;
  readonly #report: Report;
  readonly #onOver: () => void;
  readonly #mix = new VoiceMix((samples) => this.#phone?.hear(samples));
  readonly #muted = new Set<number>();
  readonly #speaking = new Set<string>();
  readonly #others = new Set<string>();
  #line: Line | null = null;
  #caller: CallerVoice | null = null;
  #phone: PhoneVoice | null = null;
  #room: Room | null = null;
  /** Counts the joins: what an earlier one still tells is nobody's business. */
  #join = 0;
  /** Settles when the rooms that were left have been told so, and those that were still being joined are left. */
  #farewell: Promise<void> = Promise.resolve();
  #isOver = false;
  #wasAnswered = false;
  #stopWaiting: () => void = () => undefined;

  constructor(options: {
    readonly call: BridgedCallFacts;
    readonly rooms: Rooms;
    readonly clock: BridgeClock;
    readonly report: Report;
    /** Called once, when the line and the room are left, or the room hasn't answered that for a second. */
    readonly onOver: () => void;
  }) {
    this.#call = options.call;
    this.#rooms = options.rooms;
    this.#clock = options.clock;
    this.#report = options.report;
    this.#onOver = options.onOver;
  }

  /** Audio that came too late to be worth its delay, ms, and times that what waited at the phone was cut. */
  get totals(): {
    readonly droppedToRoomMs: number;
    readonly droppedToPhoneMs: number;
    readonly clears: number;
  } {
    return {
      droppedToRoomMs: this.#caller?.droppedMs ?? 0,
      droppedToPhoneMs: this.#phone?.droppedMs ?? 0,
      clears: this.#phone?.clears ?? 0,
    };
  }

  started(line: Line): void {
    this.#line = line;
    this.#caller = new CallerVoice(line.callerRate, this.#clock);
    this.#phone = new PhoneVoice(line, line.voiceRate, this.#clock);
    this.#joinUntil(this.#clock.nowMs() + joiningMs, pauseMs.first);
  }

  callerSaid(samples: Int16Array): void {
    this.#caller?.hear(samples);
  }

  callerPressed(digit: string): void {
    this.#room?.press(digit).catch((error: unknown) => {
      this.#report('warn', 'a digit could not be told the room', { err: messageOf(error) });
    });
  }

  hungUp(): void {
    this.#end('the phone has hung up');
  }

  participantJoined(participant: Participant): void {
    this.#others.add(participant.identity);
    this.#wasAnswered = true;
    this.#stopWaiting();
    this.#report('info', 'participant joined', { ...participant });
  }

  participantLeft(identity: string): void {
    this.#speaking.delete(identity);
    if (!this.#others.delete(identity)) return;
    this.#report('info', 'participant left', { identity });
    if (this.#others.size === 0) this.#await();
  }

  voiceAdded(voice: number, identity: string): void {
    this.#mix.add(voice);
    this.#report('info', 'voice added', { identity });
  }

  voiceHeard(voice: number, samples: Int16Array): void {
    if (!this.#muted.has(voice)) this.#mix.hear(voice, samples);
  }

  voiceMuted(voice: number, isMuted: boolean): void {
    if (!isMuted) {
      this.#muted.delete(voice);
      this.#mix.add(voice);
      return;
    }
    this.#muted.add(voice);
    this.#withdraw(voice);
  }

  voiceRemoved(voice: number): void {
    this.#muted.delete(voice);
    this.#withdraw(voice);
  }

  agentState(identity: string, state: string): void {
    const spoke = this.#speaking.has(identity);
    if (state === 'speaking') this.#speaking.add(identity);
    else this.#speaking.delete(identity);
    if (spoke && state !== 'speaking' && this.#caller?.isTalking === true) this.#phone?.interrupted();
  }

  digitCame(digit: string): void {
    const line = this.#line;
    if (line !== null) this.#phone?.tone(dtmfTone(digit, line.voiceRate));
  }

  reconnecting(isReconnecting: boolean): void {
    if (isReconnecting) this.#report('warn', 'the room is being reconnected');
    else this.#report('info', 'the room is reconnected');
  }

  left(why: RoomEnd): void {
    if (this.#isOver) return;
    this.#leaveRoom();
    if (why === 'ended') this.#hangUp(1000, 'the room is done with the call');
    else if (why === 'replaced')
      this.#hangUp(BridgeClose.replaced, 'somebody else has joined as this caller');
    else {
      this.#report('warn', 'the room was lost and is joined again');
      this.#joinUntil(this.#clock.nowMs() + rejoiningMs, pauseMs.first, BridgeClose.lost);
    }
  }

  /** Ends it from here, as when the process is to end. */
  shutDown(): void {
    this.#hangUp(BridgeClose.failed, 'the bridge is ending');
  }

  #joinUntil(untilMs: number, nextPauseMs: number, otherwise: BridgeClose = BridgeClose.unreachable): void {
    const join = ++this.#join;
    this.#stopWaiting();
    const [line, caller] = [this.#line, this.#caller];
    if (this.#isOver || line === null || caller === null) return;
    const { rate: callerRate } = caller;
    const owner = this.#ownerOf(join);
    const joined = this.#rooms.join({ call: this.#call, callerRate, voiceRate: line.voiceRate, owner }).then(
      (room) => this.#joined(join, room),
      (error: unknown) => {
        if (join !== this.#join || this.#isOver) return;
        this.#report('warn', 'the room could not be joined', { err: messageOf(error) });
        const isDenied = error instanceof JoinError && error.why === 'denied';
        if (isDenied) this.#hangUp(BridgeClose.denied, 'the room refuses the call');
        else if (this.#clock.nowMs() + nextPauseMs > untilMs)
          this.#hangUp(otherwise, 'the room cannot be had');
        else {
          const longer = Math.min(pauseMs.longest, 2 * nextPauseMs);
          const again = (): void => this.#joinUntil(untilMs, longer, otherwise);
          this.#stopWaiting = this.#clock.after(nextPauseMs, again);
        }
      },
    );
    this.#farewell = Promise.all([this.#farewell, joined]).then(ignore);
  }

  /** @returns when a room that nobody needs any more is left */
  async #joined(join: number, room: Room): Promise<void> {
    if (join !== this.#join || this.#isOver) {
      await room.leave().catch(ignore);
      return;
    }
    this.#room = room;
    this.#caller?.enter(room);
    const { room: name, identity } = this.#call;
    this.#report('info', 'the call is in its room', { room: name, identity });
    if (this.#others.size === 0) this.#await();
  }

  /** Nobody else is there: in the beginning somebody has to come, and later to come back. */
  #await(): void {
    if (this.#isOver) return;
    this.#stopWaiting();
    const { answerSeconds, departureSeconds } = this.#call;
    if (this.#wasAnswered) {
      const gone = (): void => this.#hangUp(1000, 'everybody has left the room');
      this.#stopWaiting = this.#clock.after(departureSeconds * 1000, gone);
    } else if (answerSeconds > 0) {
      const unanswered = (): void => this.#hangUp(BridgeClose.unanswered, 'nobody came into the room');
      this.#stopWaiting = this.#clock.after(answerSeconds * 1000, unanswered);
    }
  }

  #withdraw(voice: number): void {
    const before = this.#mix.size;
    this.#mix.remove(voice);
    if (before > 0 && this.#mix.size === 0) this.#phone?.hushed();
  }

  #leaveRoom(): void {
    const room = this.#room;
    this.#room = null;
    this.#join++;
    this.#caller?.leave();
    this.#mix.removeAll();
    for (const each of [this.#muted, this.#speaking, this.#others]) each.clear();
    this.#farewell = Promise.all([this.#farewell, room?.leave().catch(ignore)]).then(ignore);
  }

  #hangUp(code: number, why: string): void {
    if (this.#isOver) return;
    this.#line?.close(code);
    this.#end(why);
  }

  #end(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopWaiting();
    this.#leaveRoom();
    this.#report('info', 'the bridge has ended', { why, ...this.totals });
    let stop = (): void => undefined;
    const late = new Promise<void>((resolve) => (stop = this.#clock.after(leavingMs, resolve)));
    void Promise.race([this.#farewell.catch(ignore), late]).then(() => {
      stop();
      this.#onOver();
    });
  }

  /** A room that was given up may still have something to tell. */
  #ownerOf(join: number): RoomOwner {
    const own = (tell: () => void): void => {
      if (join === this.#join && !this.#isOver) tell();
    };
    return {
      participantJoined: (participant) => own(() => this.participantJoined(participant)),
      participantLeft: (identity) => own(() => this.participantLeft(identity)),
      voiceAdded: (voice, identity) => own(() => this.voiceAdded(voice, identity)),
      voiceHeard: (voice, samples) => own(() => this.voiceHeard(voice, samples)),
      voiceMuted: (voice, isMuted) => own(() => this.voiceMuted(voice, isMuted)),
      voiceRemoved: (voice) => own(() => this.voiceRemoved(voice)),
      agentState: (identity, state) => own(() => this.agentState(identity, state)),
      digitCame: (digit) => own(() => this.digitCame(digit)),
      reconnecting: (isReconnecting) => own(() => this.reconnecting(isReconnecting)),
      left: (why) => own(() => this.left(why)),
    };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function ignore(): void {
  // A room that can't be left properly is left all the same: the server finds out.
}
