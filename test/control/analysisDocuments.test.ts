import fc from 'fast-check';
import t from 'tap';
import { AudioAnalysis } from '../../src/audio/AudioAnalysis.js';
import { Waveform } from '../../src/audio/Waveform.js';
import { speechDocument } from '../../src/control/rendition/speechDocument.js';
import { waveformData, waveformDocument } from '../../src/control/rendition/waveformDocument.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { interleaved } from '../../src/audio/pcm.js';
import { joined, noiseOf, silenceOf, toneOf } from '../audio/fixtures/testSignal.js';
import { fabricateRecording } from '../fixtures/recording.js';

async function manifestOf(dir: string, change: Partial<Manifest> = {}): Promise<Manifest> {
  const { manifest } = await fabricateRecording(dir, { chunks: 1, samplesPerChunk: 48_000 });
  return { ...manifest, ...change };
}

function waveformOf(samples: number, channels = 2): Waveform {
  const waveform = new Waveform({ sampleRate: 8000, channels });
  waveform.push(Array.from({ length: channels }, (_, channel) => noiseOf(samples, -20, channel + 1)));
  return waveform;
}

await t.test('segments have samples and the wall clock, channel by channel', async (t) => {
  const caller = joined(silenceOf(8000), toneOf(8000, -20), silenceOf(32_000));
  const bot = joined(silenceOf(24_000), toneOf(16_000, -26), silenceOf(4000), toneOf(4000, -23));
  const analysis = new AudioAnalysis({ sampleRate: 8000, channels: 2 });
  analysis.push(interleaved([caller, bot]));
  const manifest = await manifestOf(t.testdir({}), {
    startTime: '2026-11-20T12:00:00.000Z',
    events: [
      { type: 'dtmf', sample: 12_000, digit: '5' },
      { type: 'mark', sample: 40_001, name: 'greeting' },
    ],
    gaps: [{ channel: 1, startSample: 20_000, samples: 160, cause: 'lost_by_provider' }],
  });
  const document = speechDocument(manifest, analysis.speech);
  t.match(document, {
    schema: 1,
    sampleRate: 8000,
    samples: 48_000,
    channels: [{ role: 'caller' }, { role: 'bot' }],
  });
  t.same(document.segments, [
    {
      channel: 0,
      role: 'caller',
      startSample: 7200,
      samples: 9600,
      startTime: '2026-11-20T12:00:00.900Z',
      endTime: '2026-11-20T12:00:02.100Z',
      startSeconds: 0.9,
      endSeconds: 2.1,
      levelDb: -20,
      isOpen: false,
    },
    {
      channel: 1,
      role: 'bot',
      startSample: 23_200,
      samples: 17_600,
      startTime: '2026-11-20T12:00:02.900Z',
      endTime: '2026-11-20T12:00:05.100Z',
      startSeconds: 2.9,
      endSeconds: 5.1,
      levelDb: -26,
      isOpen: false,
    },
    {
      channel: 1,
      role: 'bot',
      startSample: 43_200,
      samples: 4800,
      startTime: '2026-11-20T12:00:05.400Z',
      endTime: '2026-11-20T12:00:06.000Z',
      startSeconds: 5.4,
      endSeconds: 6,
      levelDb: -23,
      isOpen: false,
    },
  ]);
  t.same(document.events, [
    { type: 'dtmf', sample: 12_000, digit: '5', time: '2026-11-20T12:00:01.500Z', seconds: 1.5 },
    {
      type: 'mark',
      sample: 40_001,
      name: 'greeting',
      time: '2026-11-20T12:00:05.000Z',
      seconds: 40_001 / 8000,
    },
  ]);
  t.same(document.gaps, [
    {
      channel: 1,
      cause: 'lost_by_provider',
      startSample: 20_000,
      samples: 160,
      startTime: '2026-11-20T12:00:02.500Z',
      endTime: '2026-11-20T12:00:02.520Z',
      startSeconds: 2.5,
      endSeconds: 2.52,
    },
  ]);
  const growing = speechDocument({ ...manifest, state: 'recording' }, analysis.speech);
  t.same(
    growing.segments.map(({ isOpen }) => isOpen),
    [false, false, true],
    'only what still grows may be open',
  );
});

await t.test('a waveform is given in every resolution that is not too fine', async (t) => {
  const manifest = await manifestOf(t.testdir({}));
  const short = waveformDocument(manifest, waveformOf(8000));
  t.match(short, { schema: 1, bits: 8, sampleRate: 8000, samples: 8000, recordingId: manifest.recordingId });
  t.same(
    short.levels.map(({ samplesPerBin, bins }) => [samplesPerBin, bins]),
    [
      [160, 50],
      [800, 10],
      [4000, 2],
      [20_000, 1],
      [100_000, 1],
    ],
  );
  const long = waveformDocument(manifest, waveformOf(160 * 12_001, 1));
  t.equal(long.levels[0]?.bins, 2401, 'the finest has a bin too many');
  const most = waveformDocument(manifest, waveformOf(160 * 12_000, 1));
  t.equal(most.levels[0]?.bins, 12_000);
  t.ok(JSON.stringify(waveformDocument(manifest, waveformOf(160 * 12_000))).length < 400_000);
});

await t.test('peaks are those of the waveform, by 256', async (t) => {
  const manifest = await manifestOf(t.testdir({}));
  const waveform = waveformOf(3000);
  waveformDocument(manifest, waveform).levels.forEach(({ peaks }, at) =>
    t.same(
      peaks,
      waveform.levels[at]?.peaks.map((pairs) => [...pairs].map((peak) => Math.floor(peak / 256))),
    ),
  );
});

await t.test('the compact form is that of audiowaveform, version 2', (t) => {
  fc.assert(
    fc.property(
      fc.nat(5000),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 200_000 }),
      (samples, channels, least) => {
        const waveform = waveformOf(samples, channels);
        const level =
          waveform.levels.find(({ samplesPerBin }) => samplesPerBin >= least) ?? waveform.levels[4];
        const data = waveformData(waveform, least);
        const head = [0, 4, 8, 12, 16, 20].map((at) => data.readInt32LE(at));
        const bins = Math.ceil(samples / (level?.samplesPerBin ?? 1));
        t.same(head, [2, 1, 8000, level?.samplesPerBin, bins, channels]);
        t.equal(data.length, 24 + bins * channels * 2);
        for (let bin = 0; bin < bins; bin++)
          for (let channel = 0; channel < channels; channel++)
            for (const side of [0, 1])
              t.equal(
                data.readInt8(24 + (bin * channels + channel) * 2 + side),
                Math.floor((level?.peaks[channel]?.[2 * bin + side] ?? 0) / 256),
              );
      },
    ),
    { numRuns: 40 },
  );
  t.end();
});
