import fc from 'fast-check';
import t from 'tap';
import { callTimeMs, skipGaps } from '../../src/recorder/timeline/Pause.js';
import { readText } from '../../src/tap/RecordReader.js';
import { RecordKind, Track, type PauseMode, type StreamFacts } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { difference, renderScript } from './rendering.js';

interface Pause {
  readonly fromMs: number;
  readonly toMs: number;
  readonly mode: PauseMode;
}

const frameMs = 20;
const perMs = 8;
const byCount: Partial<StreamFacts> = {
  placement: 'count',
  amendMs: 5000,
  marksTellPlayout: false,
  playout: 'none',
};

function isIn({ fromMs, toMs }: Pause, arrivalMs: number): boolean {
  return arrivalMs > fromMs && arrivalMs <= toMs;
}

/** A caller who never pauses for breath, recorded with pauses; whatever arrives in one is muted. */
function callWith(pauses: readonly Pause[], totalMs: number, facts: Partial<StreamFacts> = {}): CallScript {
  const script = new CallScript().at(0).stream(facts);
  const steps: { readonly ms: number; readonly say: () => void }[] = [];
  for (let ms = 0; ms < totalMs; ms += frameMs) {
    const arrivalMs = ms + frameMs;
    const isMuted = pauses.some((pause) => isIn(pause, arrivalMs));
    const providerMs = facts.placement === 'count' ? NaN : ms;
    const say = (): void => {
      if (isMuted) script.muted(frameMs * perMs, providerMs);
      else script.caller(numbered(ms * perMs, frameMs * perMs), providerMs);
    };
    steps.push({ ms: arrivalMs, say });
  }
  for (const { fromMs, toMs, mode } of pauses) {
    steps.push({ ms: fromMs + 0.25, say: () => void script.add(RecordKind.pause, { paused: true, mode }) });
    steps.push({ ms: toMs + 0.25, say: () => void script.add(RecordKind.pause, { paused: false }) });
  }
  for (const { ms, say } of steps.sort((a, b) => a.ms - b.ms)) {
    script.at(Math.floor(ms));
    say();
  }
  return script.at(totalMs).stop().end();
}

/** What the caller's channel holds, by what was said when. */
function expected(pauses: readonly Pause[], totalMs: number): Int16Array {
  const said = numbered(0, totalMs * perMs);
  for (const { fromMs, toMs, mode } of pauses) {
    // A frame that had begun before the pause came in it, or behind it, when nobody can say any more where it would lie.
    const begun = Math.floor(fromMs / frameMs) * frameMs;
    const from = mode === 'silence' && begun + frameMs > toMs ? fromMs : begun;
    said.fill(0, from * perMs, toMs * perMs);
  }
  const parts: Int16Array[] = [];
  let atMs = 0;
  for (const { fromMs, toMs, mode } of pauses) {
    if (mode === 'silence') continue;
    parts.push(said.subarray(atMs * perMs, fromMs * perMs));
    atMs = toMs;
  }
  parts.push(said.subarray(atMs * perMs));
  return Int16Array.from(parts.flatMap((part) => [...part]));
}

await t.test('a pause is silence of its length, and a gap', (t) => {
  const pauses: Pause[] = [{ fromMs: 2000, toMs: 4000, mode: 'silence' }];
  const { channels, gaps, length, timeline } = renderScript(callWith(pauses, 8000), 7, 31);
  t.equal(length, 8000 * perMs);
  t.equal(difference(channels[0], expected(pauses, 8000)), -1);
  const gap = { startSample: 16_000, samples: 16_000, cause: 'paused' };
  t.same(gaps, [
    { channel: 0, ...gap },
    { channel: 1, ...gap },
  ]);
  t.match(timeline.state.events, [
    { type: 'stream_started' },
    { type: 'paused', sample: 16_000, mode: 'silence' },
    { type: 'resumed', sample: 32_000 },
    { type: 'stream_ended' },
  ]);
  t.end();
});

await t.test('a pause that is skipped is not there at all, and what follows keeps its time of day', (t) => {
  const pauses: Pause[] = [{ fromMs: 2000, toMs: 4000, mode: 'skip' }];
  const { channels, gaps, length, timeline } = renderScript(callWith(pauses, 8000), 7, 31);
  t.equal(length, 6000 * perMs);
  t.equal(difference(channels[0], expected(pauses, 8000)), -1);
  t.same(gaps, [], 'nothing is missing in what is there');
  const skipped = { startSample: 16_000, samples: 0, cause: 'paused', skippedSamples: 16_000 };
  t.same(skipGaps(timeline.state, 2), [
    { channel: 0, ...skipped },
    { channel: 1, ...skipped },
  ]);
  const { wallClockMs } = timeline.state.facts;
  t.equal(callTimeMs(timeline.state, 15_999) - wallClockMs, 15_999 / perMs);
  t.equal(callTimeMs(timeline.state, 16_000) - wallClockMs, 4000);
  t.equal(callTimeMs(timeline.state, length) - wallClockMs, 8000);
  t.match(timeline.state.events.at(-2), { type: 'resumed', sample: 16_000, skippedSamples: 16_000 });
  t.end();
});

await t.test('what the bot has in the provider’s queue is neither heard in a pause nor behind it', (t) => {
  const facts: Partial<StreamFacts> = { amendMs: 1500 };
  const script = new CallScript().at(0).stream(facts);
  const say = (fromMs: number, toMs: number, isMuted = false): void => {
    for (let ms = fromMs; ms < toMs; ms += frameMs) {
      script.at(ms + frameMs);
      if (isMuted) script.muted(160, ms);
      else script.caller(numbered(ms * perMs, 160), ms);
    }
  };
  say(0, 1000);
  script.bot(numbered(0, 3000 * perMs));
  say(1000, 2000);
  script.add(RecordKind.pause, { paused: true });
  say(2000, 3500, true);
  // Behind what it said before: it is heard from 4000 to 5000.
  script.muted(1000 * perMs, NaN, Track.botSent);
  say(3500, 4500, true);
  script.add(RecordKind.pause, { paused: false });
  say(4500, 6000);
  script.bot(numbered(7, 500 * perMs));
  say(6000, 7000);
  const { channels, gaps } = renderScript(script.at(7000).stop().end(), 5, 40);
  const bot = new Int16Array(7000 * perMs);
  bot.set(numbered(0, 1000 * perMs), 1000 * perMs);
  bot.set(numbered(7, 500 * perMs), 6000 * perMs);
  t.equal(difference(channels[1], bot), -1);
  t.same(gaps, [
    { channel: 0, startSample: 2000 * perMs, samples: 2500 * perMs, cause: 'paused' },
    { channel: 1, startSample: 2000 * perMs, samples: 3000 * perMs, cause: 'paused' },
  ]);
  t.end();
});

for (const [name, facts] of [
  ['a provider that has a clock', {}],
  ['a provider that has none', byCount],
] as const) {
  await t.test(`nothing that was said in a pause is recorded, and everything else is, of ${name}`, (t) => {
    const stretch = fc.record({
      beforeMs: fc.integer({ min: 1, max: 4000 }),
      lengthMs: fc.integer({ min: 1, max: 12_000 }),
      mode: fc.constantFrom<PauseMode>('silence', 'skip'),
    });
    const every = fc.integer({ min: 1, max: 200 });
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 4 }), every, every, (stretches, pull, restore) => {
        const pauses: Pause[] = [];
        let ms = 0;
        for (const { beforeMs, lengthMs, mode } of stretches) {
          const fromMs = ms + beforeMs;
          pauses.push({ fromMs, toMs: fromMs + lengthMs, mode });
          ms = fromMs + lengthMs;
        }
        const totalMs = Math.ceil((ms + 2000) / frameMs) * frameMs;
        const rendered = renderScript(callWith(pauses, totalMs, facts), pull, restore);
        const wanted = expected(pauses, totalMs);
        if (rendered.length !== wanted.length) return false;
        if (difference(rendered.channels[0], wanted) !== -1) return false;
        const silent = rendered.gaps.filter(({ channel }) => channel === 0);
        const missing = silent.reduce((sum, { samples }) => sum + samples, 0);
        return (
          missing === wanted.filter((sample) => sample === 0).length &&
          silent.every(({ cause }) => cause === 'paused')
        );
      }),
      { numRuns: 40 },
    );
    t.end();
  });
}

await t.test('a call that ends in a pause ends where that began, or in silence', (t) => {
  for (const mode of ['silence', 'skip'] as const) {
    const script = new CallScript().at(0).stream();
    for (let ms = 0; ms < 4000; ms += frameMs) {
      script.at(ms + frameMs);
      if (ms === 2000) script.at(2000).add(RecordKind.pause, { paused: true, mode });
      if (ms < 2000) script.caller(numbered(ms * perMs, 160), ms);
      else script.at(ms + frameMs).muted(160, ms);
    }
    const { channels, length, timeline } = renderScript(script.at(4000).stop().end(), 3, 17);
    t.equal(length, (mode === 'skip' ? 2000 : 4000) * perMs, mode);
    t.equal(difference(channels[0]?.subarray(0, 16_000), numbered(0, 16_000)), -1);
    t.ok(channels[0]?.subarray(16_000).every((sample) => sample === 0));
    t.equal(skipGaps(timeline.state, 1)[0]?.skippedSamples, mode === 'skip' ? 16_000 : undefined);
  }
  t.end();
});

await t.test('a pause whose end is lost ends with the first audio behind it', (t) => {
  for (const facts of [{}, byCount]) {
    for (const mode of ['silence', 'skip'] as const) {
      const script = callWith([{ fromMs: 2000, toMs: 4000, mode }], 9000, facts);
      const lost = script.records.findIndex(
        (each) => each.kind === RecordKind.pause && readText(each).includes('false'),
      );
      script.records.splice(lost, 1);
      const { channels, gaps, length } = renderScript(script, 9, 50);
      // When the first frame came was the end: it had been said before.
      const wanted = expected([{ fromMs: 2000, toMs: 4020, mode }], 9000);
      t.equal(length, wanted.length, mode);
      t.equal(difference(channels[0], wanted), -1, mode);
      t.ok(gaps.every(({ cause }) => cause === 'paused'));
    }
  }
  t.end();
});

/** A caller on two streams: the first is lost, and the next one comes later. What arrives in the pause is muted. */
function overTwoStreams(
  pause: Pause,
  {
    lostMs,
    startMs,
    totalMs,
  }: { readonly lostMs: number; readonly startMs: number; readonly totalMs: number },
): CallScript {
  const script = new CallScript().at(0).stream();
  const steps: { readonly ms: number; readonly say: () => void }[] = [];
  const talk = (stream: number, fromMs: number, toMs: number): void => {
    for (let ms = fromMs; ms < toMs; ms += frameMs) {
      const say = (): void => {
        script.on(stream);
        if (isIn(pause, ms + frameMs)) script.muted(frameMs * perMs, ms - fromMs);
        else script.caller(numbered(ms * perMs, frameMs * perMs), ms - fromMs);
      };
      steps.push({ ms: ms + frameMs, say });
    }
  };
  const ask = (facts: object): void => void script.on(0).add(RecordKind.pause, facts);
  talk(1, 0, lostMs);
  steps.push({ ms: lostMs + 0.25, say: () => void script.on(1).stop('lost') });
  steps.push({ ms: pause.fromMs + 0.5, say: () => ask({ paused: true, mode: pause.mode }) });
  steps.push({ ms: pause.toMs + 0.5, say: () => ask({ paused: false }) });
  steps.push({ ms: startMs + 0.75, say: () => void script.on(1).stream() });
  talk(2, startMs, totalMs);
  for (const { ms, say } of steps.sort((a, b) => a.ms - b.ms)) {
    script.at(Math.floor(ms));
    say();
  }
  return script.at(totalMs).on(2).stop().end();
}

/** A stretch that is missing in both channels, from one time of the recording to another, ms. */
interface Missing {
  readonly fromMs: number;
  readonly toMs: number;
  readonly cause: string;
}

for (const mode of ['silence', 'skip'] as const) {
  const isSkip = mode === 'skip';
  const between = 'between_streams';
  const begins: Missing[] = [
    { fromMs: 1000, toMs: 1500, cause: between },
    ...(isSkip ? [] : [{ fromMs: 1500, toMs: 2500, cause: 'paused' }]),
  ];
  const ends: Missing[] = isSkip
    ? [{ fromMs: 1000, toMs: 2000, cause: between }]
    : [
        { fromMs: 1000, toMs: 2000, cause: 'paused' },
        { fromMs: 2000, toMs: 3000, cause: between },
      ];
  for (const [name, pause, times, missing] of [
    ['begins', { fromMs: 1500, toMs: 2500, mode }, { lostMs: 1000, startMs: 2000, totalMs: 3500 }, begins],
    ['ends', { fromMs: 1000, toMs: 2000, mode }, { lostMs: 1500, startMs: 3000, totalMs: 4000 }, ends],
  ] as const) {
    await t.test(`a pause that ${name} while the call waits for its next stream: ${mode}`, (t) => {
      const script = overTwoStreams(pause, times);
      const said = numbered(0, times.totalMs * perMs);
      said.fill(0, times.lostMs * perMs, times.startMs * perMs);
      said.fill(0, pause.fromMs * perMs, pause.toMs * perMs);
      const [before, behind] = [said.subarray(0, pause.fromMs * perMs), said.subarray(pause.toMs * perMs)];
      const wanted = isSkip ? Int16Array.from([...before, ...behind]) : said;
      for (const every of [0, 1, 7]) {
        const { channels, gaps, length, timeline } = renderScript(script, every, 31);
        t.equal(length, wanted.length);
        t.equal(difference(channels[0], wanted), -1, `taken every ${every}`);
        const gapsOf = (channel: number): object[] =>
          missing.map(({ fromMs, toMs, cause }) => {
            return { channel, startSample: fromMs * perMs, samples: (toMs - fromMs) * perMs, cause };
          });
        t.strictSame(gaps, [...gapsOf(0), ...gapsOf(1)]);
        const skipped = skipGaps(timeline.state, 1).map((gap) => [gap.startSample, gap.skippedSamples]);
        t.strictSame(skipped, isSkip ? [[pause.fromMs * perMs, 1000 * perMs]] : []);
      }
      t.end();
    });
  }
}

await t.test('a recording that begins in the middle of its stream begins with the next frame', (t) => {
  const script = new CallScript().at(0).stream({ isJoined: true });
  for (let ms = 0; ms < 1000; ms += frameMs)
    script.at(ms + frameMs + 3).caller(numbered(ms * perMs, 160), 600_000 + ms);
  const { channels, gaps, length } = renderScript(script.at(1003).stop().end());
  t.ok(Math.abs(length - 8000) < 200, `${length} samples`);
  t.equal(difference(channels[0]?.subarray(0, 8000), numbered(0, 8000)), -1);
  t.same(gaps, []);
  t.end();
});
