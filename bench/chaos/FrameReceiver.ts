import type { LogHistogram } from '../LogHistogram.js';
import type { NumberedFrame } from './NumberedFrame.js';
import type { DirectionReport } from './PartyMessage.js';

const frameUs = 20_000;
const marker = Buffer.from('"payload":"');

/** The window that is being measured; times in µs of this process. */
export interface OpenWindow {
  fromUs: number;
  toUs: number;
  /** Frames of the window that were sent, and that came. */
  sent: number;
  received: number;
}

/** Takes what arrives in one direction of one call, and knows at each moment what is missing. */
export class FrameReceiver {
  readonly #frame: NumberedFrame;
  readonly #window: OpenWindow | null;
  readonly #histogram: () => LogHistogram;
  #next = 0;
  received = 0;
  #lost = 0;
  #reordered = 0;
  #damaged = 0;
  #longestUs = 0;
  /** When frame 0 came, and when it would have come had it been as late as the latest of all, µs. */
  #firstUs = NaN;
  #latestUs = -Infinity;

  /** @param window - null: not measured */
  constructor(frame: NumberedFrame, window: OpenWindow | null, histogram: () => LogHistogram) {
    this.#frame = frame;
    this.#window = window;
    this.#histogram = histogram;
  }

  take(message: Buffer): void {
    const at = message.indexOf(marker) + marker.length;
    const sequence = this.#frame.sequenceIn(message, at);
    if (sequence < 0) {
      this.#damaged += 1;
      return;
    }
    this.received += 1;
    if (sequence >= this.#next) {
      this.#lost += sequence - this.#next;
      this.#next = sequence + 1;
    } else {
      this.#reordered += 1;
      this.#lost = Math.max(0, this.#lost - 1);
    }
    this.#time(this.#frame.stampUs, sequence);
  }

  #time(sentUs: number, sequence: number): void {
    const nowUs = performance.now() * 1000;
    const us = nowUs - sentUs;
    const originUs = nowUs - sequence * frameUs;
    if (Number.isNaN(this.#firstUs)) this.#firstUs = originUs;
    if (originUs > this.#latestUs) this.#latestUs = originUs;
    if (us > this.#longestUs) this.#longestUs = us;
    const window = this.#window;
    if (window === null || sentUs < window.fromUs || sentUs >= window.toUs) return;
    window.received += 1;
    this.#histogram().add(us);
  }

  report(sent: number): DirectionReport {
    const { received } = this;
    return {
      sent,
      received,
      lost: this.#lost + Math.max(0, sent - this.#next),
      reordered: this.#reordered,
      damaged: this.#damaged,
      longestMs: this.#longestUs / 1000,
      behindMs: received === 0 ? 0 : (this.#latestUs - this.#firstUs) / 1000,
    };
  }
}
