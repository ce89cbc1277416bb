import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { readSpeech } from '../../src/audio/Speech.js';
import { type SpeechSegment, SpeechSegments } from '../../src/audio/SpeechSegments.js';
import { joined, noiseOf, silenceOf, together, toneOf } from './fixtures/testSignal.js';

/** Pauses of 300 ms and longer in the speech of the demo, s: what ffmpeg's `silencedetect=noise=-45dB:d=0.3` says of them. */
const pauses = {
  caller: [
    [5.572, 5.922],
    [7.373, 7.696],
  ],
  bot: [
    [1.597, 1.909],
    [4.807, 5.157],
    [6.761, 7.085],
  ],
} as const;

function segmentsOf(pcm: Int16Array, sampleRate = 8000): SpeechSegment[] {
  const speech = new SpeechSegments(sampleRate);
  speech.push(pcm);
  return speech.segments;
}

/** Where each begins and ends, s. */
function spansOf(segments: readonly SpeechSegment[], sampleRate = 8000): [number, number][] {
  return segments.map(({ startSample, samples }) => [
    startSample / sampleRate,
    (startSample + samples) / sampleRate,
  ]);
}

async function speechOf(name: 'caller' | 'bot', sampleRate = 8000): Promise<Int16Array> {
  return await readSpeech(join('src', 'simulators', 'speech', `${name}.wav`), sampleRate);
}

for (const name of ['caller', 'bot'] as const)
  for (const sampleRate of [8000, 11_025, 48_000])
    await t.test(`the pauses of the ${name} at ${sampleRate} Hz part the segments`, async (t) => {
      const pcm = await speechOf(name, sampleRate);
      const lead = silenceOf(2 * sampleRate);
      const spans = spansOf(segmentsOf(joined(lead, pcm, lead), sampleRate), sampleRate);
      const inner = pauses[name].map(([from, to]) => [from + 2, to + 2] as const);
      t.ok((spans[0]?.[0] ?? 0) > 1.88 && (spans[0]?.[0] ?? 0) < 2.2, `begins at ${spans[0]?.[0]}`);
      const end = 2 + pcm.length / sampleRate;
      t.ok(Math.abs((spans.at(-1)?.[1] ?? 0) - end) < 0.25, `ends at ${spans.at(-1)?.[1]} of ${end}`);
      for (const [from, to] of inner) {
        const at = spans.findIndex(([start]) => start > from);
        const [before, after] = [spans[at - 1]?.[1] ?? 0, spans[at]?.[0] ?? 0];
        t.ok(before > from && before < from + 0.16, `up to 100 ms into the pause at ${from}: ${before}`);
        t.ok(after < to && after > to - 0.16, `from 100 ms before ${to}: ${after}`);
      }
      t.ok(spans.length <= inner.length + 3, `${spans.length} segments`);
    });

await t.test('noise on the line changes little', async (t) => {
  const pcm = joined(silenceOf(32_000), await speechOf('bot'), silenceOf(32_000));
  const clean = spansOf(segmentsOf(pcm));
  for (const level of [-60, -50, -45]) {
    const noisy = spansOf(segmentsOf(together(pcm, noiseOf(pcm.length, level))));
    t.equal(noisy.length, clean.length, `${level} dBFS`);
    noisy.forEach(([from, to], at) => {
      const [start, end] = clean[at] ?? [0, 0];
      t.ok(
        Math.abs(from - start) < 0.15 && Math.abs(to - end) < 0.15,
        `${from} to ${to} for ${start} to ${end}`,
      );
    });
  }
});

await t.test('nobody speaks in silence, in noise of any level, or in a click', (t) => {
  t.same(segmentsOf(silenceOf(80_000)), []);
  for (const level of [-70, -55, -45, -40]) t.same(segmentsOf(noiseOf(160_000, level)), [], `${level} dBFS`);
  const click = joined(silenceOf(8000), toneOf(320, -6), silenceOf(8000));
  t.same(segmentsOf(click), []);
  t.same(segmentsOf(new Int16Array(0)), []);
  t.end();
});

await t.test('positions are exact, and lead and tail are added', (t) => {
  const pcm = joined(silenceOf(8000), toneOf(4000, -20), silenceOf(4000), toneOf(800, -30), silenceOf(8000));
  t.same(segmentsOf(pcm), [
    { startSample: 8000 - 800, samples: 800 + 4000 + 800, levelDb: -20, isOpen: false },
    { startSample: 16_000 - 800, samples: 800 + 800 + 800, levelDb: -30, isOpen: false },
  ]);
  const early = joined(silenceOf(160), toneOf(4000, -20), silenceOf(320));
  t.same(
    segmentsOf(early),
    [{ startSample: 0, samples: 4480, levelDb: -20, isOpen: true }],
    'neither before the beginning nor behind the end',
  );
  t.end();
});

await t.test('what is louder than any noise is never taken for it', (t) => {
  t.match(segmentsOf(toneOf(240_000, -20)), [{ startSample: 0, samples: 240_000, isOpen: true }]);
  t.end();
});

await t.test('noise that comes up is heard for some seconds and no longer', (t) => {
  const pcm = joined(noiseOf(40_000, -58), noiseOf(160_000, -42, 2));
  const [span, ...more] = spansOf(segmentsOf(pcm));
  t.equal(more.length, 0);
  t.ok(span !== undefined && span[0] > 4.8 && span[1] < 5 + 3.6, `${span?.join(' to ')} s`);
  t.end();
});

/** Speech and pauses of many lengths and levels. */
const scene = fc
  .array(
    fc.tuple(
      fc.constantFrom('silence', 'tone', 'noise', 'quiet'),
      fc.integer({ min: 1, max: 6000 }),
      fc.integer({ min: -50, max: -10 }),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) =>
    joined(
      ...parts.map(([kind, samples, level], at) => {
        if (kind === 'tone') return toneOf(samples, level);
        if (kind === 'noise') return noiseOf(samples, level, at + 1);
        return kind === 'quiet' ? noiseOf(samples, -62, at + 1) : silenceOf(samples);
      }),
    ),
  );

const other = noiseOf(777, -20);

await t.test('what is found depends on the audio alone, not on the pieces that it came in', (t) => {
  const cuts = fc.array(fc.integer({ min: 30, max: 2000 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(scene, cuts, (pcm, lengths) => {
      let speech = new SpeechSegments(8000);
      for (let at = 0, turn = 0; at < pcm.length; turn++) {
        const next = at + (lengths[turn % lengths.length] ?? 1);
        const copy = speech.copy();
        speech.push(other);
        speech = copy;
        speech.push(pcm.subarray(at, next));
        at = next;
      }
      t.equal(speech.samples, pcm.length);
      t.same(speech.segments, segmentsOf(pcm));
    }),
    { numRuns: 100 },
  );
  t.end();
});

await t.test('segments lie within the audio, in order, and stay when it grows', (t) => {
  fc.assert(
    fc.property(scene, fc.double({ min: 0, max: 1, noNaN: true }), (pcm, share) => {
      const whole = segmentsOf(pcm);
      let end = 0;
      for (const { startSample, samples, levelDb } of whole) {
        t.ok(startSample >= end && samples > 0);
        t.ok(levelDb > -52 && levelDb < 0, `${levelDb} dBFS`);
        end = startSample + samples;
      }
      t.ok(end <= pcm.length);
      const before = segmentsOf(pcm.subarray(0, Math.floor(pcm.length * share)));
      const closed = before.filter(({ isOpen }) => !isOpen);
      t.same(closed, whole.slice(0, closed.length));
      const open = before.find(({ isOpen }) => isOpen);
      if (open !== undefined) {
        t.equal(before.at(-1), open, 'only the last one may be open');
        const became = whole[closed.length];
        t.equal(became?.startSample, open.startSample);
        t.ok((became?.samples ?? 0) >= open.samples, 'it only becomes longer');
      }
    }),
    { numRuns: 100 },
  );
  t.end();
});
