import type { BridgedCallFacts } from './BridgedCallFacts.js';

/** What a bridge process is told. */
export type ToBridge =
  /** A socket will come that shows this call's ticket. */
  | { readonly type: 'expect'; readonly call: BridgedCallFacts }
  /** Calls that are up go on, and when the last one is over the process ends. */
  | { readonly type: 'retire' };

/** What a bridge process tells. */
export type FromBridge =
  | { readonly type: 'ready'; readonly port: number }
  /** It can't work at all. `missing`: the SDK is not installed, or not for this machine. */
  | { readonly type: 'failed'; readonly reason: 'missing' | 'other'; readonly message: string }
  | { readonly type: 'beat'; readonly totals: BridgeTotals }
  /** The call with this ticket is over, or never came. */
  | { readonly type: 'over'; readonly ticket: string }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly ticket: string | null;
      readonly message: string;
      readonly facts: Readonly<Record<string, unknown>>;
    };

/** Counted since the process began. */
export interface BridgeTotals {
  readonly rssBytes: number;
  /** Audio that came too late to be worth its delay, ms. */
  readonly droppedToRoomMs: number;
  readonly droppedToPhoneMs: number;
  /** Times that what waited at the phone was cut because the agent was interrupted. */
  readonly clears: number;
}

export const nothingYet: BridgeTotals = { rssBytes: 0, droppedToRoomMs: 0, droppedToPhoneMs: 0, clears: 0 };
