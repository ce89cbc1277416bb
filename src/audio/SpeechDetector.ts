import { NoiseFloor } from './NoiseFloor.js';

/** Speech begins this far above the noise: 9 dB, and goes on until it is less than 5 dB above it. */
const enter = 8;
const leave = 3.2;

/**
 * Tells frames with speech from frames without, by their power against the line's own noise. It takes more to begin
 * than to go on, so that a voice that hovers about a threshold isn't cut to pieces.
 */
export class SpeechDetector {
  readonly #floor: NoiseFloor;
  #isSpeech = false;

  /** @param floor - to go on from */
  constructor(floor = new NoiseFloor()) {
    this.#floor = floor;
  }

  /**
   * @param power - mean square of the samples of a frame of 10 ms
   * @returns whether it has speech
   */
  hear(power: number): boolean {
    this.#floor.hear(power);
    this.#isSpeech = power > this.#floor.power * (this.#isSpeech ? leave : enter);
    return this.#isSpeech;
  }

  /** Another one that goes on by itself. */
  copy(): SpeechDetector {
    const copy = new SpeechDetector(this.#floor.copy());
    copy.#isSpeech = this.#isSpeech;
    return copy;
  }
}
