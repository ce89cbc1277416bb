import fc from 'fast-check';
import t from 'tap';
import { Waveform } from '../../src/audio/Waveform.js';

function noise(samples: number, seed: number): Int16Array {
  let state = seed;
  return Int16Array.from({ length: samples }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  });
}

/** The outline as its definition says it. */
function outlineOf(pcm: Int16Array, perBin: number): number[] {
  const pairs: number[] = [];
  for (let at = 0; at < pcm.length; at += perBin) {
    const bin = pcm.subarray(at, at + perBin);
    pairs.push(Math.min(...bin), Math.max(...bin));
  }
  return pairs;
}

function pushAll(waveform: Waveform, channels: readonly Int16Array[], cuts: readonly number[]): void {
  const samples = channels[0]?.length ?? 0;
  for (let at = 0, turn = 0; at < samples; turn++) {
    const next = at + (cuts[turn % cuts.length] ?? samples);
    waveform.push(channels.map((channel) => channel.subarray(at, next)));
    at = next;
  }
}

await t.test('every level is what its definition says, however the audio came', (t) => {
  const cuts = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      fc.constantFrom(8000, 11_025, 16_000),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(30_000),
      cuts,
      (sampleRate, channels, samples, lengths) => {
        const audio = Array.from({ length: channels }, (_, channel) => noise(samples, channel + 1));
        const waveform = new Waveform({ sampleRate, channels });
        pushAll(waveform, audio, lengths);
        t.equal(waveform.samples, samples);
        const finest = Math.round(sampleRate / 50);
        const { levels } = waveform;
        t.same(
          levels.map(({ samplesPerBin }) => samplesPerBin),
          [1, 5, 25, 125, 625].map((factor) => finest * factor),
        );
        for (const { samplesPerBin, peaks } of levels)
          t.same(
            peaks.map((pairs) => [...pairs]),
            audio.map((channel) => outlineOf(channel, samplesPerBin)),
          );
      },
    ),
    { numRuns: 60 },
  );
  t.end();
});

await t.test('a copy goes on by itself', (t) => {
  const [first, second, other] = [noise(8123, 1), noise(4001, 2), noise(977, 3)];
  const waveform = new Waveform({ sampleRate: 8000, channels: 1 });
  waveform.push([first]);
  const copy = waveform.copy();
  copy.push([other]);
  waveform.push([second]);
  const whole = (...parts: Int16Array[]) =>
    outlineOf(Int16Array.from(parts.flatMap((part) => [...part])), 160);
  t.same([...(waveform.levels[0]?.peaks[0] ?? [])], whole(first, second));
  t.same([...(copy.levels[0]?.peaks[0] ?? [])], whole(first, other));
  t.end();
});

await t.test('what was given out stays as it is when more comes', (t) => {
  const waveform = new Waveform({ sampleRate: 8000, channels: 2 });
  waveform.push([noise(200, 1), noise(200, 2)]);
  const { levels } = waveform;
  const before = JSON.stringify(levels);
  waveform.push([noise(200, 3), noise(200, 4)]);
  t.equal(JSON.stringify(levels), before);
  t.end();
});

await t.test('nothing has no bins, and an hour takes little', (t) => {
  const waveform = new Waveform({ sampleRate: 8000, channels: 2 });
  t.same(
    waveform.levels.map(({ peaks }) => peaks.map(({ length }) => length)),
    [1, 2, 3, 4, 5].map(() => [0, 0]),
  );
  const minute = noise(480_000, 5);
  for (let at = 0; at < 60; at++) waveform.push([minute, minute]);
  t.equal(waveform.samples, 28_800_000);
  t.equal(waveform.levels.at(-1)?.peaks[0]?.length, 2 * 288);
  t.ok(waveform.bytes < 3_200_000, `${waveform.bytes} bytes`);
  t.end();
});
