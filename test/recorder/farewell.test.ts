import t from 'tap';
import { CallScript, numbered } from './CallScript.js';
import { renderScript } from './rendering.js';

/** Two seconds of frames on time. */
function call(): CallScript {
  const s = new CallScript().at(0).stream();
  for (let ms = 0; ms < 2000; ms += 20) s.at(ms + 20).caller(numbered(ms * 8, 160), ms);
  return s;
}

void t.test('an end that comes late together with the last frames has nothing missing before it', (t) => {
  const s = call();
  for (let ms = 2000; ms < 2400; ms += 20) s.at(2900).caller(numbered(ms * 8, 160), ms);
  const { channels, gaps, length } = renderScript(s.at(2901).stop().end());
  t.strictSame(channels[0]?.subarray(0, 19_200), numbered(0, 19_200));
  t.strictSame(gaps, []);
  t.equal(length, 2901 * 8, 'the caller heard the bot until then');
  t.end();
});

void t.test('an end that comes long after the last frame names what is missing', (t) => {
  const { gaps, length } = renderScript(call().at(2900).stop().end());
  t.equal(length, 2900 * 8);
  t.strictSame(gaps, [{ channel: 0, startSample: 16_000, samples: 7200, cause: 'lost_by_provider' }]);
  t.end();
});
