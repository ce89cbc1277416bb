import fc from 'fast-check';
import { Track } from '../../src/tap/TapRecord.js';
import { CallScript } from './CallScript.js';

export type Mode = 'caller' | 'both' | 'mixed';

export interface JambonzEvent {
  readonly kind: 'talk' | 'late' | 'pause' | 'bot' | 'clear';
  /** Ticks of 20 ms; for `bot` half as many samples as thirty times that. */
  readonly size: number;
}

export const jambonzEvent: fc.Arbitrary<JambonzEvent> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('talk' as const), size: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('late' as const), size: fc.integer({ min: 1, max: 250 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('pause' as const), size: fc.integer({ min: 21, max: 2500 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('bot' as const), size: fc.integer({ min: 1, max: 500 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('clear' as const), size: fc.constant(0) }) },
);

const tick = 160;
/** The client's pre-buffer at 8 kHz both ways, samples. */
const firstThreshold = 1280;
const laterThreshold = 640;

/**
 * A jambonz client at 8 kHz with streaming, written from its own behaviour: ticks without times, late ones in one message,
 * pauses in which nothing is sent, and a pre-buffer in front of what the bot sends. It knows what each party said and heard.
 */
export class JambonzOracle {
  readonly script: CallScript;
  /** By position: the caller (or both parties, summed by the provider). */
  readonly said = new Map<number, number>();
  /** By position: what else is played to the caller (stereo). */
  readonly played = new Map<number, number>();
  /** By position: what the bot sent and the caller heard. */
  readonly heard = new Map<number, number>();
  readonly #mode: Mode;
  #ticks = 0;
  #queueEnd = 0;
  #sent = 0;
  #held: number[] = [];
  #threshold = firstThreshold;

  constructor(mode: Mode) {
    this.#mode = mode;
    this.script = new CallScript({ provider: 'jambonz' }).at(0).stream({
      placement: 'count',
      amendMs: 5000,
      marksTellPlayout: false,
      overrunFingerprint: true,
      playout: 'prebuffered',
      tracks: [mode],
    });
  }

  get now(): number {
    return this.#ticks * tick;
  }

  run({ kind, size }: JambonzEvent): void {
    if (kind === 'talk') for (let i = 0; i < size; i++) this.#deliver(1);
    else if (kind === 'late') this.#deliver(size);
    else if (kind === 'pause') this.#pause(size);
    else if (kind === 'bot') this.#play(size * 15);
    else this.#clear();
  }

  end(): CallScript {
    this.#deliver(1);
    for (const position of this.heard.keys()) if (position >= this.now) this.heard.delete(position);
    return this.script
      .at(this.now / 8)
      .stop('closed')
      .end();
  }

  /** So many ticks pass, and come in one message at the end of the last. */
  #deliver(ticks: number): void {
    const start = this.now;
    this.#pass(ticks);
    const left = Int16Array.from({ length: ticks * tick }, (_, i) => ((start + i) % 9973) + 1);
    left.forEach((sample, i) => this.said.set(start + i, sample));
    const script = this.script.at(this.now / 8);
    if (this.#mode === 'caller') return void script.caller(left);
    if (this.#mode === 'mixed') return void script.caller(left, NaN, Track.mixed);
    left.forEach((sample, i) => this.played.set(start + i, sample + 10_000));
    const stereo = Int16Array.from(
      { length: left.length * 2 },
      (_, i) => (left[i >> 1] ?? 0) + (i % 2) * 10_000,
    );
    script.caller(stereo, NaN, Track.both);
  }

  /** Nothing is sent; then the caller is heard again for long enough that it can't be late audio. */
  #pause(ticks: number): void {
    this.#pass(ticks);
    for (let i = 0; i < 60; i++) this.#deliver(1);
  }

  #pass(ticks: number): void {
    for (let i = 0; i < ticks; i++) {
      this.#ticks++;
      if (this.now % 8000 === 0) this.script.at(this.now / 8).clock();
    }
  }

  #play(samples: number): void {
    const pcm = Int16Array.from({ length: samples }, () => -((this.#sent++ % 9973) + 1));
    this.script.at(this.now / 8).bot(pcm);
    this.#held.push(...pcm);
    if (this.#held.length < this.#threshold) return;
    this.#threshold = laterThreshold;
    const start = Math.max(this.#queueEnd, this.now);
    this.#held.forEach((sample, i) => this.heard.set(start + i, sample));
    this.#queueEnd = start + this.#held.length;
    this.#held = [];
  }

  #clear(): void {
    const cut = this.now + tick;
    for (let i = cut; i < this.#queueEnd; i++) this.heard.delete(i);
    this.#queueEnd = Math.min(this.#queueEnd, cut);
    this.script.at(this.now / 8).clear();
  }
}
