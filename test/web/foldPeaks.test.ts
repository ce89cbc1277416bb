import fc from 'fast-check';
import t from 'tap';
import { Waveform } from '../../src/audio/Waveform.js';
import { waveformData } from '../../src/control/rendition/waveformDocument.js';
import { foldPeaks, levelFor } from '../../src/web/foldPeaks.js';
import { readWaveformData } from '../../src/web/readWaveformData.js';
import { TimeWindow } from '../../src/web/TimeWindow.js';

void t.test('each pixel has the lowest and the highest of the bins that touch it', (t) => {
  const pairs = [-10, 10, -128, 5, -3, 127, 0, 0];
  const whole = new TimeWindow(4000);
  t.same(
    [...foldPeaks(pairs, 1000, whole, 4)].map((peak) => Math.round(peak * 128)),
    pairs,
  );
  t.same(
    [...foldPeaks(pairs, 1000, whole, 2)].map((peak) => Math.round(peak * 128)),
    [-128, 10, -3, 127],
  );
  const wide = foldPeaks(pairs, 1000, whole, 8);
  t.same(
    [...wide.subarray(4, 8)].map((peak) => Math.round(peak * 128)),
    [-128, 5, -128, 5],
  );
  t.end();
});

void t.test('what lies behind the end of the bins is silent', (t) => {
  const folded = foldPeaks([-128, 127], 1000, new TimeWindow(2000), 4);
  t.same(
    [...folded].map((peak) => peak !== 0),
    [true, true, true, true, false, false, false, false],
  );
  t.end();
});

void t.test('no peak is lost on the way to the screen, at any width', (t) => {
  const pair = fc.tuple(fc.integer({ min: -128, max: 0 }), fc.integer({ min: 0, max: 127 }));
  fc.assert(
    fc.property(
      fc.array(pair, { minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 500 }),
      (bins, width) => {
        const folded = foldPeaks(bins.flat(), 800, new TimeWindow(bins.length * 800), width);
        const lows = [...folded].filter((_, at) => at % 2 === 0).map((peak) => peak * 128);
        const highs = [...folded].filter((_, at) => at % 2 === 1).map((peak) => peak * 128);
        return (
          Math.round(Math.min(...lows)) === Math.min(...bins.map(([low]) => low)) &&
          Math.round(Math.max(...highs)) === Math.max(...bins.map(([, high]) => high))
        );
      },
    ),
  );
  t.end();
});

void t.test('the level is the coarsest that has a bin for each pixel, else the finest', (t) => {
  const levels = [160, 800, 4000].map((samplesPerBin) => ({ samplesPerBin, bins: 0, peaks: [] }));
  const at = (samples: number) => levelFor(levels, new TimeWindow(samples), 100)?.samplesPerBin;
  t.same([at(8000), at(80_000), at(400_000), at(9_000_000)], [160, 800, 4000, 4000]);
  t.equal(levelFor([], new TimeWindow(8000), 100), undefined);
  t.end();
});

void t.test('waveform.dat is read as it is written', (t) => {
  const waveform = new Waveform({ sampleRate: 8000, channels: 2 });
  const samples = Int16Array.from({ length: 16_000 }, (_, at) => (at % 2 === 0 ? at : -at));
  waveform.push([samples.subarray(0, 8000), samples.subarray(8000)]);
  const data = waveformData(waveform, 160);
  const level = readWaveformData(
    data.buffer.slice(data.byteOffset, data.byteOffset + data.length) as ArrayBuffer,
  );
  t.equal(level?.samplesPerBin, 160);
  t.equal(level?.bins, 50);
  t.same(
    level?.peaks.map((pairs) => Array.from(pairs)),
    waveform.levels[0]?.peaks.map((pairs) => Array.from(pairs, (peak) => peak >> 8)),
  );
  t.equal(readWaveformData(new ArrayBuffer(10)), undefined);
  t.equal(readWaveformData(new ArrayBuffer(40)), undefined);
  t.end();
});
