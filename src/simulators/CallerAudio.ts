import { kernels } from '../audio/kernels.js';
import { readSpeech } from '../audio/Speech.js';

/** Length of a frame, ms. */
export const frameMs = 20;

/** One frame of G.711 mu-law, ready to be sent. */
export interface MulawFrame {
  readonly payload: Uint8Array;
  readonly base64: string;
}

/**
 * What a simulated party says, cut into frames of 20 ms. The last frame is filled up with silence. Frames are encoded once,
 * so any number of callers can share one instance.
 */
export class CallerAudio {
  readonly sampleRate: number;
  readonly frameSamples: number;
  readonly #pcm: Int16Array;
  readonly #frames: number;
  readonly #loop: boolean;
  readonly #silence: Int16Array;
  #mulaw: MulawFrame[] | undefined;
  #mulawSilence: MulawFrame | undefined;

  /** @param loop - whether the audio starts again after its end, or silence follows */
  constructor(pcm: Int16Array, options: { readonly sampleRate: number; readonly loop?: boolean }) {
    this.sampleRate = options.sampleRate;
    this.frameSamples = (options.sampleRate * frameMs) / 1000;
    this.#frames = Math.ceil(pcm.length / this.frameSamples);
    this.#pcm = new Int16Array(this.#frames * this.frameSamples);
    this.#pcm.set(pcm);
    this.#loop = options.loop ?? false;
    this.#silence = new Int16Array(this.frameSamples);
  }

  /** @throws ReelayError when the file cannot be read as audio */
  static async read(file: string, options: { sampleRate: number; loop?: boolean }): Promise<CallerAudio> {
    return new CallerAudio(await readSpeech(file, options.sampleRate), options);
  }

  static silence(sampleRate: number): CallerAudio {
    return new CallerAudio(new Int16Array(0), { sampleRate });
  }

  /** Length of the audio once through, ms. */
  get durationMs(): number {
    return this.#frames * frameMs;
  }

  /** A view that must not be written to. */
  frame(index: number): Int16Array {
    const at = this.#indexOf(index);
    return at < 0 ? this.#silence : this.#pcm.subarray(at * this.frameSamples, (at + 1) * this.frameSamples);
  }

  mulawFrame(index: number): MulawFrame {
    const at = this.#indexOf(index);
    this.#mulaw ??= mulawFrames(this.#pcm, this.frameSamples);
    this.#mulawSilence ??= mulawFrame(this.#silence);
    return this.#mulaw[at] ?? this.#mulawSilence;
  }

  #indexOf(index: number): number {
    if (index < this.#frames) return index;
    return this.#loop && this.#frames > 0 ? index % this.#frames : -1;
  }
}

export function mulawFrame(pcm: Int16Array): MulawFrame {
  const payload = Buffer.alloc(pcm.length);
  kernels.encodeMulaw(pcm, payload);
  return { payload, base64: payload.toString('base64') };
}

function mulawFrames(pcm: Int16Array, frameSamples: number): MulawFrame[] {
  const frames: MulawFrame[] = [];
  for (let at = 0; at < pcm.length; at += frameSamples) {
    frames.push(mulawFrame(pcm.subarray(at, at + frameSamples)));
  }
  return frames;
}
