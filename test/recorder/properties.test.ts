import fc from 'fast-check';
import t from 'tap';
import { CallScript } from './CallScript.js';
import { JambonzOracle, jambonzEvent, type Mode } from './JambonzOracle.js';
import { Soup, step, type Step } from './Soup.js';
import { difference, renderScript } from './rendering.js';

/*
 * An oracle of its own: a caller and a provider that keep a plain array per sample of what was said and what was heard,
 * driven by random events. What the timeline makes of the records must agree with it sample by sample.
 */

type Event =
  | { readonly kind: 'bot'; readonly samples: number }
  | { readonly kind: 'clear' }
  | { readonly kind: 'mark' }
  | { readonly kind: 'lose'; readonly frames: number }
  | { readonly kind: 'hold'; readonly frames: number }
  | { readonly kind: 'wait'; readonly frames: number };

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('bot' as const), samples: fc.integer({ min: 1, max: 9000 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('mark' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('lose' as const), frames: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('hold' as const), frames: fc.integer({ min: 1, max: 100 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), frames: fc.integer({ min: 1, max: 40 }) }),
  },
);

/** Plays the events as a provider would, and writes down both what the relay saw and what the parties heard. */
class Provider {
  readonly script = new CallScript().at(0).stream();
  readonly said = new Map<number, number>();
  readonly heard = new Map<number, number>();
  #frame = 0;
  #queueEnd = 0;
  #sent = 0;
  #held: (() => void)[] = [];
  #marks: { at: number; name: string }[] = [];

  get now(): number {
    return this.#frame * 160;
  }

  run(event: Event): void {
    switch (event.kind) {
      case 'bot':
        return this.#play(event.samples);
      case 'clear':
        return this.#clear();
      case 'mark':
        this.script.at(this.now / 8).mark('m');
        this.#marks.push({ at: Math.max(this.#queueEnd, this.now), name: 'm' });
        return;
      case 'lose':
        this.#frame += event.frames;
        return this.#tick();
      case 'hold':
        for (let i = 0; i < event.frames; i++) this.#say(true);
        return this.#deliver();
      case 'wait':
        for (let i = 0; i < event.frames; i++) this.#say(false);
    }
  }

  end(): CallScript {
    // One more frame, so that the end is no loss.
    this.#say(false);
    for (const position of this.heard.keys()) if (position >= this.now) this.heard.delete(position);
    return this.script
      .at(this.now / 8)
      .stop()
      .end();
  }

  #say(hold: boolean): void {
    const start = this.now;
    const pcm = Int16Array.from({ length: 160 }, (_, i) => ((start + i) % 30_011) + 1);
    pcm.forEach((sample, i) => this.said.set(start + i, sample));
    this.#frame++;
    const deliver = (): void => void this.script.at(this.now / 8).caller(pcm, start / 8);
    if (hold) this.#held.push(deliver);
    else deliver();
    this.#tick();
  }

  #deliver(): void {
    for (const deliver of this.#held.splice(0)) deliver();
  }

  #play(samples: number): void {
    const start = Math.max(this.#queueEnd, this.now);
    const pcm = Int16Array.from({ length: samples }, () => -((this.#sent++ % 30_011) + 1));
    pcm.forEach((sample, i) => this.heard.set(start + i, sample));
    this.#queueEnd = start + samples;
    this.script.at(this.now / 8).bot(pcm);
  }

  #clear(): void {
    for (let i = this.now; i < this.#queueEnd; i++) this.heard.delete(i);
    this.#queueEnd = Math.min(this.#queueEnd, this.now);
    this.script.at(this.now / 8).clear();
    for (const mark of this.#marks.splice(0)) this.script.echo(mark.name);
  }

  #tick(): void {
    while (this.#marks[0] !== undefined && this.#marks[0].at <= this.now) {
      this.script.at(this.now / 8).echo(this.#marks[0].name);
      this.#marks.shift();
    }
  }
}

void t.test(
  'any interleaving of frames, losses, bursts, clears and marks is recorded as it was heard',
  (t) => {
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 1, maxLength: 25 }),
        fc.integer({ min: 0, max: 9 }),
        (events, pull) => {
          const provider = new Provider();
          provider.run({ kind: 'wait', frames: 2 });
          for (const each of events) provider.run(each);
          const { channels, gaps, length } = renderScript(provider.end(), pull);
          if (length !== provider.now) throw new Error(`length ${length}, not ${provider.now}`);
          const missing = new Set<number>();
          for (const gap of gaps) {
            if (gap.channel !== 0) throw new Error('the bot has no gaps here');
            for (let i = 0; i < gap.samples; i++) missing.add(gap.startSample + i);
          }
          for (let i = 0; i < length; i++) {
            if (provider.said.has(i) === missing.has(i)) throw new Error(`position ${i} is both or neither`);
            if (channels[0]?.[i] !== (provider.said.get(i) ?? 0)) throw new Error(`caller differs at ${i}`);
            if (channels[1]?.[i] !== (provider.heard.get(i) ?? 0)) throw new Error(`bot differs at ${i}`);
          }
        },
      ),
      { numRuns: 150 },
    );
    t.pass('150 random calls agree with the oracle sample by sample');
    t.end();
  },
);

void t.test('what is rendered does not depend on when it is taken, nor on restarts', (t) => {
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 1, maxLength: 25 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 0, max: 30 }),
      (events, pull, restore) => {
        const provider = new Provider();
        for (const each of events) provider.run(each);
        mustAgree(provider.end(), pull, restore);
      },
    ),
    { numRuns: 100 },
  );
  t.pass('100 random calls are the same however they are cut');
  t.end();
});

/** All runs have to be done by then, ms; one that fails is made smaller for as long, and told of before the file's time is over. */
const mostMs = 90_000;

/** A stream that says nothing for longer than half a minute after records were dropped, and then does. */
const lateAfterLoss: Step[] = [
  { kind: 'start', ms: 0, size: 1, stream: 0 },
  { kind: 'dropped', ms: 0, size: 0, stream: 0 },
  { kind: 'frames', ms: 40_000, size: 0, stream: 0 },
  { kind: 'frames', ms: 1, size: 0, stream: 1 },
];

/** Renders a script at once, and again with the audio taken and the state restored on the way. */
function mustAgree(script: CallScript, pull: number, restore: number): void {
  const once = renderScript(script);
  const often = renderScript(script, pull, restore);
  if (once.length !== often.length) throw new Error(`length ${often.length}, not ${once.length}`);
  if (once.channels.length !== often.channels.length) throw new Error('another number of channels');
  once.channels.forEach((channel, index) => {
    const at = difference(often.channels[index], channel);
    if (at >= 0) throw new Error(`channel ${index} differs at ${at}`);
  });
  if (JSON.stringify(once.gaps) !== JSON.stringify(often.gaps)) throw new Error('other gaps');
  const [one, other] = [once, often].map(({ timeline }) => JSON.stringify(timeline.state.events));
  if (one !== other) throw new Error('other events');
}

void t.test('whatever records come in whatever order, the recording is a function of them alone', (t) => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.constantFrom(8000, 11_025, 16_000, 44_100),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 40 }),
      (steps, rate, pull, restore) => {
        const soup = new Soup(rate);
        for (const each of steps) soup.run(each);
        const script = soup.end();
        mustAgree(script, pull, restore);
        const { gaps, length } = renderScript(script, pull);
        for (const gap of gaps) {
          const end = gap.startSample + gap.samples;
          const whole = [gap.startSample, gap.samples].every((each) => Number.isInteger(each) && each >= 0);
          if (!whole || end > length) throw new Error(`a gap ${JSON.stringify(gap)} in ${length} samples`);
        }
      },
    ),
    {
      numRuns: 60,
      examples: [[lateAfterLoss, 8000, 33, 7]],
      interruptAfterTimeLimit: mostMs,
      markInterruptAsFailure: true,
    },
  );
  t.pass('60 soups of records are the same however they are cut');
  t.end();
});

void t.test('a jambonz call is recorded as it was said and heard: mono, stereo and mixed', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom<Mode[]>('caller', 'both', 'mixed'),
      fc.array(jambonzEvent, { minLength: 1, maxLength: 25 }),
      fc.integer({ min: 0, max: 30 }),
      fc.integer({ min: 0, max: 30 }),
      (mode, events, pull, restore) => {
        const oracle = new JambonzOracle(mode);
        oracle.run({ kind: 'talk', size: 2 });
        for (const each of events) oracle.run(each);
        const { channels, gaps, length } = renderScript(oracle.end(), pull, restore);
        if (length !== oracle.now) throw new Error(`length ${length}, not ${oracle.now}`);
        const { said, played, heard } = oracle;
        const missing = [new Set<number>(), new Set<number>()];
        for (const { channel, startSample, samples } of gaps)
          for (let i = 0; i < samples; i++) missing[channel]?.add(startSample + i);
        for (let i = 0; i < length; i++) {
          const bot = (heard.get(i) ?? 0) + (played.get(i) ?? 0);
          const expected = mode === 'mixed' ? [(said.get(i) ?? 0) + bot] : [said.get(i) ?? 0, bot];
          const lost = [!said.has(i), mode === 'both' && !played.has(i) && !heard.has(i)];
          expected.forEach((sample, channel) => {
            if (channels[channel]?.[i] !== sample) throw new Error(`${mode} ${channel} differs at ${i}`);
            if (missing[channel]?.has(i) !== lost[channel])
              throw new Error(`${mode} ${channel}: gap at ${i}`);
          });
        }
      },
    ),
    { numRuns: 60 },
  );
  t.pass('60 random calls agree with the oracle sample by sample');
  t.end();
});
