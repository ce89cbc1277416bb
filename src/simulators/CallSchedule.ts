import type { CallScript } from './CallerOptions.js';

export interface Restart {
  readonly atMs: number;
  readonly afterMs: number;
}

/** A call's script, asked by the time on the call's clock. What happens once is taken from it when it happens. */
export class CallSchedule {
  readonly #script: CallScript;
  readonly #lengthMs: number;
  readonly #restarts: Restart[];
  readonly #digits: { readonly atMs: number; readonly digit: string }[];

  constructor(script: CallScript, seconds = Infinity) {
    this.#script = script;
    this.#lengthMs = seconds * 1000;
    this.#restarts = [...(script.restarts ?? [])].sort((a, b) => a.atMs - b.atMs);
    this.#digits = [...(script.dtmf ?? [])].sort((a, b) => a.atMs - b.atMs);
  }

  /** When the stream that runs is to end, by whatever comes first. */
  get endMs(): number {
    return Math.min(this.#lengthMs, this.#script.vanishAtMs ?? Infinity, this.#restarts[0]?.atMs ?? Infinity);
  }

  /** How it is to end. */
  endingAt(callMs: number): 'vanish' | 'restart' | 'hangUp' {
    if (callMs >= (this.#script.vanishAtMs ?? Infinity)) return 'vanish';
    return callMs >= (this.#restarts[0]?.atMs ?? Infinity) ? 'restart' : 'hangUp';
  }

  takeRestart(): Restart | undefined {
    return this.#restarts.shift();
  }

  /** When the next key is pressed; Infinity: none is. */
  get nextDigitMs(): number {
    return this.#digits[0]?.atMs ?? Infinity;
  }

  /** Keys whose time has come. */
  takeDigits(callMs: number): string[] {
    const due = this.#digits.filter(({ atMs }) => atMs <= callMs).map(({ digit }) => digit);
    this.#digits.splice(0, due.length);
    return due;
  }

  /** The end of the stall that holds everything back now, or null. */
  stalledUntil(callMs: number): number | null {
    const stall = this.#script.stalls?.find(({ atMs, forMs }) => callMs >= atMs && callMs < atMs + forMs);
    return stall === undefined ? null : stall.atMs + stall.forMs;
  }

  isDropped(callMs: number): boolean {
    return this.#script.drops?.some(({ fromMs, toMs }) => callMs >= fromMs && callMs < toMs) ?? false;
  }

  /** How far timestamps are off, ms. */
  jumpAt(callMs: number): number {
    return (this.#script.jumps ?? []).reduce((sum, { atMs, byMs }) => sum + (callMs >= atMs ? byMs : 0), 0);
  }
}
