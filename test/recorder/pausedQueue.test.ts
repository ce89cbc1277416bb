import t from 'tap';
import { Timeline } from '../../src/recorder/timeline/Timeline.js';
import { RecordKind, Track, type PauseMode, type StreamFacts } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { difference, renderScript } from './rendering.js';

/* What the bot has in the provider's queue when somebody pauses the recording, and what it says meanwhile. */

interface Pause {
  readonly fromMs: number;
  readonly toMs: number;
  readonly mode: PauseMode;
}

const frameMs = 20;
const perMs = 8;
const samples = frameMs * perMs;

/** A caller who talks all the time, and what else happens, by the time at which it does; all times are whole frames. */
function callWith(
  { fromMs, toMs, mode }: Pause,
  totalMs: number,
  happens: Readonly<Record<number, (script: CallScript) => void>>,
  facts: Partial<StreamFacts> = {},
): CallScript {
  const script = new CallScript().at(0).stream(facts);
  for (let ms = 0; ms < totalMs; ms += frameMs) {
    script.at(ms);
    if (ms === fromMs) script.add(RecordKind.pause, { paused: true, mode });
    if (ms === toMs) script.add(RecordKind.pause, { paused: false });
    happens[ms]?.(script);
    script.at(ms + frameMs);
    const providerMs = facts.placement === 'count' ? NaN : ms;
    if (ms >= fromMs && ms < toMs) script.muted(samples, providerMs);
    else script.caller(numbered(ms * perMs, samples), providerMs);
  }
  return script.at(totalMs).stop().end();
}

/** The bot's channel of a call: what it said at a time, but for the pause. */
function botOf({ fromMs, toMs, mode }: Pause, totalMs: number, said: Int16Array, atMs: number): Int16Array {
  const bot = new Int16Array(totalMs * perMs);
  bot.set(said, atMs * perMs);
  bot.fill(0, fromMs * perMs, toMs * perMs);
  if (mode === 'silence') return bot;
  return Int16Array.from([...bot.subarray(0, fromMs * perMs), ...bot.subarray(toMs * perMs)]);
}

/** The gaps of a call that lacks nothing but its pause. */
function gapsOf({ fromMs, toMs, mode }: Pause): object[] {
  if (mode === 'skip') return [];
  const gap = { startSample: fromMs * perMs, samples: (toMs - fromMs) * perMs, cause: 'paused' };
  return [
    { channel: 0, ...gap },
    { channel: 1, ...gap },
  ];
}

for (const mode of ['silence', 'skip'] as const) {
  void t.test(`what the bot said before a pause and is heard behind it is recorded: ${mode}`, (t) => {
    const pause: Pause = { fromMs: 2000, toMs: 4000, mode };
    const said = numbered(0, 6000 * perMs);
    const script = callWith(pause, 8000, { 1000: (s) => s.bot(said) });
    for (const [pull, restore] of [
      [0, 0],
      [1, 13],
      [7, 40],
    ] as const) {
      const { channels, gaps } = renderScript(script, pull, restore);
      t.equal(difference(channels[1], botOf(pause, 8000, said, 1000)), -1, `taken every ${pull}`);
      t.strictSame(gaps, gapsOf(pause));
    }
    t.end();
  });

  void t.test(`a clear in the pause takes back what would have been heard behind it: ${mode}`, (t) => {
    const pause: Pause = { fromMs: 2000, toMs: 4000, mode };
    const script = callWith(pause, 8000, {
      1000: (s) => s.bot(numbered(0, 6000 * perMs)),
      3000: (s) => s.clear(),
    });
    const { channels, gaps } = renderScript(script, 7, 40);
    t.equal(difference(channels[1], botOf(pause, 8000, numbered(0, 1000 * perMs), 1000)), -1);
    t.strictSame(gaps, gapsOf(pause));
    t.end();
  });

  void t.test(`a clip that turns out to have been late is not moved into the pause: ${mode}`, (t) => {
    const clips: Partial<StreamFacts> = {
      placement: 'count',
      amendMs: 5000,
      marksTellPlayout: false,
      playout: 'clips',
    };
    const play =
      (said: Int16Array) =>
      (s: CallScript): void =>
        void s.add(RecordKind.clip, { id: 'a', queued: true, sampleRate: 8000 }).bot(said);
    const done =
      (playedMs: number) =>
      (s: CallScript): void =>
        void s.add(RecordKind.clipDone, { id: 'a', playedMs });
    const within: Pause = { fromMs: 1000, toMs: 3000, mode };
    const twoSeconds = numbered(0, 2000 * perMs);
    const told = renderScript(
      callWith(within, 4000, { 100: play(twoSeconds), 2600: done(2000) }, clips),
      3,
      29,
    );
    // It sounded from 600 ms on.
    t.equal(difference(told.channels[1], botOf(within, 4000, twoSeconds, 600)), -1, 'told of in it');
    t.strictSame(told.gaps, gapsOf(within));
    const before: Pause = { fromMs: 1000, toMs: 2000, mode };
    const long = numbered(0, 3000 * perMs);
    const later = renderScript(callWith(before, 4000, { 100: play(long), 3600: done(3000) }, clips), 3, 29);
    // What the pause cut out of it can't be found any more.
    t.equal(difference(later.channels[1], botOf(before, 4000, long, 100)), -1, 'told of behind it');
    t.strictSame(later.gaps, gapsOf(before));
    t.end();
  });
}

void t.test('what was said in the pause and cleared behind it is no gap', (t) => {
  const pause: Pause = { fromMs: 2000, toMs: 4000, mode: 'silence' };
  const script = callWith(pause, 9000, {
    1000: (s) => s.bot(numbered(0, 6000 * perMs)),
    // It would be heard from 7000 to 8000.
    3000: (s) => s.muted(1000 * perMs, NaN, Track.botSent),
    5000: (s) => s.clear(),
  });
  const { channels, gaps } = renderScript(script, 7, 40);
  t.equal(difference(channels[1], botOf(pause, 9000, numbered(0, 4000 * perMs), 1000)), -1);
  t.strictSame(gaps, gapsOf(pause));
  t.end();
});

void t.test('what the pre-buffer held back from the pause is a gap when it is heard', (t) => {
  const pause: Pause = { fromMs: 1000, toMs: 2000, mode: 'silence' };
  const said = numbered(0, 1280);
  const script = callWith(
    pause,
    5000,
    { 1500: (s) => s.muted(320, NaN, Track.botSent), 3000: (s) => s.bot(said) },
    { placement: 'count', amendMs: 5000, marksTellPlayout: false, playout: 'prebuffered' },
  );
  const { channels, gaps } = renderScript(script, 4, 37);
  t.equal(difference(channels[1], botOf(pause, 5000, said, 3040)), -1);
  t.strictSame(gaps, [
    ...gapsOf(pause),
    { channel: 1, startSample: 3000 * perMs, samples: 320, cause: 'paused' },
  ]);
  t.end();
});

void t.test('a pause that is left out takes no room, however long it is and whatever the bot says', (t) => {
  const pause: Pause = { fromMs: 1000, toMs: 61_000, mode: 'skip' };
  const music: Record<number, (script: CallScript) => void> = {};
  for (let ms = pause.fromMs; ms < pause.toMs; ms += frameMs)
    music[ms] = (s) => s.muted(samples, NaN, Track.botSent);
  const { records, facts } = callWith(pause, 62_000, music);
  const timeline = new Timeline({ facts });
  let most = 0;
  for (const record of records) {
    timeline.apply(record);
    timeline.trim(timeline.final);
    for (const lane of Object.values(timeline.state.lanes)) most = Math.max(most, lane.samples.length);
  }
  t.ok(most < 10_000 * perMs, `${most} samples`);
  t.equal(timeline.finish(), 2000 * perMs);
  t.end();
});
