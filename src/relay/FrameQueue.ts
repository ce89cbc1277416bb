export interface QueuedFrame {
  readonly data: Buffer;
  readonly isBinary: boolean;
  /** Length of the audio in the message, ms; 0 for a control message. */
  readonly audioMs: number;
}

/** Control messages are few and small with every honest provider; beyond this they are an attack on memory. */
const maxControlBytes = 1024 * 1024;
/** The longest queue of the widest audio: 10 s of 64 kHz stereo, and room for base64. */
const maxAudioBytes = 4 * 1024 * 1024;

/**
 * Messages that wait, in order, for the bot's socket. It holds at most `maxAudioMs` of audio: when it is full the oldest
 * audio goes, because what a bot that connects late needs is the present. Control messages are never displaced by audio.
 */
export class FrameQueue {
  readonly #maxAudioMs: number;
  #frames: QueuedFrame[] = [];
  #audioMs = 0;
  #audioBytes = 0;
  #controlBytes = 0;

  constructor(maxAudioMs: number) {
    this.#maxAudioMs = maxAudioMs;
  }

  get length(): number {
    return this.#frames.length;
  }

  get audioMs(): number {
    return this.#audioMs;
  }

  /** @returns how many frames were dropped to stay within the bounds */
  push(frame: QueuedFrame): number {
    if (frame.audioMs === 0) {
      if (this.#controlBytes + frame.data.length > maxControlBytes) return 1;
      this.#controlBytes += frame.data.length;
    } else {
      this.#audioMs += frame.audioMs;
      this.#audioBytes += frame.data.length;
    }
    this.#frames.push(frame);
    return this.#shed();
  }

  /** Takes everything out, in the order in which it came. */
  drain(): QueuedFrame[] {
    const frames = this.#frames;
    this.#frames = [];
    this.#audioMs = 0;
    this.#audioBytes = 0;
    this.#controlBytes = 0;
    return frames;
  }

  #shed(): number {
    let dropped = 0;
    while (this.#audioMs > this.#maxAudioMs || this.#audioBytes > maxAudioBytes) {
      const oldest = this.#frames.findIndex((frame) => frame.audioMs > 0);
      const [frame] = oldest < 0 ? [] : this.#frames.splice(oldest, 1);
      if (frame === undefined) break;
      this.#audioMs -= frame.audioMs;
      this.#audioBytes -= frame.data.length;
      dropped++;
    }
    return dropped;
  }
}
