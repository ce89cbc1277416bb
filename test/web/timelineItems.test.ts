import t from 'tap';
import type { Gap } from '../../src/spool/Manifest.js';
import { timelineItems } from '../../src/web/timelineItems.js';

const channels = [{ role: 'caller' }, { role: 'bot' }] as const;

function gap(channel: number, startSample: number, samples: number, more: Partial<Gap> = {}): Gap {
  return { channel, startSample, samples, cause: 'lost_by_provider', ...more };
}

void t.test('events and gaps are in the order of their time', (t) => {
  const items = timelineItems({
    sampleRate: 8000,
    channels,
    events: [
      { type: 'stream_started', sample: 0, streamId: 'MZ1' },
      { type: 'mark', sample: 24_000, name: 'greeting' },
      { type: 'dtmf', sample: 8000, digit: '5', durationMs: 120 },
      { type: 'something_new', sample: 30_000, reason: 'late' },
    ],
    gaps: [gap(0, 16_000, 160)],
  });
  t.same(
    items.map(({ kind, sample, label, detail }) => [kind, sample, label, detail]),
    [
      ['stream', 0, 'stream began', 'MZ1'],
      ['dtmf', 8000, 'key pressed', '5, 120 ms'],
      [
        'gap',
        16_000,
        'gap',
        'lost by the provider: its own clock shows frames that never came; 0.02 s of caller, silence instead',
      ],
      ['mark', 24_000, 'mark', 'greeting'],
      ['other', 30_000, 'something new', 'reason late'],
    ],
  );
  t.end();
});

void t.test('a gap that is the same on both channels is one, and another is not', (t) => {
  const paused = { cause: 'paused', skippedSamples: 16_000 } as const;
  const items = timelineItems({
    sampleRate: 8000,
    channels,
    events: [],
    gaps: [gap(0, 8000, 0, paused), gap(1, 8000, 0, paused), gap(0, 40_000, 160), gap(1, 40_000, 320)],
  });
  t.same(
    items.map(({ channels: on, samples }) => [on, samples]),
    [
      [[0, 1], 0],
      [[0], 160],
      [[1], 320],
    ],
  );
  t.match(items[0]?.detail, /paused; 2 s of caller and bot, left out/);
  t.end();
});
