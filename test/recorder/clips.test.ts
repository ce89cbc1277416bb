import t from 'tap';
import { Resampler } from '../../src/audio/Resampler.js';
import { RecordKind } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { renderScript } from './rendering.js';

/** One second of a jambonz call with clips: a caller who is there, and what happens when. */
function call(rate: number, happens: (s: CallScript, ms: number) => void): CallScript {
  const s = new CallScript({ provider: 'jambonz', sampleRate: rate }).at(0).stream({
    placement: 'count',
    amendMs: 5000,
    marksTellPlayout: false,
    playout: 'clips',
  });
  const tick = rate / 50;
  for (let frame = 0; frame < 100; frame += 1) {
    happens(s.at(frame * 20), frame * 20);
    s.at(frame * 20 + 20).caller(numbered(frame * tick, tick));
  }
  return s.at(2000).stop('closed').end();
}

for (const [name, first, second] of [
  ['with ids', 'first', 'second'],
  ['without ids', null, null],
] as const) {
  void t.test(`the report of a clip that was cut short says nothing of its successor, ${name}`, (t) => {
    const s = call(8000, (s, ms) => {
      if (ms === 100)
        s.add(RecordKind.clip, { id: first, queued: true, sampleRate: 8000 }).bot(numbered(0, 8000));
      if (ms === 600) {
        s.add(RecordKind.clip, { id: second, queued: false, sampleRate: 8000 }).bot(numbered(8000, 4000));
        s.add(RecordKind.clipDone, { id: first, playedMs: 500 });
      }
      if (ms === 1100) s.add(RecordKind.clipDone, { id: second, playedMs: 500 });
    });
    const bot = renderScript(s).channels[1];
    t.strictSame(bot?.subarray(800, 4800), numbered(0, 4000));
    t.strictSame(bot?.subarray(4800, 8800), numbered(8000, 4000));
    t.strictSame(bot?.subarray(8800), new Int16Array(16_000 - 8800));
    t.end();
  });
}

void t.test('every clip has its own rate and is resampled by itself, to its end', (t) => {
  const said = numbered(100, 4000);
  const s = call(16_000, (s, ms) => {
    if (ms === 100) s.add(RecordKind.clip, { id: 'slow', queued: true, sampleRate: 8000 }).bot(said);
    if (ms === 200) s.add(RecordKind.clip, { id: 'same', queued: true, sampleRate: 16_000 }).bot(said);
  });
  const bot = renderScript(s).channels[1];
  const resampler = new Resampler(8000, 16_000);
  const slow = [...resampler.push(said), ...resampler.flush()];
  t.equal(slow.length, 8000);
  t.strictSame([...(bot?.subarray(1600, 9600) ?? [])], slow);
  t.strictSame(bot?.subarray(9600, 13_600), said);
  t.strictSame(bot?.subarray(13_600), new Int16Array(32_000 - 13_600));
  t.end();
});
