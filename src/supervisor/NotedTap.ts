import type { CallTap, Tap } from '../tap/Tap.js';
import type { CallFacts } from '../tap/TapRecord.js';

/** A tap that says which recordings begin. It is in the way of a call's beginning only, never of a frame. */
export class NotedTap implements Tap {
  readonly #tap: Tap;
  readonly #note: (recordingId: string) => void;

  constructor(tap: Tap, note: (recordingId: string) => void) {
    this.#tap = tap;
    this.#note = note;
  }

  startCall(facts: CallFacts, arrivalMs: number): CallTap {
    this.#note(facts.recordingId);
    return this.#tap.startCall(facts, arrivalMs);
  }

  clock(arrivalMs: number): void {
    this.#tap.clock(arrivalMs);
  }
}
