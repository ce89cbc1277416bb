import t from 'tap';
import { RecordKind } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { difference, renderScript } from './rendering.js';

const perMs = 8;

/** Eight seconds of a caller who presses a key at 4 s, which is told of then. */
function script(
  masksDigits: boolean,
  durationMs: number | null = null,
  digit = masksDigits ? '' : '7',
): CallScript {
  const made = new CallScript(masksDigits ? { masksDigits } : {}).at(0).stream();
  for (let ms = 0; ms < 8000; ms += 20) {
    made.at(ms + 20).caller(numbered(ms * perMs, 160), ms);
    if (ms + 20 === 4000) made.add(RecordKind.dtmf, { digit, durationMs });
  }
  return made.at(8000).stop().end();
}

await t.test('a masked key is silence, and nobody is told which it was', (t) => {
  for (const [durationMs, fromMs] of [
    [null, 3000],
    [200, 3000],
    [2500, 1500],
    [60_000, 0],
  ] as const) {
    for (const pull of [0, 3, 17]) {
      const { channels, gaps, timeline } = renderScript(script(true, durationMs), pull, 23);
      const wanted = numbered(0, 8000 * perMs);
      // What was final by then stays: nothing is, so short before.
      wanted.fill(0, Math.max(fromMs, durationMs === 60_000 ? 2500 : 0) * perMs, 4250 * perMs);
      const from = channels[0]?.findIndex((sample) => sample === 0) ?? -1;
      t.ok(from <= 3000 * perMs, `from ${from}`);
      if (durationMs !== 60_000 && durationMs !== 2500) t.equal(difference(channels[0], wanted), -1);
      t.ok(channels[0]?.subarray(from, 4250 * perMs).every((sample) => sample === 0));
      t.same(gaps, [], 'nothing is missing');
      const event = timeline.state.events.find(({ type }) => type === 'dtmf');
      t.same(event, { type: 'dtmf', sample: 32_000, durationMs, isMasked: true });
    }
  }
  t.end();
});

await t.test('a key that is told of in a late backlog is silence where it was pressed', (t) => {
  const made = new CallScript({ masksDigits: true }).at(0).stream();
  for (let ms = 0; ms < 8000; ms += 20) {
    // Two seconds come at once; half of them before the key is told of.
    made.at(ms >= 4000 && ms < 6000 ? 6000 : ms + 20).caller(numbered(ms * perMs, 160), ms);
    if (ms + 20 === 5000) made.add(RecordKind.dtmf, { digit: '', durationMs: null });
  }
  made.at(8000).stop().end();
  const wanted = numbered(0, 8000 * perMs);
  // From a second before what had come by then, up to where the tone may have ended if only it was told of late.
  wanted.fill(0, 4000 * perMs, 6250 * perMs);
  for (const pull of [0, 1, 17]) {
    const { channels, gaps } = renderScript(made, pull, 23);
    t.equal(difference(channels[0], wanted), -1, `taken every ${pull}`);
    t.same(gaps, []);
  }
  t.end();
});

await t.test('a key that isn’t masked is heard, and told', (t) => {
  const { channels, timeline } = renderScript(script(false));
  t.equal(difference(channels[0], numbered(0, 8000 * perMs)), -1);
  t.match(
    timeline.state.events.find(({ type }) => type === 'dtmf'),
    { digit: '7' },
  );
  t.end();
});

await t.test('a key of which nobody was told which it is has an event, and silences nothing', (t) => {
  const { channels, timeline } = renderScript(script(false, 80, ''));
  t.equal(difference(channels[0], numbered(0, 8000 * perMs)), -1);
  t.same(
    timeline.state.events.find(({ type }) => type === 'dtmf'),
    { type: 'dtmf', sample: 32_000, durationMs: 80, isMasked: true },
  );
  t.end();
});
