/** What the bench asks of the process that holds all callers and bots, and what it answers. */

export interface OpenOrder {
  readonly type: 'open';
  /** By this name the calls are spoken of later. */
  readonly group: string;
  /** Of the daemon's media route. */
  readonly url: string;
  readonly accountSid: string;
  readonly calls: number;
  /** The calls begin evenly over this time, ms. */
  readonly overMs: number;
  /** Default 20 ms of numbered audio each way; or one end sends more than anybody reads in real time. */
  readonly flood?: 'caller' | 'bot';
  /** Their latency counts. */
  readonly measured?: boolean;
}

export type PartyOrder =
  | OpenOrder
  | { readonly type: 'hangUp'; readonly group: string }
  /** One end of a group's calls reads nothing more, or reads again. */
  | {
      readonly type: 'deafen';
      readonly group: string;
      readonly end: 'caller' | 'bot';
      readonly deaf: boolean;
    }
  | { readonly type: 'flow'; readonly group: string }
  | { readonly type: 'beginWindow' }
  | { readonly type: 'endWindow' };

/** Calls whose upgrade was answered otherwise than by 101, or that got no answer. */
export interface Refusal {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly code: string;
}

export interface Opened {
  readonly up: number;
  readonly refusals: readonly Refusal[];
}

/** One direction of one call, in frames. */
export interface DirectionReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly reordered: number;
  /** Messages that were no frame of this direction of this call. */
  readonly damaged: number;
  /** The longest that a frame took, ms. */
  readonly longestMs: number;
  /** How far who plays the frames in real time fell behind at most, ms: what a stall has delayed is played late to the end. */
  readonly behindMs: number;
}

export interface PartyCallReport {
  readonly callSid: string;
  /** Caller to bot. */
  readonly up: DirectionReport;
  /** Bot to caller. */
  readonly down: DirectionReport;
  /** An end was closed before the caller hung up: which, with code and reason. */
  readonly cut: string | null;
}

/** What flows in a group that floods, bytes since it began. */
export interface Flow {
  readonly sent: number;
  readonly received: number;
  /** An end was closed meanwhile: which, with code and reason. */
  readonly cut: string | null;
}

/** A histogram between processes: counts by bucket, and the largest value, µs. */
export interface HistogramData {
  readonly counts: readonly number[];
  readonly max: number;
}

export interface WindowReport {
  readonly up: HistogramData;
  readonly down: HistogramData;
  /** How late this process's own timer was, which is part of every latency. */
  readonly lateness: HistogramData;
}

export interface PartyAnswers {
  readonly open: Opened;
  readonly hangUp: readonly PartyCallReport[];
  readonly deafen: null;
  readonly flow: Flow;
  readonly beginWindow: null;
  readonly endWindow: WindowReport;
}

export interface PartyQuestion {
  readonly id: number;
  readonly order: PartyOrder;
}

export interface PartyAnswer {
  readonly id: number;
  readonly answer: PartyAnswers[keyof PartyAnswers];
  readonly problem: string | null;
}
