/** A frame, and when its end was to be heard had nothing delayed it, CLOCK_MONOTONIC in ms. */
export interface TimedFrame {
  readonly timeMs: number;
  readonly samples: Int16Array;
}

/** What a jitter buffer has told of a track since it is heard. */
export interface BufferDelay {
  /** Sum over all samples of the time that each has waited, s. */
  readonly waitedSeconds: number;
  /** Samples that it has given out, at {@link bufferRate}. */
  readonly emitted: number;
}

/** Of what jitter buffers count, Hz. */
const bufferRate = 48_000;
/** First frames that are kept back until it is known how late they are: half a second. */
const heldFrames = 5;
/** Frames among which the one that was least late tells the time: a second. */
const comparedFrames = 10;
/** How much the delay that is taken off may change from one frame to the next, ms: a buffer that fills or drains is no loss of frames. */
const slewMs = 5;
/** Looks of which the middle is believed: what comes after a mute, or with a burst, has waited as nothing else does. */
const believedLooks = 5;
/** Share of what is played in a look's time that must have come, for what it has waited to mean anything. */
const leastShare = 0.8;
/** Nothing that a jitter buffer claims beyond this is believed, ms. */
const mostDelayMs = 1000;

/**
 * Says when the frames of a track were due. The client gives them without any time, in real time, by one clock for all tracks; but each is
 * late by as much as this process was busy, which is taken out by believing the least late of several, and by as much as its jitter buffer
 * holds, which differs from one participant to another and changes, and which the buffer itself tells. What is left is when the audio came
 * over the network, so that what was said at once lies at one place, whoever has the worse line.
 */
export class LaneClock {
  readonly #rate: number;
  readonly #held: Int16Array[] = [];
  /** Of the last frames: when each came, less the length of all up to it. */
  readonly #begun: number[] = [];
  /** Length of all that came, and of what has gone, ms. */
  #cameMs = 0;
  #goneMs = 0;
  #last: BufferDelay = { waitedSeconds: 0, emitted: 0 };
  #lookedMs = 0;
  readonly #delays: number[] = [];
  #delayMs: number | null = null;
  /** What is taken off, on its way there; null while nothing has gone. */
  #takenMs: number | null = null;

  /** @param rate - of the frames, Hz */
  constructor(rate: number) {
    this.#rate = rate;
  }

  /** What is taken off for the jitter buffer, ms; null while it has told nothing. */
  get delayMs(): number | null {
    return this.#delayMs;
  }

  /** Whether frames are kept back for nothing but what {@link told} brings. */
  get isWaiting(): boolean {
    return this.#held.length >= heldFrames && this.#delayMs === null;
  }

  /** A frame that came now. @returns those that may go */
  push(samples: Int16Array, nowMs: number): TimedFrame[] {
    this.#cameMs += this.#lengthMs(samples);
    this.#begun.push(nowMs - this.#cameMs);
    if (this.#begun.length > comparedFrames) this.#begun.shift();
    this.#held.push(samples);
    return this.#isReady ? this.flush() : [];
  }

  /** What the buffer tells now. @returns frames that have waited for it */
  told(now: BufferDelay, nowMs: number): TimedFrame[] {
    const emitted = now.emitted - this.#last.emitted;
    const ms = ((now.waitedSeconds - this.#last.waitedSeconds) * 1000) / emitted;
    const playedMs = (emitted * 1000) / bufferRate;
    const isWhole = this.#delays.length === 0 || playedMs >= leastShare * (nowMs - this.#lookedMs);
    if (emitted > 0 && isWhole && ms >= 0 && ms <= mostDelayMs) this.#believe(ms);
    this.#last = now;
    this.#lookedMs = nowMs;
    return this.#isReady ? this.flush() : [];
  }

  #believe(ms: number): void {
    this.#delays.push(ms);
    if (this.#delays.length > believedLooks) this.#delays.shift();
    const sorted = [...this.#delays].sort((a, b) => a - b);
    this.#delayMs = sorted[sorted.length >> 1] ?? ms;
  }

  /** Everything that is kept back, though less is known of it than could be. */
  flush(): TimedFrame[] {
    const beginMs = Math.min(...this.#begun);
    return this.#held.splice(0).map((samples) => {
      this.#goneMs += this.#lengthMs(samples);
      const takenMs = this.#slewed();
      return { timeMs: beginMs + this.#goneMs - takenMs, samples };
    });
  }

  #slewed(): number {
    const delayMs = this.#delayMs ?? 0;
    const takenMs = this.#takenMs ?? delayMs;
    this.#takenMs = takenMs + Math.max(-slewMs, Math.min(slewMs, delayMs - takenMs));
    return this.#takenMs;
  }

  get #isReady(): boolean {
    if (this.#goneMs > 0) return true;
    const { length } = this.#held;
    return length >= 2 * heldFrames || (length >= heldFrames && this.#delayMs !== null);
  }

  #lengthMs(samples: Int16Array): number {
    return (samples.length * 1000) / this.#rate;
  }
}
