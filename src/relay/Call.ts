import type { Logger } from 'pino';
import { LaneNames } from '../tap/laneName.js';
import type { RecordingSwitch } from '../tap/RecordingRequest.js';
import type { CallTap } from '../tap/Tap.js';
import type { EventFacts, StreamEndFacts, StreamFacts } from '../tap/TapRecord.js';
import type { RoomView } from './RoomCall.js';
import { CallRecording, type BegunRecording, type RecordedStream } from './CallRecording.js';

/** What a call knows of one of its streams. */
export interface CallStream extends RecordedStream {
  readonly streamId: string;
  readonly role: StreamFacts['role'];
  readonly upstreamState: UpstreamState;
}

export type UpstreamState = 'none' | 'connecting' | 'open' | 'lost';

/** A call as it is listed, plain data. */
export interface CallView {
  readonly recordingId: string | null;
  readonly recording: RecordingSwitch;
  readonly accountId: string;
  readonly provider: string;
  readonly callId: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  /** ISO 8601. */
  readonly startTime: string;
  readonly streams: readonly string[];
  readonly upstream: UpstreamState;
  /** Of a LiveKit room. */
  readonly room?: RoomView;
}

/** Who is calling whom, through whom. */
export interface CallIdentity {
  readonly accountId: string;
  readonly provider: string;
  readonly callId: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly direction: string | null;
  readonly startedMs: number;
}

/**
 * A phone call, which may outlive its streams: when the last one ends it waits for another for as long as its account says,
 * and the same recording goes on.
 */
export class Call {
  readonly identity: CallIdentity;
  readonly log: Logger;
  readonly recording: CallRecording;
  /** Keys that are pressed are told nobody but the bot. */
  readonly masksDigits: boolean;
  /** Set of a LiveKit room: what it looks like now. */
  room: (() => RoomView) | null = null;
  readonly #streams = new Set<CallStream>();
  readonly #onLive: (change: 1 | -1) => void;
  readonly #onOver: () => void;
  #laneNames: LaneNames | null = null;
  #lanes: Map<string, number> | null = null;
  #resumeMs: number;
  #lastEnd: StreamEndFacts['reason'] = 'stop';
  #endReason: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #cutShort = false;

  constructor(options: {
    readonly identity: CallIdentity;
    readonly log: Logger;
    /** Writes down that there is a recording from now on; null: there never is. */
    readonly begin: (() => BegunRecording) | null;
    /** The recording begins only when somebody asks for it. */
    readonly isAwaited: boolean;
    readonly masksDigits: boolean;
    readonly resumeMs: number;
    /** Called when it gets its first stream, and when it has lost its last one. */
    readonly onLive: (change: 1 | -1) => void;
    /** Called once, when the call has ended. */
    readonly onOver: () => void;
  }) {
    this.identity = options.identity;
    this.log = options.log;
    this.masksDigits = options.masksDigits;
    this.recording = new CallRecording(options.begin, options.isAwaited, () => this.#streams);
    this.#resumeMs = options.resumeMs;
    this.#onLive = options.onLive;
    this.#onOver = options.onOver;
  }

  /** How the lanes of a LiveKit room are called; a phone call has none, and is spared what they take. */
  get laneNames(): LaneNames {
    return (this.#laneNames ??= new LaneNames());
  }

  /** How many streams of an egress each lane of a LiveKit room has. */
  get lanes(): Map<string, number> {
    return (this.#lanes ??= new Map());
  }

  get tap(): CallTap {
    return this.recording.tap;
  }

  get live(): boolean {
    return this.#streams.size > 0;
  }

  /** It has ended, and so has its recording. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Why its end was missed, where that is known. */
  get endReason(): string | undefined {
    return this.#endReason;
  }

  /**
   * A tap runs beside the call's own stream, and lanes beside each other; any other stream needs the place that the one before has
   * left.
   */
  hasRoomFor(role: StreamFacts['role']): boolean {
    if (this.#over) return false;
    // Any number of them are in a room, and whoever comes back may be there before the one that was is gone.
    if (role === 'lane') return true;
    return ![...this.#streams].some((stream) => (stream.role === 'tap') === (role === 'tap'));
  }

  attach(stream: CallStream): void {
    clearTimeout(this.#timer);
    const { live } = this;
    this.#streams.add(stream);
    if (!live) this.#onLive(1);
  }

  /** @param why - a code that says more of a stream that is lost */
  detach(stream: CallStream, reason: StreamEndFacts['reason'], why?: string): void {
    if (!this.#streams.delete(stream)) return;
    this.#lastEnd = reason;
    this.#endReason = why;
    if (this.live) return;
    this.#onLive(-1);
    if (this.#over) return;
    if (this.#resumeMs === 0) this.#end();
    else this.#timer = setTimeout(() => this.#end(), this.#resumeMs);
  }

  /** From now on the end of its last stream ends the call. */
  dontResume(): void {
    this.#resumeMs = 0;
    if (!this.live) this.#end();
  }

  /** The daemon is ending, the call isn't: its end will be missed. */
  cutShort(): void {
    this.#cutShort = true;
  }

  event(facts: EventFacts, arrivalMs: number): void {
    this.tap.event(facts, arrivalMs);
  }

  view(): CallView {
    const { startedMs, ...identity } = this.identity;
    const streams = [...this.#streams];
    return {
      recordingId: this.recording.recordingId,
      recording: this.recording.state,
      ...identity,
      startTime: new Date(startedMs).toISOString(),
      streams: streams.map((stream) => stream.streamId),
      upstream: streams.find((stream) => stream.upstreamState !== 'none')?.upstreamState ?? 'none',
      ...(this.room === null ? {} : { room: this.room() }),
    };
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    const ended = !this.#cutShort && this.#lastEnd !== 'lost';
    this.log.info({ ended }, 'call ended');
    this.#onOver();
    try {
      this.recording.end(ended, this.#endReason);
    } catch (error) {
      this.log.error({ code: 'stream_failed', err: error, part: 'tap' }, 'the end of a call is not recorded');
    }
  }
}
