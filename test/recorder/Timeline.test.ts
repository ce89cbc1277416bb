import t from 'tap';
import { RecordKind, Track } from '../../src/tap/TapRecord.js';
import { CallScript, numbered } from './CallScript.js';
import { difference, renderScript } from './rendering.js';

/** A caller who talks in 20 ms frames from `from` to `to` (ms of the stream), each arriving as soon as it ended. */
function talk(script: CallScript, from: number, to: number, base = 0): CallScript {
  for (let ms = from; ms < to; ms += 20) script.at(base + ms + 20).caller(numbered(ms * 8, 160), ms);
  return script;
}

/** Runs events of a bot in between the frames of a caller who talks for `ms`. */
function during(ms: number, events: Record<number, (script: CallScript) => void>): CallScript {
  const script = new CallScript().at(0).stream();
  const due = Object.entries(events).map(([at, run]) => ({ at: Number(at), run }));
  for (let at = 0; at < ms; at += 20) {
    for (const event of due.filter((each) => each.at >= at && each.at < at + 20)) {
      event.run(script.at(event.at));
    }
    script.at(at + 20).caller(numbered(at * 8, 160), at);
  }
  return script
    .at(ms)
    .stop()
    .at(ms + 5000)
    .end();
}

void t.test('the caller is placed by timestamp, whatever the jitter', (t) => {
  const script = new CallScript().at(0).stream();
  // The frames of the second half all arrive at once, 400 ms late.
  for (let ms = 0; ms < 1000; ms += 20) {
    script.at(ms < 500 ? ms + 20 : Math.max(ms + 20, 900)).caller(numbered(ms * 8, 160), ms);
  }
  const { channels, gaps, length } = renderScript(script.at(1000).stop().end());
  t.equal(length, 8000);
  t.strictSame(channels[0], numbered(0, 8000));
  t.strictSame(gaps, []);
  t.end();
});

void t.test(
  'three seconds of missing frames are silence and a gap; the other channel notices nothing',
  (t) => {
    const script = new CallScript().at(0).stream();
    talk(script, 0, 1000);
    script.at(1010).bot(numbered(9000, 8 * 5000));
    talk(script, 4000, 6100);
    const { channels, gaps } = renderScript(script.at(6100).stop().end());
    t.strictSame(gaps, [{ channel: 0, startSample: 8000, samples: 24_000, cause: 'lost_by_provider' }]);
    t.strictSame(channels[0]?.subarray(8000, 32_000), new Int16Array(24_000));
    t.strictSame(channels[0]?.subarray(32_000, 48_000), numbered(32_000, 16_000));
    t.strictSame(channels[1]?.subarray(8080, 8080 + 40_000), numbered(9000, 40_000));
    t.end();
  },
);

void t.test('a stall of 1.2 s with continuous timestamps leaves no trace', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 1000);
  for (let ms = 1000; ms < 2200; ms += 20) script.at(2200).caller(numbered(ms * 8, 160), ms);
  talk(script, 2200, 4000);
  const { channels, gaps } = renderScript(script.at(4000).stop().end(), 3);
  t.strictSame(channels[0], numbered(0, 32_000));
  t.strictSame(gaps, []);
  t.end();
});

void t.test('ten seconds sent in one message are heard for ten seconds', (t) => {
  const script = during(12_000, { 1000: (s) => s.bot(numbered(0, 80_000)) });
  const { channels } = renderScript(script, 7);
  t.strictSame(channels[1]?.subarray(0, 8000), new Int16Array(8000));
  t.strictSame(channels[1]?.subarray(8000, 88_000), numbered(0, 80_000));
  t.strictSame(channels[1]?.subarray(88_000), new Int16Array(8000));
  t.end();
});

void t.test(
  '500 frames in 50 ms and a clear after 1.5 s: exactly 1.5 s were heard, and no flushed mark was',
  (t) => {
    const script = during(4000, {
      100: (s) => {
        for (let i = 0; i < 500; i++)
          s.at(100 + i / 10)
            .bot(numbered(i * 160, 160))
            .mark('same');
      },
      1600: (s) => s.clear(),
      1640: (s) => {
        for (let i = 0; i < 500 - 75; i++) s.echo('same');
      },
    });
    const { channels, timeline } = renderScript(script, 5);
    t.strictSame(channels[1]?.subarray(800, 12_800), numbered(0, 12_000));
    t.strictSame(channels[1]?.subarray(12_800), new Int16Array(32_000 - 12_800));
    const echoes = timeline.state.events.filter((event) => event.type === 'mark_echo');
    t.equal(echoes.length, 425);
    // The marks before the cut were not echoed here, so the first echoes are taken for theirs, in order; the 75th lies on it.
    t.equal(echoes.filter((event) => event['played'] === true).length, 74);
    t.end();
  },
);

void t.test('a clear on an empty queue changes nothing', (t) => {
  const script = during(3000, { 100: (s) => s.bot(numbered(0, 800)), 1000: (s) => s.clear() });
  const { channels } = renderScript(script);
  t.strictSame(channels[1]?.subarray(800, 1600), numbered(0, 800));
  t.end();
});

void t.test('audio after a clear starts at the cut, not behind what was flushed', (t) => {
  const script = during(3000, {
    100: (s) => s.bot(numbered(0, 16_000)),
    500: (s) => s.clear().bot(numbered(20_000, 1600)),
  });
  const { channels } = renderScript(script);
  t.strictSame(channels[1]?.subarray(800, 4000), numbered(0, 3200));
  t.strictSame(channels[1]?.subarray(4000, 5600), numbered(20_000, 1600));
  t.strictSame(channels[1]?.subarray(5600), new Int16Array(24_000 - 5600));
  t.end();
});

void t.test('a late echo of a flushed mark is not taken for a new mark of the same name', (t) => {
  const script = during(3000, {
    100: (s) => s.bot(numbered(0, 16_000)).mark('responsePart'),
    500: (s) => s.clear(),
    510: (s) => s.bot(numbered(0, 4000)).mark('responsePart'),
    540: (s) => s.echo('responsePart'),
    1010: (s) => s.echo('responsePart'),
  });
  const { timeline } = renderScript(script);
  const played = timeline.state.events.filter((event) => event.type === 'mark_echo').map((e) => e['played']);
  t.strictSame(played, [false, true]);
  t.strictSame(timeline.state.streams.get(1)?.playout?.errors, [0]);
  t.end();
});

void t.test('a call that ends with five seconds queued ends at the stop', (t) => {
  const script = during(2000, { 1000: (s) => s.bot(numbered(0, 48_000)) });
  const { channels, length } = renderScript(script);
  t.equal(length, 16_000);
  t.strictSame(channels[1]?.subarray(8000), numbered(0, 8000));
  t.end();
});

void t.test('two streams of one call are parted by their true distance on the wall clock', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 1000);
  script.at(1000).stop().at(1500).clock().at(1856).stream();
  talk(script, 0, 1000, 1856);
  const { channels, gaps, length } = renderScript(script.at(2856).stop().end(), 4);
  const seam = { startSample: 8000, samples: 6848, cause: 'between_streams' };
  t.strictSame(gaps, [
    { channel: 0, ...seam },
    { channel: 1, ...seam },
  ]);
  t.equal(length, 8000 + 6848 + 8000);
  t.strictSame(channels[0]?.subarray(14_848), numbered(0, 8000));
  t.end();
});

void t.test(
  'a stream that ends before the time that was already reached leaves no silence behind its end',
  (t) => {
    const script = new CallScript().at(0).stream();
    talk(script, 0, 1000);
    script.at(1010).clock().at(1000.25).stop().at(1500).stream();
    talk(script, 0, 1000, 1500);
    const { gaps } = renderScript(script.at(2500).stop().end());
    const seam = { startSample: 8002, samples: 3998, cause: 'between_streams' };
    t.strictSame(gaps, [
      { channel: 0, ...seam },
      { channel: 1, ...seam },
    ]);
    t.end();
  },
);

void t.test('before the first frame there is silence, not a gap', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 600, 1000);
  const { gaps, length } = renderScript(script.at(1000).stop().end());
  t.equal(length, 8000);
  t.strictSame(gaps, []);
  t.end();
});

void t.test('repeated and backward timestamps never overwrite what was recorded', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 500);
  script.at(520).caller(numbered(20_000, 160), 480).caller(numbered(21_000, 160), 100);
  talk(script, 500, 1000);
  const { channels, gaps, timeline } = renderScript(script.at(1000).stop().end());
  t.strictSame(channels[0], numbered(0, 8000));
  t.strictSame(gaps, []);
  t.ok(timeline.state.events.some((event) => event.type === 'timestamp_backwards'));
  t.end();
});

void t.test('a provider whose clock begins anew goes on where the recording stands', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 1000);
  for (let ms = 0; ms < 1000; ms += 20) script.at(1020 + ms).caller(numbered(8000 + ms * 8, 160), ms);
  const { channels, timeline } = renderScript(script.at(2000).stop().end());
  t.ok(timeline.state.events.some((event) => event.type === 'clock_restarted'));
  t.strictSame(channels[0]?.subarray(8000 + 640, 16_000), numbered(8640, 7360));
  t.end();
});

void t.test('a timestamp a day ahead is not believed, and its audio is kept', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 1000);
  script.at(1020).caller(numbered(8000, 160), 86_400_000);
  talk(script, 1020, 2000);
  const { channels, length, timeline } = renderScript(script.at(2000).stop().end());
  t.equal(length, 16_000);
  t.strictSame(channels[0], numbered(0, 16_000));
  t.ok(timeline.state.events.some((event) => event.type === 'timestamp_absurd'));
  t.end();
});

void t.test('one-way streams place both parties by timestamp', (t) => {
  const script = new CallScript()
    .at(0)
    .stream({ role: 'oneway', playout: 'none', tracks: ['caller', 'bot'] });
  for (let ms = 0; ms < 2000; ms += 20) {
    script.at(ms + 20).caller(numbered(ms * 8, 160), ms);
    if (ms !== 400) script.caller(numbered(ms * 8 + 7, 160), ms, Track.botHeard);
  }
  const { channels, gaps } = renderScript(script.at(2000).stop().end(), 6);
  t.strictSame(channels[0], numbered(0, 16_000));
  t.strictSame(channels[1]?.subarray(3360), numbered(3367, 16_000 - 3360));
  t.strictSame(gaps, [{ channel: 1, startSample: 3200, samples: 160, cause: 'lost_by_provider' }]);
  t.end();
});

void t.test('a tap is what gets recorded while it is there, and the model when it is gone', (t) => {
  const script = new CallScript().at(0).stream({ role: 'tap', playout: 'none', tracks: ['caller', 'bot'] });
  script.at(0).stream();
  for (let ms = 0; ms < 3000; ms += 20) {
    if (ms < 1000) {
      script
        .on(1)
        .at(ms + 20)
        .caller(numbered(ms * 8, 160), ms);
      script.caller(numbered(ms * 8 + 5, 160), ms, Track.botHeard);
    }
    if (ms === 1000) script.on(1).at(1000).stop();
    if (ms === 100)
      script
        .on(2)
        .at(100)
        .bot(numbered(12_000, 24_000 - 800));
    script
      .on(2)
      .at(ms + 20)
      .caller(numbered(ms * 8 + 10_000, 160), ms);
  }
  const { channels, gaps } = renderScript(script.on(2).at(3000).stop().end());
  t.strictSame(channels[0]?.subarray(0, 8000), numbered(0, 8000));
  t.strictSame(channels[1]?.subarray(0, 8000), numbered(5, 8000));
  t.strictSame(channels[0]?.subarray(8000), numbered(18_000, 16_000));
  t.strictSame(channels[1]?.subarray(8000), numbered(12_000 + 7200, 16_000));
  t.strictSame(gaps, []);
  t.end();
});

void t.test('a full ring becomes a named gap and makes the recording lossy', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 1000);
  script.at(2000).add(RecordKind.dropped, { records: 50, sinceMs: 1_001_000 });
  talk(script, 2000, 3000);
  const { gaps, timeline } = renderScript(script.at(3000).stop().end(), 9);
  const gap = { startSample: 8000, samples: 8000, cause: 'dropped_by_reelay' };
  t.strictSame(gaps, [
    { channel: 0, ...gap },
    { channel: 1, ...gap },
  ]);
  t.equal(timeline.state.lossy, true);
  t.end();
});

void t.test('a stream that is lost ends with the last thing the provider said', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 1000);
  for (let ms = 1000; ms < 9000; ms += 200) script.at(ms).bot(numbered(0, 1600));
  const { length } = renderScript(script.at(9000).stop('lost').end(false), 2);
  t.equal(length, 8000);
  t.end();
});

void t.test('a provider that plays later than modelled moves what has not been heard yet', (t) => {
  const script = during(6000, {
    100: (s) => {
      for (let i = 0; i < 100; i++) s.bot(numbered(i * 400, 400)).mark(`m${i}`);
    },
    // Each mark lies 50 ms behind the one before; every echo is 100 ms late.
    ...Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => [250 + i * 50, (s: CallScript) => s.echo(`m${i}`)]),
    ),
  });
  const { timeline } = renderScript(script);
  const playout = timeline.state.streams.get(1)?.playout;
  t.ok(Math.abs((playout?.delay ?? 0) - 50 * 8) <= 8, 'half of the round trip is taken for the way there');
  const late = playout?.errors.slice(-20) ?? [];
  t.ok(
    late.every((ms) => Math.abs(ms - 50) < 2),
    'what remains is the way back',
  );
  t.end();
});

void t.test('while a call waits for a stream that never comes, nothing behind its end becomes final', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 2000);
  script.at(2000).stop();
  for (let ms = 3000; ms <= 60_000; ms += 1000) script.at(ms).clock();
  const { length, gaps } = renderScript(script.end(), 1);
  t.equal(length, 16_000);
  t.strictSame(gaps, []);
  t.end();
});

void t.test(
  'a caller whose first frame comes after the longest wait: the same, whenever it is taken',
  (t) => {
    const script = new CallScript().at(0).stream();
    for (let ms = 1000; ms < 40_000; ms += 1000) script.at(ms).clock();
    talk(script, 40_000, 42_000);
    script.at(42_000).stop().end();
    const once = renderScript(script);
    const often = renderScript(script, 1);
    t.strictSame(once.gaps, often.gaps);
    t.equal(once.length, 42_000 * 8);
    t.end();
  },
);

void t.test('frames that come late fill the hole they left', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 1000);
  talk(script, 1400, 1800);
  for (let ms = 1000; ms < 1400; ms += 20) script.at(1810).caller(numbered(ms * 8, 160), ms);
  talk(script, 1800, 4000);
  const { channels, gaps } = renderScript(script.at(4000).stop().end(), 3);
  t.equal(difference(channels[0], numbered(0, 32_000)), -1);
  t.strictSame(gaps, []);
  t.end();
});

void t.test(
  'what was dropped at the start of a stream is a gap, not the silence before a first frame',
  (t) => {
    const script = new CallScript().at(0).stream();
    script.at(1000).add(RecordKind.dropped, { records: 50, sinceMs: 1_000_020 });
    talk(script, 1000, 2000);
    const { gaps } = renderScript(script.at(2000).stop().end(), 4);
    const gap = { startSample: 0, samples: 8000, cause: 'dropped_by_reelay' };
    t.strictSame(gaps, [
      { channel: 0, ...gap },
      { channel: 1, ...gap },
    ]);
    t.end();
  },
);

void t.test('the first stream decides how many channels there are', (t) => {
  const script = new CallScript().at(0).stream();
  talk(script, 0, 1000);
  script
    .at(1000)
    .stop()
    .at(1200)
    .stream({ tracks: ['mixed'], placement: 'count', playout: 'none' });
  for (let ms = 0; ms < 1000; ms += 20) script.at(1220 + ms).caller(numbered(ms * 8, 160), NaN, Track.mixed);
  const { channels } = renderScript(script.at(2200).stop().end(), 5);
  t.equal(channels.length, 2);
  t.equal(difference(channels[0]?.subarray(9600), numbered(0, 8000)), -1);
  t.end();
});

void t.test('marks in their thousands leave room for the events that are rare', (t) => {
  const script = new CallScript().at(0).stream();
  for (let i = 0; i < 6000; i++) script.at(i).mark('m').echo('m');
  script.at(6000).add(RecordKind.dtmf, { digit: '5', durationMs: null });
  const { timeline } = renderScript(script.at(6000).stop().end());
  t.ok(timeline.state.events.some((event) => event.type === 'dtmf'));
  t.ok(timeline.state.events.some((event) => event.type === 'stream_ended'));
  t.ok(timeline.state.eventsOmitted > 0);
  t.end();
});
