import fc from 'fast-check';
import t from 'tap';
import { CallScript } from './CallScript.js';
import { renderScript } from './rendering.js';

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

void t.test('what is rendered does not depend on when it is taken', (t) => {
  fc.assert(
    fc.property(
      fc.array(event, { minLength: 1, maxLength: 25 }),
      fc.integer({ min: 1, max: 30 }),
      (events, pull) => {
        const provider = new Provider();
        for (const each of events) provider.run(each);
        const script = provider.end();
        const once = renderScript(script);
        const often = renderScript(script, pull);
        if (once.length !== often.length) throw new Error('another length');
        once.channels.forEach((channel, index) => {
          const other = often.channels[index];
          if (!channel.every((sample, i) => sample === other?.[i]))
            throw new Error(`channel ${index} differs`);
        });
        if (JSON.stringify(once.gaps) !== JSON.stringify(often.gaps)) throw new Error('other gaps');
      },
    ),
    { numRuns: 100 },
  );
  t.pass('100 random calls are the same however they are cut');
  t.end();
});
