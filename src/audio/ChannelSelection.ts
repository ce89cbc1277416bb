import { ReelayError } from '../config/ReelayError.js';
import { kernels } from './kernels.js';
import { channelOf } from './pcm.js';

/** Which of a recording's channels are wanted: all of them as they are, all as one, or one by its number. */
export class ChannelSelection {
  /** Channels of what {@link of} takes. */
  readonly from: number;
  /** Channels of what it gives. */
  readonly channels: number;
  readonly #wanted: 'all' | 'mix' | number;

  private constructor(from: number, wanted: 'all' | 'mix' | number) {
    this.from = from;
    this.channels = wanted === 'all' ? from : 1;
    this.#wanted = wanted;
  }

  /** @param channels - of the recording */
  static all(channels: number): ChannelSelection {
    return new ChannelSelection(channels, 'all');
  }

  /**
   * @param text - `0`, `1` and so on, or `mix`; undefined for all
   * @param channels - of the recording
   * @throws ReelayError `request_invalid` for a channel that the recording doesn't have
   */
  static read(text: string | undefined, channels: number): ChannelSelection {
    if (text === undefined) return ChannelSelection.all(channels);
    if (text === 'mix') return new ChannelSelection(channels, 'mix');
    const channel = /^\d{1,3}$/.test(text) ? Number(text) : NaN;
    if (channel < channels) return new ChannelSelection(channels, channel);
    const known = Array.from({ length: channels }, (_, each) => each).join(', ');
    throw new ReelayError('request_invalid', {
      value: `channel ${text}`,
      remedy: `This recording has the channels ${known}; mix gives all as one.`,
    });
  }

  /** The same for the same selection, for names and tags: `all`, `mix`, or the channel's number. */
  get name(): string {
    return String(this.#wanted);
  }

  /**
   * The wanted channels. A mix is the sum of all, so it is as loud as the parties are, and clipped where they are too loud together.
   *
   * @param pcm - interleaved
   * @returns interleaved; the same memory where nothing had to be done
   */
  of(pcm: Int16Array): Int16Array {
    if (this.#wanted === 'all' || this.from === 1) return pcm;
    if (this.#wanted !== 'mix') return channelOf(pcm, this.#wanted, this.from);
    if (this.from === 2) return mixOfTwo(pcm);
    const sum = channelOf(pcm, 0, this.from);
    for (let channel = 1; channel < this.from; channel++)
      kernels.mix(sum, channelOf(pcm, channel, this.from), sum);
    return sum;
  }
}

function mixOfTwo(pcm: Int16Array): Int16Array {
  const [left, right] = [new Int16Array(pcm.length / 2), new Int16Array(pcm.length / 2)];
  kernels.deinterleave(pcm, left, right);
  kernels.mix(left, right, left);
  return left;
}
