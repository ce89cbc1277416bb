import t from 'tap';
import { progressEveryMs } from '../../src/recorder/Recorder.js';

void t.test('the more calls there are, the rarer growing chunks are written, within bounds', (t) => {
  t.strictSame([0, 1, 50].map(progressEveryMs), [500, 500, 500]);
  t.strictSame([100, 150].map(progressEveryMs), [1000, 1500]);
  t.strictSame([200, 10_000].map(progressEveryMs), [2000, 2000]);
  t.end();
});
