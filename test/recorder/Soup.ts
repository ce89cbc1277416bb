import fc from 'fast-check';
import { RecordKind, Track, type StreamFacts } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';

/** One thing that happens in a call that keeps to no protocol; `size` and `ms` mean what the kind makes of them. */
export interface Step {
  readonly kind: (typeof kinds)[number];
  readonly ms: number;
  readonly size: number;
  readonly stream: number;
}

const kinds = [
  'frames',
  'frames',
  'frames',
  'stall',
  'jump',
  'back',
  'bot',
  'bot',
  'clear',
  'mark',
  'echo',
  'clip',
  'clipDone',
  'wait',
  'dropped',
  'dtmf',
  'start',
  'stop',
  'lost',
] as const;

export const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  ms: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 3000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 45_000 }) },
  ),
  size: fc.integer({ min: 0, max: 9000 }),
  stream: fc.nat(3),
});

const shapes: readonly Partial<StreamFacts>[] = [
  { placement: 'timestamp', playout: 'queue' },
  {
    placement: 'count',
    playout: 'prebuffered',
    amendMs: 5000,
    overrunFingerprint: true,
    returnSampleRate: 24_000,
  },
  { placement: 'count', playout: 'clips', amendMs: 5000, sampleRate: 16_000, returnSampleRate: 8000 },
  { placement: 'count', playout: 'prebuffered', amendMs: 5000, tracks: ['both'], overrunFingerprint: true },
  { placement: 'count', playout: 'heard', amendMs: 5000, tracks: ['mixed'] },
  { placement: 'timestamp', playout: 'none', role: 'oneway', tracks: ['caller', 'bot'] },
  { placement: 'timestamp', playout: 'none', role: 'tap', tracks: ['caller', 'bot'] },
];

/** Writes the records of such a call: streams of every kind at once, with clocks that jump, stall and go back. */
export class Soup {
  readonly #script: CallScript;
  readonly #rate: number;
  readonly #streams: { readonly facts: Partial<StreamFacts>; ms: number }[] = [];
  #nowMs = 0;
  #sent = 0;

  constructor(rate: number, chunkSeconds = 60) {
    this.#rate = rate;
    this.#script = new CallScript({ sampleRate: rate, chunkSeconds });
    this.#start(0);
  }

  end(): CallScript {
    return this.#script.at(this.#nowMs).end();
  }

  run({ kind, ms, size, stream }: Step): void {
    const number = (stream % this.#streams.length) + 1;
    const script = this.#script.at(this.#nowMs).on(number);
    switch (kind) {
      case 'frames':
        return this.#talk(number, Math.ceil(ms / 20));
      case 'stall':
        this.#wait(ms);
        for (let i = 0; i < ms / 20; i++) this.#frame(number);
        return;
      case 'jump':
        return this.#shift(number, ms);
      case 'back':
        return this.#shift(number, -ms / 4);
      case 'bot':
        script.bot(numbered((this.#sent += size), size));
        return;
      case 'clear':
        script.clear();
        return;
      case 'mark':
        script.mark(`m${size % 3}`);
        return;
      case 'echo':
        script.echo(`m${size % 3}`);
        return;
      case 'clip':
        script.add(RecordKind.clip, { id: `c${size % 3}`, queued: size % 2 === 0, sampleRate: this.#rate });
        script.bot(numbered((this.#sent += size), size));
        return;
      case 'clipDone':
        script.add(RecordKind.clipDone, { id: `c${size % 3}`, playedMs: size % 5 === 0 ? null : size / 8 });
        return;
      case 'wait':
        return this.#wait(ms);
      case 'dropped':
        script.add(RecordKind.dropped, { records: 3, sinceMs: 1_000_000 + this.#nowMs - (ms % 2000) });
        return;
      case 'dtmf':
        script.add(RecordKind.dtmf, { digit: '1', durationMs: null });
        return;
      case 'start':
        if (this.#streams.length < 6) this.#start(size);
        return;
      case 'stop':
        script.stop(size % 2 === 0 ? 'stop' : 'closed');
        return;
      case 'lost':
        script.stop('lost');
    }
  }

  #start(shape: number): void {
    const facts = shapes[shape % shapes.length] ?? {};
    this.#streams.push({ facts, ms: 0 });
    this.#script
      .at(this.#nowMs)
      .on(this.#streams.length - 1)
      .stream(facts);
  }

  #talk(number: number, frames: number): void {
    for (let i = 0; i < frames; i++) {
      this.#nowMs += 20;
      this.#frame(number);
    }
  }

  /** Time in which the daemon's clock alone goes on. */
  #wait(ms: number): void {
    const end = this.#nowMs + ms;
    for (let at = Math.ceil(this.#nowMs / 1000) * 1000; at < end; at += 1000) this.#script.at(at).clock();
    this.#nowMs = end;
  }

  #shift(number: number, ms: number): void {
    const stream = this.#streams[number - 1];
    if (stream !== undefined) stream.ms = Math.max(0, Math.round(stream.ms + ms));
  }

  #frame(number: number): void {
    const stream = this.#streams[number - 1];
    if (stream === undefined) return;
    const { facts } = stream;
    const tracks = facts.tracks ?? ['caller'];
    const length = Math.round((facts.sampleRate ?? this.#rate) / 50) * (tracks.includes('both') ? 2 : 1);
    const script = this.#script.at(this.#nowMs).on(number);
    for (const track of tracks) {
      const kind = { caller: Track.caller, bot: Track.botHeard, both: Track.both, mixed: Track.mixed }[track];
      const ms = facts.placement === 'timestamp' ? stream.ms : NaN;
      script.caller(numbered((this.#sent += length), length), ms, kind);
    }
    stream.ms += 20;
  }
}
