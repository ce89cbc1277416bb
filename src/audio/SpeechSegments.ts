import { dbfsOf } from './Decibels.js';
import { kernels } from './kernels.js';
import { SpeechDetector } from './SpeechDetector.js';

/** A stretch in which somebody speaks. Positions and lengths are samples. */
export interface SpeechSegment {
  readonly startSample: number;
  readonly samples: number;
  /** Mean level of what was heard in it, dBFS, to a tenth. */
  readonly levelDb: number;
  /** It reached the end of what there is so far, and may go on. */
  readonly isOpen: boolean;
}

const framesPerSecond = 100;
/** So long speech has to last to be some: 50 ms, longer than a click. */
const onsetFrames = 5;
/** So long a pause has to be to part two segments: 300 ms, longer than what a plosive takes. */
const pauseFrames = 30;
/** What is given to a segment on either side, where soft consonants are: 100 ms. */
const leadFrames = 10;
const tailFrames = 10;

/** Where speech begins, where it was last heard, and the power of its frames; in frames. */
interface Stretch {
  readonly start: number;
  readonly last: number;
  readonly frames: number;
  readonly power: number;
}

/**
 * The speech of one channel of audio that may still grow. What is found depends on the audio alone, not on the pieces it came in;
 * a segment that isn't open any more never changes.
 */
export class SpeechSegments {
  readonly #perFrame: number;
  #detector = new SpeechDetector();
  #closed: SpeechSegment[] = [];
  /** What may become a segment, or is one that isn't over. */
  #stretch: Stretch | null = null;
  #frames = 0;
  #rest: Int16Array;
  #resting = 0;

  /** @param sampleRate - Hz */
  constructor(sampleRate: number) {
    this.#perFrame = Math.max(1, Math.round(sampleRate / framesPerSecond));
    this.#rest = new Int16Array(this.#perFrame);
  }

  /** How much was heard so far. */
  get samples(): number {
    return this.#frames * this.#perFrame + this.#resting;
  }

  /** In order, without overlap; the last one may be open. */
  get segments(): SpeechSegment[] {
    const stretch = this.#stretch;
    if (stretch === null || !isLong(stretch)) return [...this.#closed];
    return [...this.#closed, this.#segmentOf(stretch, true)];
  }

  push(pcm: Int16Array): void {
    let at = 0;
    if (this.#resting > 0) {
      at = Math.min(pcm.length, this.#perFrame - this.#resting);
      this.#keep(pcm.subarray(0, at));
      if (this.#resting < this.#perFrame) return;
      this.#resting = 0;
      this.#hear(this.#rest);
    }
    const whole = pcm.length - ((pcm.length - at) % this.#perFrame);
    this.#hear(pcm.subarray(at, whole));
    this.#keep(pcm.subarray(whole));
  }

  /** Another one that grows by itself. */
  copy(): SpeechSegments {
    const copy = new SpeechSegments(this.#perFrame * framesPerSecond);
    copy.#detector = this.#detector.copy();
    copy.#closed = [...this.#closed];
    copy.#stretch = this.#stretch;
    copy.#frames = this.#frames;
    copy.#rest = this.#rest.slice();
    copy.#resting = this.#resting;
    return copy;
  }

  #keep(pcm: Int16Array): void {
    this.#rest.set(pcm, this.#resting);
    this.#resting += pcm.length;
  }

  /** @param pcm - whole frames */
  #hear(pcm: Int16Array): void {
    const powers = new Float64Array(pcm.length / this.#perFrame);
    kernels.energies(pcm, this.#perFrame, powers);
    for (const power of powers) {
      this.#note(this.#detector.hear(power), power);
      this.#frames += 1;
    }
  }

  #note(isSpeech: boolean, power: number): void {
    const frame = this.#frames;
    const stretch = this.#stretch;
    if (isSpeech) {
      const { start, frames, power: sum } = stretch ?? { start: frame, frames: 0, power: 0 };
      this.#stretch = { start, last: frame, frames: frames + 1, power: sum + power };
    } else if (stretch !== null && !isLong(stretch)) {
      this.#stretch = null;
    } else if (stretch !== null && frame - stretch.last >= pauseFrames) {
      this.#closed.push(this.#segmentOf(stretch, false));
      this.#stretch = null;
    }
  }

  #segmentOf({ start, last, frames, power }: Stretch, isOpen: boolean): SpeechSegment {
    const startSample = Math.max(0, start - leadFrames) * this.#perFrame;
    const end = Math.min(this.samples, (last + 1 + tailFrames) * this.#perFrame);
    const levelDb = Math.round(10 * dbfsOf(power / frames)) / 10;
    return { startSample, samples: end - startSample, levelDb, isOpen };
  }
}

/** Until then it may have been a click. */
function isLong({ frames }: Stretch): boolean {
  return frames >= onsetFrames;
}
