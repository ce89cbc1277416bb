import fc from 'fast-check';
import t from 'tap';
import { RecordKind, type PauseMode, type StreamFacts } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { difference, renderScript } from './rendering.js';

/*
 * Frames that are late come in the pause, or behind it, though they were said before, or in it: only what was said outside and came
 * outside may be in the recording. No call here is so long that two of its samples are alike.
 */

interface Pause {
  readonly fromMs: number;
  readonly toMs: number;
  readonly mode: PauseMode;
}

interface LateCall {
  readonly pauses: readonly Pause[];
  /** By how much each frame is late, at least: none overtakes another. */
  readonly lateMs: readonly number[];
}

const frameMs = 20;
const perMs = 8;
const samples = frameMs * perMs;
const byCount: Partial<StreamFacts> = {
  placement: 'count',
  amendMs: 5000,
  marksTellPlayout: false,
  playout: 'none',
};

function arrivalsOf({ lateMs }: LateCall): number[] {
  const own = lateMs.map((late, frame) => (frame + 1) * frameMs + late);
  return own.map((_, frame) => Math.max(...own.slice(0, frame + 1)));
}

function isMuted({ pauses }: LateCall, arrivalMs: number): boolean {
  return pauses.some(({ fromMs, toMs }) => arrivalMs > fromMs && arrivalMs <= toMs);
}

function scriptOf(call: LateCall, facts: Partial<StreamFacts>): CallScript {
  const script = new CallScript().at(0).stream(facts);
  const steps: { readonly ms: number; readonly say: () => void }[] = [];
  for (const [frame, arrivalMs] of arrivalsOf(call).entries()) {
    const providerMs = facts.placement === 'count' ? NaN : frame * frameMs;
    const say = (): void => {
      if (isMuted(call, arrivalMs)) script.muted(samples, providerMs);
      else script.caller(numbered(frame * samples, samples), providerMs);
    };
    steps.push({ ms: arrivalMs, say });
  }
  for (const { fromMs, toMs, mode } of call.pauses) {
    steps.push({ ms: fromMs + 0.25, say: () => void script.add(RecordKind.pause, { paused: true, mode }) });
    steps.push({ ms: toMs + 0.25, say: () => void script.add(RecordKind.pause, { paused: false }) });
  }
  for (const { ms, say } of steps.sort((a, b) => a.ms - b.ms)) {
    script.at(Math.floor(ms));
    say();
  }
  return script.stop().end();
}

/** What the recording may hold and has to, in its order. */
function keptOf(call: LateCall): Int16Array {
  const kept = arrivalsOf(call).flatMap((arrivalMs, frame) => {
    if (isMuted(call, arrivalMs)) return [];
    const over = call.pauses.filter(({ toMs }) => toMs < arrivalMs);
    // Of what was said before a pause that is left out nobody can say any more where it would lie.
    const isKept = (ms: number): boolean =>
      over.every(({ fromMs, toMs, mode }) => ms >= toMs || (mode === 'silence' && ms < fromMs));
    return [...numbered(frame * samples, samples)].filter((_, i) => isKept(frame * frameMs + i / perMs));
  });
  return Int16Array.from(kept);
}

function recorded(call: LateCall, facts: Partial<StreamFacts>, pull = 0, restore = 0): Int16Array {
  const { channels } = renderScript(scriptOf(call, facts), pull, restore);
  return (channels[0] ?? new Int16Array(0)).filter((sample) => sample !== 0);
}

for (const [name, facts] of [
  ['a provider that has a clock', {}],
  ['a provider that has none', byCount],
] as const) {
  void t.test(`what was said in a pause and comes late is not recorded, of ${name}`, (t) => {
    const lateMs = Array.from({ length: 150 }, (_, frame) => (frame < 50 ? 0 : 300));
    for (const mode of ['silence', 'skip'] as const) {
      const call: LateCall = { pauses: [{ fromMs: 1000, toMs: 2000, mode }], lateMs };
      const { channels } = renderScript(scriptOf(call, facts), 5, 23);
      const behind = (mode === 'skip' ? 1000 : 2000) * perMs;
      t.equal(difference(channels[0]?.subarray(0, 8000), numbered(0, 8000)), -1, mode);
      t.equal(
        difference(channels[0]?.subarray(behind, behind + 8000), numbered(2000 * perMs, 8000)),
        -1,
        mode,
      );
      t.equal(recorded(call, facts).length, 16_000, mode);
    }
    t.end();
  });

  void t.test(`nor when the pause began with the call, of ${name}`, (t) => {
    const lateMs = Array.from({ length: 100 }, (_, frame) => (frame === 0 ? 0 : 300));
    const call: LateCall = { pauses: [{ fromMs: 5, toMs: 1000, mode: 'skip' }], lateMs };
    t.equal(difference(recorded(call, facts, 5, 23), numbered(1000 * perMs, 8000)), -1);
    t.equal(difference(keptOf(call), numbered(1000 * perMs, 8000)), -1);
    t.end();
  });

  void t.test(`however late each frame is, of ${name}`, (t) => {
    const stretch = fc.record({
      beforeMs: fc.integer({ min: 1, max: 1000 }),
      lengthMs: fc.integer({ min: 1, max: 1200 }),
      mode: fc.constantFrom<PauseMode>('silence', 'skip'),
    });
    const every = fc.integer({ min: 1, max: 100 });
    const late = fc.array(fc.nat(300), { minLength: 60, maxLength: 180 });
    fc.assert(
      fc.property(
        fc.array(stretch, { maxLength: 3 }),
        late,
        every,
        every,
        (stretches, own, pull, restore) => {
          let ms = 0;
          const pauses = stretches.map(({ beforeMs, lengthMs, mode }): Pause => {
            const fromMs = ms + beforeMs;
            ms = fromMs + lengthMs;
            return { fromMs, toMs: ms, mode };
          });
          const call: LateCall = {
            pauses: pauses.filter(({ toMs }) => toMs <= own.length * frameMs),
            // By the frame that is on time the clocks are compared.
            lateMs: [0, ...own.slice(1)],
          };
          return difference(recorded(call, facts, pull, restore), keptOf(call)) === -1;
        },
      ),
      { numRuns: 60 },
    );
    t.end();
  });
}
