import { kernels } from '../src/audio/kernels.js';
import { bytesOf } from '../src/audio/pcm.js';
import { CallerAudio } from '../src/simulators/CallerAudio.js';
import { loudVoice } from '../test/acceptance/voice.js';

/** Rate of lean callers on jambonz, Hz; those on Twilio have 8000. */
export const jambonzRate = 16_000;
/** What all say, again and again. */
const loopSeconds = 10;
const framesPerSecond = 50;

/** What lean callers say: ten seconds over and over, of which every frame is prepared once. */
export class LeanVoice {
  readonly #linear: Buffer[];
  readonly #mulaw: string[];
  readonly #said: ReadonlyMap<'twilio' | 'jambonz', Int16Array>;

  constructor() {
    const wide = loudVoice(2, loopSeconds * jambonzRate);
    const narrow = loudVoice(1, loopSeconds * 8000);
    const linear = new CallerAudio(wide, { sampleRate: jambonzRate });
    const mulaw = new CallerAudio(narrow, { sampleRate: 8000 });
    const frames = Array.from({ length: loopSeconds * framesPerSecond }, (_none, index) => index);
    this.#linear = frames.map((frame) => Buffer.from(bytesOf(linear.frame(frame))));
    this.#mulaw = frames.map((frame) => mulaw.mulawFrame(frame).base64);
    const heard = new Int16Array(narrow.length);
    kernels.decodeMulaw(Buffer.concat(frames.map((frame) => mulaw.mulawFrame(frame).payload)), heard);
    this.#said = new Map([
      ['twilio', heard],
      ['jambonz', wide],
    ]);
  }

  /** 16-bit samples of a frame, as jambonz sends them. */
  linear(frame: number): Buffer {
    return this.#linear[frame % this.#linear.length] ?? Buffer.alloc(0);
  }

  /** Base64 of a frame's mu-law. */
  mulaw(frame: number): string {
    return this.#mulaw[frame % this.#mulaw.length] ?? '';
  }

  /** What a recording must hold, again and again. */
  said(provider: 'twilio' | 'jambonz'): Int16Array {
    return this.#said.get(provider) ?? new Int16Array();
  }
}
