import { ReelayError } from '../config/ReelayError.js';
import { kernels } from './kernels.js';
import { polyphaseFilter, type PolyphaseFilter } from './polyphaseFilter.js';

/** Where a resampler is between two pushes; plain data that survives structured cloning and `v8.serialize`. */
export interface ResamplerState {
  /** Hz. */
  readonly fromHz: number;
  /** Hz. */
  readonly toHz: number;
  /** Where the next output lies between two inputs, in units of 1/(outputs per period); see {@link Resampler}. */
  readonly phase: number;
  /** Inputs that outputs to come still need, beginning with the first one under the filter. */
  readonly history: Int16Array;
}

/**
 * Changes the sample rate of one channel with a windowed sinc. Output n lies exactly at input time n × from ÷ to: the
 * filter's delay is taken out, so positions on both sides can be converted by that ratio. The output, including its length
 * ceil(samples × to ÷ from), depends on the input alone, not on how it was split into pushes or whether the state moved to
 * another instance in between.
 *
 * From the lower of the two rates, 0 to 0.89 of its Nyquist frequency pass within 0.1 dB (3.5 kHz at 8 kHz); images and
 * aliases are at least 75 dB down. Equal rates pass through bit by bit.
 */
export class Resampler {
  readonly #fromHz: number;
  readonly #toHz: number;
  /** Null: nothing to do. */
  readonly #filter: PolyphaseFilter | null;
  #phase = 0;
  #history: Int16Array;

  /**
   * @param state - of another resampler with the same rates, to go on where it was
   * @throws ReelayError `sample_rate_invalid`: not whole and positive, a ratio of more than 4096 steps, or a state of other rates
   */
  constructor(fromHz: number, toHz: number, state?: ResamplerState) {
    this.#fromHz = fromHz;
    this.#toHz = toHz;
    this.#filter = fromHz === toHz ? null : polyphaseFilter(fromHz, toHz);
    this.#history = this.#silence();
    if (state !== undefined) this.#resume(state);
  }

  /** @returns the outputs that these inputs complete, in memory of their own; possibly none */
  push(pcm: Int16Array): Int16Array {
    if (this.#filter === null) return pcm.slice();
    const work = new Int16Array(this.#history.length + pcm.length);
    work.set(this.#history);
    work.set(pcm, this.#history.length);
    return this.#run(this.#filter, work);
  }

  /** Gives what is left, as if silence followed. Afterwards the resampler is as new. */
  flush(): Int16Array {
    if (this.#filter === null) return new Int16Array(0);
    const rest = this.push(new Int16Array(this.#filter.reach));
    this.#phase = 0;
    this.#history = this.#silence();
    return rest;
  }

  get state(): ResamplerState {
    return {
      fromHz: this.#fromHz,
      toHz: this.#toHz,
      phase: this.#phase,
      history: this.#history.slice(),
    };
  }

  /** Before the first sample there was silence; the filter's window hangs over it by one sample less than its reach. */
  #silence(): Int16Array {
    return new Int16Array(this.#filter === null ? 0 : this.#filter.reach - 1);
  }

  #resume({ fromHz, toHz, phase, history }: ResamplerState): void {
    if (fromHz !== this.#fromHz || toHz !== this.#toHz) {
      throw new ReelayError('sample_rate_invalid', {
        value: `a state from ${fromHz} to ${toHz} Hz`,
        remedy: `Continue it with a resampler of these rates, not from ${this.#fromHz} to ${this.#toHz} Hz.`,
      });
    }
    this.#phase = phase;
    this.#history = history.slice();
  }

  #run({ up, down, reach, rows }: PolyphaseFilter, work: Int16Array): Int16Array {
    const complete = work.length - 2 * reach + 1;
    const output = new Int16Array(Math.max(0, Math.ceil((complete * up - this.#phase) / down)));
    kernels.resample(rows, up, down, this.#phase, work, output);
    const next = this.#phase + output.length * down;
    this.#phase = next % up;
    this.#history = work.slice(Math.floor(next / up));
    return output;
  }
}
