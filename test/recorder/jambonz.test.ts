import t from 'tap';
import { RecordKind, Track, type StreamFacts } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { difference, renderScript } from './rendering.js';
import { Timeline } from '../../src/recorder/timeline/Timeline.js';

const facts: Partial<StreamFacts> = {
  placement: 'count',
  amendMs: 5000,
  marksTellPlayout: false,
  overrunFingerprint: true,
  playout: 'prebuffered',
};

function script(more: Partial<StreamFacts> = {}, rate = 8000): CallScript {
  return new CallScript({ provider: 'jambonz', sampleRate: rate }).at(0).stream({ ...facts, ...more });
}

/** One tick per message. */
function ticks(s: CallScript, from: number, to: number, lateMs = 0): CallScript {
  for (let ms = from; ms < to; ms += 20) s.at(ms + 20 + lateMs).caller(numbered(ms * 8, 160));
  return s;
}

void t.test('position is the number of samples received', (t) => {
  const { channels, gaps, length } = renderScript(ticks(script(), 0, 2000).at(2000).stop('closed').end(), 3);
  t.equal(length, 16_000);
  t.strictSame(channels[0], numbered(0, 16_000));
  t.strictSame(gaps, []);
  t.end();
});

void t.test('two seconds in one message are late, not lost', (t) => {
  const s = ticks(script(), 0, 1000);
  s.at(3000).caller(numbered(8000, 16_000));
  const { channels, gaps } = renderScript(ticks(s, 3000, 6000).at(6000).stop('closed').end(), 2);
  t.strictSame(channels[0], numbered(0, 48_000));
  t.strictSame(gaps, []);
  t.end();
});

void t.test('ticks that come in a burst after a stall are late, not lost', (t) => {
  const s = ticks(script(), 0, 1000);
  for (let ms = 1000; ms < 3000; ms += 20) s.at(3000 + ms / 1000).caller(numbered(ms * 8, 160));
  const { channels, gaps } = renderScript(ticks(s, 3000, 6000).at(6000).stop('closed').end(), 2);
  t.strictSame(channels[0], numbered(0, 48_000));
  t.strictSame(gaps, []);
  t.end();
});

void t.test('a pause after which audio comes at its usual pace was never sent', (t) => {
  const s = ticks(script(), 0, 1000);
  for (let ms = 4000; ms < 7000; ms += 20) s.at(ms + 20).caller(numbered(ms * 8, 160));
  const { channels, gaps } = renderScript(s.at(7000).stop('closed').end(), 5);
  t.strictSame(gaps, [{ channel: 0, startSample: 8000, samples: 24_000, cause: 'lost_by_provider' }]);
  t.strictSame(channels[0]?.subarray(32_000), numbered(32_000, 24_000));
  t.end();
});

void t.test('a message 16 bytes short of a tick tells of a client overrun', (t) => {
  const s = ticks(script(), 0, 1000);
  // 2.5 s pass; half a second of it arrives, less 8 samples of 2 bytes.
  s.at(3500).caller(numbered(24_008, 4000 - 8));
  const { channels, gaps } = renderScript(ticks(s, 3500, 6000).at(6000).stop('closed').end());
  t.strictSame(gaps, [{ channel: 0, startSample: 8000, samples: 16_008, cause: 'client_overrun' }]);
  t.strictSame(channels[0]?.subarray(24_008), numbered(24_008, 48_000 - 24_008));
  t.end();
});

void t.test('stereo with playAudio is recorded as it comes', (t) => {
  const s = script({ tracks: ['both'], playout: 'heard' });
  for (let ms = 0; ms < 1000; ms += 20) {
    const left = numbered(ms * 8, 160);
    const stereo = Int16Array.from({ length: 320 }, (_, i) => (left[i >> 1] ?? 0) * (i % 2 === 0 ? 1 : -1));
    s.at(ms + 20).caller(stereo, NaN, Track.both);
  }
  const { channels, gaps } = renderScript(s.at(1000).stop('closed').end(), 4);
  t.strictSame(channels[0], numbered(0, 8000));
  t.strictSame(
    channels[1],
    numbered(0, 8000).map((sample) => -sample),
  );
  t.strictSame(gaps, []);
  t.end();
});

void t.test('stereo with streaming adds what was sent to what else was played', (t) => {
  const s = script({ tracks: ['both'] });
  for (let ms = 0; ms < 1000; ms += 20) {
    if (ms === 200) s.at(200).bot(new Int16Array(1600).fill(1000));
    s.at(ms + 20).caller(new Int16Array(320).fill(50), NaN, Track.both);
  }
  const { channels } = renderScript(s.at(1000).stop('closed').end());
  t.strictSame(channels[1]?.subarray(1600, 3200), new Int16Array(1600).fill(1050));
  t.strictSame(channels[1]?.subarray(3200), new Int16Array(4800).fill(50));
  t.end();
});

void t.test('a mixed stream is one channel', (t) => {
  const s = script({ tracks: ['mixed'], playout: 'heard' });
  for (let ms = 0; ms < 1000; ms += 20) s.at(ms + 20).caller(numbered(ms * 8, 160), NaN, Track.mixed);
  const { channels } = renderScript(s.at(1000).stop('closed').end());
  t.equal(channels.length, 1);
  t.strictSame(channels[0], numbered(0, 8000));
  t.end();
});

void t.test(
  'the pre-buffer holds back: 160 ms at first, 80 ms later, and a short tail is never heard',
  (t) => {
    const s = script();
    const sends: Record<number, number> = { 100: 640, 200: 640, 1000: 480, 1500: 160, 3000: 320 };
    let sent = 0;
    for (let ms = 0; ms < 4000; ms += 20) {
      const samples = sends[ms];
      if (samples !== undefined) s.at(ms).bot(numbered(sent, samples));
      sent += samples ?? 0;
      s.at(ms + 20).caller(numbered(ms * 8, 160));
    }
    const { channels } = renderScript(s.at(4000).stop('closed').end(), 5);
    const bot = channels[1] ?? new Int16Array(0);
    t.strictSame(bot.subarray(0, 1600), new Int16Array(1600), 'the first 80 ms wait');
    t.strictSame(bot.subarray(1600, 2880), numbered(0, 1280), '160 ms start when they are complete');
    t.strictSame(bot.subarray(2880, 12_000), new Int16Array(12_000 - 2880), '60 ms wait');
    t.strictSame(bot.subarray(12_000, 12_640), numbered(1280, 640), 'for 20 ms more');
    t.strictSame(bot.subarray(12_640), new Int16Array(32_000 - 12_640), 'the last 40 ms stay unheard');
    t.end();
  },
);

void t.test('killAudio cuts at the next tick', (t) => {
  const s = script();
  for (let ms = 0; ms < 2000; ms += 20) {
    if (ms === 100) s.at(100).bot(numbered(0, 8000));
    if (ms === 500) s.at(500).clear();
    s.at(ms + 20).caller(numbered(ms * 8, 160));
  }
  const { channels } = renderScript(s.at(2000).stop('closed').end());
  t.strictSame(channels[1]?.subarray(800, 4160), numbered(0, 3360));
  t.strictSame(channels[1]?.subarray(4160), new Int16Array(16_000 - 4160));
  t.end();
});

void t.test('clips queue, replace each other, and end where playDone says', (t) => {
  const s = script({ playout: 'clips' });
  const clip = (id: string, queued: boolean, first: number): void => {
    s.add(RecordKind.clip, { id, queued, sampleRate: 8000 });
    s.bot(numbered(first, 4000));
  };
  for (let ms = 0; ms < 3000; ms += 20) {
    if (ms === 100) {
      s.at(100);
      clip('a', false, 0);
      clip('b', true, 5000);
    }
    if (ms === 900) {
      s.at(900);
      clip('c', false, 10_000);
    }
    if (ms === 1200) s.at(1200).add(RecordKind.clipDone, { id: 'c', playedMs: 300 });
    s.at(ms + 20).caller(numbered(ms * 8, 160));
  }
  const { channels } = renderScript(s.at(3000).stop('closed').end());
  const bot = channels[1];
  t.strictSame(bot?.subarray(800, 4800), numbered(0, 4000));
  t.strictSame(bot?.subarray(4800, 7200), numbered(5000, 2400), 'the second is cut by the third');
  t.strictSame(bot?.subarray(7200, 9600), numbered(10_000, 2400), 'the third was killed after 300 ms');
  t.strictSame(bot?.subarray(9600), new Int16Array(24_000 - 9600));
  t.end();
});

/** What the daemon's clock says once a second from `from` to `to`, ms. */
function clocks(s: CallScript, from: number, to: number): CallScript {
  for (let ms = from; ms < to; ms += 1000) s.at(ms).clock();
  return s;
}

for (const seconds of [12, 25, 29, 31, 45, 300]) {
  void t.test(`a pause of ${seconds} s is a gap of its length, and what follows is recorded`, (t) => {
    const s = ticks(script(), 0, 2000);
    const resumed = 2000 + seconds * 1000;
    ticks(clocks(s, 2500, resumed), resumed, resumed + 40_000);
    const { channels, gaps, length } = renderScript(
      s
        .at(resumed + 40_000)
        .stop('closed')
        .end(),
      5,
    );
    t.equal(length, (resumed + 40_000) * 8);
    const samples = seconds * 8000;
    t.strictSame(gaps, [{ channel: 0, startSample: 16_000, samples, cause: 'lost_by_provider' }]);
    t.equal(difference(channels[0]?.subarray(resumed * 8), numbered(resumed * 8, 320_000)), -1);
    t.end();
  });
}

void t.test('two pauses, one soon after the other, are two gaps', (t) => {
  const s = ticks(script(), 0, 2000);
  ticks(s, 5000, 5500);
  ticks(s, 9500, 14_000);
  const { channels, gaps } = renderScript(s.at(14_000).stop('closed').end(), 5);
  t.strictSame(gaps, [
    { channel: 0, startSample: 16_000, samples: 24_000, cause: 'lost_by_provider' },
    { channel: 0, startSample: 44_000, samples: 32_000, cause: 'lost_by_provider' },
  ]);
  t.equal(difference(channels[0]?.subarray(76_000), numbered(76_000, 36_000)), -1);
  t.end();
});

void t.test('a backlog that takes seconds to drain is late, not lost', (t) => {
  const s = ticks(script(), 0, 1000);
  // Eight seconds stall; then the backlog comes at three times real time.
  for (let ms = 1000; ms < 13_000; ms += 20) s.at(9000 + (ms - 980) / 3).caller(numbered(ms * 8, 160));
  const { channels, gaps } = renderScript(ticks(s, 13_000, 16_000).at(16_000).stop('closed').end(), 3);
  t.equal(difference(channels[0], numbered(0, 128_000)), -1);
  t.strictSame(gaps, []);
  t.end();
});

void t.test('a message that is short by chance, but not late, tells of nothing', (t) => {
  const s = ticks(script(), 0, 1000);
  s.at(1021).caller(numbered(8000, 152));
  for (let ms = 1019; ms < 2000; ms += 20) s.at(ms + 22).caller(numbered(ms * 8, 160));
  const { channels, gaps } = renderScript(s.at(2021).stop('closed').end());
  t.equal(difference(channels[0]?.subarray(0, 15_992), numbered(0, 15_992)), -1);
  t.ok(gaps.every((gap) => gap.cause !== 'client_overrun'));
  t.end();
});

void t.test('what reelay dropped is a gap of its length, however short', (t) => {
  const s = ticks(script(), 0, 1000);
  s.at(1100).add(RecordKind.dropped, { records: 5, sinceMs: 1_001_020 });
  const { channels, gaps } = renderScript(ticks(s, 1100, 3000).at(3000).stop('closed').end(), 7);
  t.equal(difference(channels[0]?.subarray(8800), numbered(8800, 24_000 - 8800)), -1);
  t.strictSame(
    gaps.filter((gap) => gap.channel === 0),
    [{ channel: 0, startSample: 8000, samples: 800, cause: 'dropped_by_reelay' }],
  );
  t.end();
});

void t.test('positions are whole samples at rates that are no multiple of 1000', (t) => {
  for (const rate of [8001, 11_025, 22_050, 24_000, 44_100]) {
    const s = script({}, rate);
    const tick = Math.round(rate / 50);
    for (let i = 0; i < 400; i++)
      s.at(((i + 1) * tick * 1000) / rate + (i % 7)).caller(numbered(i * tick, tick));
    const timeline = new Timeline({ facts: s.facts });
    for (const record of s.records) {
      timeline.apply(record);
      timeline.advance(record.arrivalMs + 500);
      t.ok(Number.isInteger(timeline.preview()) && Number.isInteger(timeline.final));
    }
    const { channels } = renderScript(s.at(9000).stop('closed').end());
    t.equal(difference(channels[0]?.subarray(0, 400 * tick), numbered(0, 400 * tick)), -1);
  }
  t.end();
});
