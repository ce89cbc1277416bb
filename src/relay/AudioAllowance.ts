/** What a socket may send at once, s of audio: its network may have been away for that long. */
const burstSeconds = 20;
/** How much faster than it is spoken audio may come for longer. */
const speed = 2;

/**
 * How much a socket may send whose audio has no time of its own: it is counted from where it began, so one that sends faster than anybody
 * speaks would fill disks with a day of audio in minutes.
 */
export class AudioAllowance {
  readonly #bytesPerMs: number;
  readonly #mostBytes: number;
  #bytes: number;
  #sinceMs: number;

  /** @param bytesPerSecond - of the audio as it is spoken */
  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerMs = (speed * bytesPerSecond) / 1000;
    this.#mostBytes = this.#bytes = burstSeconds * bytesPerSecond;
    this.#sinceMs = nowMs;
  }

  /** @returns false: that is more than it may send */
  take(bytes: number, nowMs: number): boolean {
    const earned = Math.max(0, nowMs - this.#sinceMs) * this.#bytesPerMs;
    this.#sinceMs = nowMs;
    this.#bytes = Math.min(this.#mostBytes, this.#bytes + earned) - bytes;
    return this.#bytes >= 0;
  }
}
