/**
 * How much audio waits at the far end of a line that plays it in real time: whatever was handed over and can't have been played yet.
 * Neither a phone nor a LiveKit source says it, but both play what they get at once and one after another.
 */
export class PlayoutLead {
  #endMs = -Infinity;

  /** ms of audio. */
  at(nowMs: number): number {
    return Math.max(0, this.#endMs - nowMs);
  }

  /** @param ms - of audio that is handed over now */
  add(ms: number, nowMs: number): void {
    this.#endMs = Math.max(nowMs, this.#endMs) + ms;
  }

  /** What waited has been dropped. */
  clear(): void {
    this.#endMs = -Infinity;
  }
}
