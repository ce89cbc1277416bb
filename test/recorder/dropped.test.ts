import fc from 'fast-check';
import t from 'tap';
import { RecordKind, type StreamFacts } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { renderScript } from './rendering.js';

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
