import fc from 'fast-check';
import t from 'tap';
import { RecordKind, type StreamFacts } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { difference, renderScript } from './rendering.js';

const byCount: Partial<StreamFacts> = {
  placement: 'count',
  amendMs: 5000,
  marksTellPlayout: false,
  playout: 'prebuffered',
};

interface Drop {
  /** Frames that the ring took before. */
  readonly before: number;
  readonly dropped: number;
  /** By how much every frame is late before the drop, in it, and behind it, ms. */
  readonly lateMs: readonly [number, number, number];
  /** The drop is told of so long after its last frame, if no frame comes first, ms. */
  readonly toldMs: number;
}

/** A caller who never pauses, of whose frames some found no room in the ring. */
function scriptOf({ before, dropped, lateMs, toldMs }: Drop, facts: Partial<StreamFacts>): CallScript {
  const script = new CallScript().at(0).stream(facts);
  const all = before + dropped + 60;
  const arrivals = Array.from({ length: all }, (_none, frame) => {
    const phase = frame < before ? 0 : frame < before + dropped ? 1 : 2;
    return (frame + 1) * 20 + lateMs[phase];
  }).map((_ms, frame, own) => Math.max(...own.slice(0, frame + 1)));
  const [first = 0, last = 0, next = 0] = [
    arrivals[before],
    arrivals[before + dropped - 1],
    arrivals[before + dropped],
  ];
  const told = { records: dropped, sinceMs: 1_000_000 + first };
  for (const [frame, ms] of arrivals.entries()) {
    if (frame >= before && frame < before + dropped) continue;
    if (frame === before + dropped) script.at(Math.min(next, last + toldMs)).add(RecordKind.dropped, told);
    script.at(ms).caller(numbered(frame * 160, 160), facts.placement === 'count' ? NaN : frame * 20);
  }
  return script
    .at(arrivals.at(-1) ?? 0)
    .stop()
    .end();
}

for (const [name, facts] of [
  ['a provider that has a clock', {}],
  ['a provider that has none', byCount],
] as const) {
  void t.test(`whatever was late, all that reelay dropped is called so, of ${name}`, (t) => {
    const drop = fc.record({
      before: fc.integer({ min: 1, max: 200 }),
      dropped: fc.integer({ min: 1, max: 200 }),
      lateMs: fc.tuple(fc.nat(300), fc.nat(300), fc.nat(300)),
      toldMs: fc.nat(1000),
    });
    fc.assert(
      fc.property(drop, fc.integer({ min: 1, max: 100 }), (given, every) => {
        const { gaps } = renderScript(scriptOf(given, facts), every);
        const caller = gaps.filter(({ channel }) => channel === 0);
        const missing = caller.reduce((sum, { samples }) => sum + samples, 0);
        const causes = new Set(gaps.map(({ cause }) => cause));
        if (facts.placement === undefined && missing !== given.dropped * 160) return false;
        return [...causes].every((cause) => cause === 'dropped_by_reelay');
      }),
      { numRuns: 40 },
    );
    t.end();
  });
}

/** A caller of whose pause, from 1 s to 3 s, half a second found no room in the ring. */
function pausedScript(facts: Partial<StreamFacts>, said: Int16Array): CallScript {
  const script = new CallScript().at(0).stream(facts);
  for (let ms = 0; ms < 4000; ms += 20) {
    script.at(ms);
    if (ms === 500 && said.length > 0) script.bot(said);
    if (ms === 1000) script.add(RecordKind.pause, { paused: true });
    if (ms === 2000) script.add(RecordKind.dropped, { records: 25, sinceMs: 1_001_520 });
    if (ms === 3000) script.add(RecordKind.pause, { paused: false });
    const providerMs = facts.placement === 'count' ? NaN : ms;
    script.at(ms + 20);
    if (ms >= 1500 && ms < 2000) continue;
    if (ms >= 1000 && ms < 3000) script.muted(160, providerMs);
    else script.caller(numbered(ms * 8, 160), providerMs);
  }
  return script.at(4000).stop().end();
}

for (const [name, facts] of [
  ['a provider that has a clock', {}],
  ['a provider that has none', byCount],
] as const) {
  void t.test(`a recording of whose pause something was dropped lacks nothing, of ${name}`, (t) => {
    const { channels, gaps, timeline } = renderScript(pausedScript(facts, new Int16Array(0)), 5, 23);
    t.equal(timeline.state.lossy, false);
    const wanted = numbered(0, 32_000);
    wanted.fill(0, 8000, 24_000);
    t.equal(difference(channels[0], wanted), -1);
    const gap = { startSample: 8000, samples: 16_000, cause: 'paused' };
    t.strictSame(gaps, [
      { channel: 0, ...gap },
      { channel: 1, ...gap },
    ]);
    t.end();
  });

  void t.test(`unless the bot is still being heard behind the pause, of ${name}`, (t) => {
    const { timeline } = renderScript(pausedScript(facts, numbered(0, 24_000)), 5, 23);
    t.equal(timeline.state.lossy, true, 'nobody knows whether that was cleared');
    t.end();
  });
}
