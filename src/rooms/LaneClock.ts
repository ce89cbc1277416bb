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
  /** Samples that it has made up, or that were silence, because nothing had come, or has come too late. */
  readonly madeUp: number;
  /** Samples of either kind that were played. */
  readonly played: number;
  /** Samples by which it has made what it gave out longer than what came, so as to hold more; less those that it has left out, to hold less. */
  readonly stretched: number;
}

const nothing: BufferDelay = { waitedSeconds: 0, emitted: 0, madeUp: 0, played: 0, stretched: 0 };
/** Of what jitter buffers count, Hz. */
const bufferRate = 48_000;
/** First frames that are kept back until it is known how late they are: half a second. */
const heldFrames = 5;
/** Frames among which the one that was least late tells the time: a second. */
const comparedFrames = 10;
/** How much the delay that is taken off may change from one frame to the next, ms: a buffer that fills or drains is no loss of frames. */
const slewMs = 20;
/** How long a look counts, ms: what it was wrong about is forgotten then. */
const believedMs = 3000;
/** A look at less than so many samples, a tenth of a second, isn't one. */
const leastPlayed = 4800;
/** Share of what was played since the last look that must have come, for what it has waited to mean anything. */
const leastShare = 0.8;
/** With less, nobody was sending: the buffer begins anew, and may hold something else. */
const pauseShare = 0.2;
/** The buffer plays, and counts for how long it has held something, in beats of so many ms. */
const beatMs = 10;
/** Nothing that a jitter buffer claims beyond this is believed, ms. */
const mostDelayMs = 1000;

/** What a jitter buffer held when it was asked, ms; as it would be by now. */
interface Look {
  readonly atMs: number;
  heldMs: number;
}

/**
 * Says when the frames of a track were due. The client gives them without any time, in real time, by one clock for all tracks; but each is
 * late by as much as this process was busy, which is taken out by believing the least late of several, and by as much as its jitter buffer
 * holds, which differs from one participant to another and changes, and which the buffer itself tells. What is left is when the audio came
 * over the network, so that what was said at once lies at one place, whoever has the worse line.
 *
 * A buffer tells for how long it has held what it gave out: the less, the later that came. So where some frames are held up, by the network or
 * by a busy machine, that falls though nothing has moved; it never rises for such a reason. Hence the most of several looks is believed, but
 * for a single one, and what the buffer has stretched or left out since then is added to each, which it counts to the sample.
 */
export class LaneClock {
  readonly #rate: number;
  readonly #held: Int16Array[] = [];
  /** Of the last frames: when each came, less the length of all up to it. */
  readonly #begun: number[] = [];
  /** Length of all that came, and of what has gone, ms. */
  #cameMs = 0;
  #goneMs = 0;
  #last: BufferDelay | null = null;
  #looks: Look[] = [];
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
    // One that has played less than before is another one.
    const isFirst = this.#last === null || now.played < this.#last.played;
    const last = isFirst || this.#last === null ? nothing : this.#last;
    const played = now.played - last.played;
    if (!isFirst && played < leastPlayed) return [];
    const emitted = now.emitted - last.emitted;
    const heldMs = ((now.waitedSeconds - last.waitedSeconds) * 1000) / emitted + leftMs(now);
    const stretchedMs = ((now.stretched - last.stretched) * 1000) / bufferRate;
    this.#looks =
      emitted < pauseShare * played ? [] : this.#looks.filter(({ atMs }) => atMs > nowMs - believedMs);
    for (const look of this.#looks) look.heldMs += stretchedMs;
    const isWhole = isFirst ? emitted > 0 : emitted >= leastShare * played;
    if (isWhole && heldMs >= 0 && heldMs <= mostDelayMs) this.#looks.push({ atMs: nowMs, heldMs });
    this.#delayMs = this.#believed ?? this.#delayMs;
    this.#last = now;
    return this.#isReady ? this.flush() : [];
  }

  /** The second most, so that a single look that tells nonsense isn't believed; null: nobody has been heard of late. */
  get #believed(): number | null {
    const [most, second] = this.#looks.map(({ heldMs }) => heldMs).sort((a, b) => b - a);
    return second ?? most ?? null;
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

/**
 * What was left to be played, less than a beat, whenever the buffer gave out more: it counts that only in beats, which would be up to one of
 * them less than the audio waits.
 */
function leftMs({ emitted, stretched, madeUp, played }: BufferDelay): number {
  const unplayedMs = ((emitted + stretched + madeUp - played) * 1000) / bufferRate;
  return ((unplayedMs % beatMs) + beatMs) % beatMs;
}
