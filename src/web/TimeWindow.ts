/** No closer than so many samples: a tenth of a second of the slowest rate. */
const leastSamples = 800;
/** Lengths between two ticks of the ruler, s. */
const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** The part of a recording that is on the screen. Positions are samples, and so are lengths. Never changed: every move gives another one. */
export class TimeWindow {
  readonly from: number;
  readonly to: number;
  /** Of the recording. */
  readonly total: number;

  constructor(total: number, from = 0, to = total) {
    const length = Math.min(Math.max(to - from, Math.min(leastSamples, total)), total);
    const start = Math.min(Math.max(0, from), total - length);
    this.total = total;
    this.from = start;
    this.to = start + length;
  }

  get length(): number {
    return this.to - this.from;
  }

  get isWhole(): boolean {
    return this.length >= this.total;
  }

  /** Where a sample lies in a width of pixels; outside of it for one that isn't in the window. */
  xOf(sample: number, width: number): number {
    return this.length === 0 ? 0 : ((sample - this.from) / this.length) * width;
  }

  /** The sample at a pixel, within the recording. */
  sampleAt(x: number, width: number): number {
    if (width <= 0) return this.from;
    return Math.round(Math.min(Math.max(0, this.from + (x / width) * this.length), this.total));
  }

  /** @param factor - above 1: closer. @param at - what keeps its place on the screen */
  zoomed(factor: number, at: number): TimeWindow {
    const length = Math.min(Math.max(this.length / factor, Math.min(leastSamples, this.total)), this.total);
    const share = this.length === 0 ? 0 : (at - this.from) / this.length;
    const from = at - share * length;
    return new TimeWindow(this.total, from, from + length);
  }

  moved(by: number): TimeWindow {
    return new TimeWindow(this.total, this.from + by, this.to + by);
  }

  /** The window moved on by what it takes to have a sample in it; itself where it has. */
  including(sample: number): TimeWindow {
    if (sample >= this.from && sample <= this.to) return this;
    // Somewhat in from its edge, so that what comes next is seen.
    return this.moved(sample - this.from - this.length * 0.1);
  }

  /** The recording has grown: what showed all of it still does. */
  grown(total: number): TimeWindow {
    return this.isWhole ? new TimeWindow(total) : new TimeWindow(total, this.from, this.to);
  }

  /**
   * Where the ruler has its ticks: samples, a round number of seconds apart.
   *
   * @param most - ticks that have room
   */
  ticks(
    sampleRate: number,
    most: number,
  ): { readonly samples: readonly number[]; readonly stepSeconds: number } {
    const seconds = this.length / sampleRate;
    const stepSeconds =
      steps.find((step) => seconds / step <= most) ?? Math.ceil(seconds / most / 3600) * 3600;
    const first = Math.ceil(this.from / sampleRate / stepSeconds - 1e-9);
    const last = Math.floor(this.to / sampleRate / stepSeconds + 1e-9);
    const samples: number[] = [];
    for (let tick = first; tick <= last; tick++) samples.push(Math.round(tick * stepSeconds * sampleRate));
    return { samples, stepSeconds };
  }
}
