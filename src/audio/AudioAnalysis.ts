import { channelOf } from './pcm.js';
import { SpeechSegments } from './SpeechSegments.js';
import { Waveform, type WaveformShape } from './Waveform.js';

/** What one pass over a recording's audio finds out: its outline, and where each party speaks. The audio may still grow. */
export class AudioAnalysis {
  readonly waveform: Waveform;
  /** One per channel. */
  readonly speech: readonly SpeechSegments[];

  /** @param from - of audio of this shape, to go on from */
  constructor(shape: WaveformShape, from?: AudioAnalysis) {
    this.waveform = from?.waveform.copy() ?? new Waveform(shape);
    this.speech =
      from?.speech.map((channel) => channel.copy()) ??
      Array.from({ length: shape.channels }, () => new SpeechSegments(shape.sampleRate));
  }

  /** How much was looked at, per channel. */
  get samples(): number {
    return this.waveform.samples;
  }

  /** @param pcm - interleaved, whole samples of all channels */
  push(pcm: Int16Array): void {
    const { channels } = this.waveform;
    const parts = Array.from({ length: channels }, (_, channel) => channelOf(pcm, channel, channels));
    this.waveform.push(parts);
    this.speech.forEach((channel, at) => channel.push(parts[at] ?? new Int16Array(0)));
  }

  /** Another one that grows by itself. */
  copy(): AudioAnalysis {
    const { sampleRate, channels } = this.waveform;
    return new AudioAnalysis({ sampleRate, channels }, this);
  }
}
