import t from 'tap';
import { dtmfCode, dtmfTone } from '../../src/bridge/dtmfTone.js';

/** Power at one frequency, by Goertzel's algorithm. */
function powerAt(hz: number, samples: Int16Array, rate: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * hz) / rate);
  let [before, last] = [0, 0];
  for (const sample of samples) [before, last] = [last, sample + coefficient * last - before];
  return (last * last + before * before - coefficient * last * before) / samples.length ** 2;
}

const rows = [697, 770, 852, 941];
const columns = [1209, 1336, 1477, 1633];
const keys = ['123A', '456B', '789C', '*0#D'];

await t.test('every key has its two tones, at every rate', (t) => {
  for (const rate of [8000, 16_000, 48_000])
    for (const [row, keysOfRow] of keys.entries())
      for (const [column, digit] of Array.from(keysOfRow).entries()) {
        const samples = dtmfTone(digit, rate);
        t.equal(samples.length, (160 * rate) / 1000);
        const sounding = samples.subarray(0, rate / 10);
        const loudest = (all: readonly number[]): number =>
          all.indexOf(
            all.reduce((most, hz) =>
              powerAt(hz, sounding, rate) > powerAt(most, sounding, rate) ? hz : most,
            ),
          );
        t.equal(loudest(rows), row, `row of ${digit} at ${rate} Hz`);
        t.equal(loudest(columns), column, `column of ${digit} at ${rate} Hz`);
        t.ok(
          samples.subarray(rate / 10).every((sample) => sample === 0),
          'and is silent behind them',
        );
      }
  t.end();
});

await t.test('what is no key has no tone and no code', (t) => {
  for (const wrong of ['', 'E', '12', 'a', ' ']) {
    t.equal(dtmfTone(wrong, 8000).length, 0, `tone of "${wrong}"`);
    t.equal(dtmfCode(wrong), -1, `code of "${wrong}"`);
  }
  t.strictSame(
    Array.from('0123456789*#ABCD').map(dtmfCode),
    Array.from({ length: 16 }, (_none, i) => i),
  );
  t.end();
});
