import t from 'tap';
import { WebSocket } from 'ws';
import { Bot } from '../../src/simulators/Bot.js';
import { JambonzCaller } from '../../src/simulators/JambonzCaller.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';

t.jobs = 6;

const speech = (rate: number): Int16Array => new Int16Array(rate / 5).fill(4000);

void t.test('the dialect is told from the path, the sub-protocol, or the option', async (t) => {
  const bot = new Bot();
  const fixed = new Bot({ provider: 'twilio' });
  t.teardown(() => Promise.all([bot.close(), fixed.close()]));
  const { url } = await bot.listen(0);
  const other = await fixed.listen(0);
  await new TwilioCaller({ url: `${url}/anything`, seconds: 0.04 }).call();
  await new JambonzCaller({ url: `${url}/anything`, seconds: 0.04 }).call();
  const plain = new WebSocket(`${url}/jambonz/acme`);
  await new Promise((resolve) => plain.once('open', resolve));
  plain.terminate();
  await new JambonzCaller({ url: other.url, seconds: 0.04 }).call();
  t.same(
    bot.calls.map(({ provider }) => provider),
    ['twilio', 'jambonz', 'jambonz'],
  );
  t.same(
    fixed.calls.map(({ provider }) => provider),
    ['twilio'],
  );
});

void t.test('it says its speech again after each pause, once the last one was played', async (t) => {
  const bot = new Bot({ say: speech, pauseMs: 50 });
  t.teardown(() => bot.close());
  const { url } = await bot.listen(0);
  const { streams } = await new TwilioCaller({ url, seconds: 1 }).call();
  const marks = streams[0]?.echoes ?? [];
  t.ok(marks.length >= 2, `${marks.length} utterances`);
  const gaps = marks.slice(1).map(({ dueMs }, index) => dueMs - (marks[index]?.dueMs ?? 0));
  t.ok(
    gaps.every((gap) => gap >= 250),
    gaps.join(),
  );
});

void t.test('clips are said again once playDone came', async (t) => {
  const bot = new Bot({ say: speech, pauseMs: 50, returns: 'playAudio' });
  t.teardown(() => bot.close());
  const { url } = await bot.listen(0);
  const { streams, violations } = await new JambonzCaller({ url, seconds: 1, returns: 'playAudio' }).call();
  t.ok((streams[0]?.heard.length ?? 0) >= 2);
  t.same(violations, []);
});

void t.test('it speaks at the rate of the stream, or the one it is told', async (t) => {
  const rates: number[] = [];
  const say = (rate: number): Int16Array => {
    rates.push(rate);
    return speech(rate);
  };
  const own = new Bot({ say });
  const told = new Bot({ say, returnSampleRate: 24_000 });
  t.teardown(() => Promise.all([own.close(), told.close()]));
  const at = { seconds: 0.1, sampleRate: 16_000 };
  await new JambonzCaller({ url: (await own.listen(0)).url, ...at }).call();
  await new JambonzCaller({ url: (await told.listen(0)).url, ...at, returnSampleRate: 24_000 }).call();
  t.same(rates, [16_000, 24_000]);
});

void t.test('it knows when the last frame reached it', async (t) => {
  const bot = new Bot();
  t.teardown(() => bot.close());
  const { url } = await bot.listen(0);
  const { streams } = await new TwilioCaller({ url, seconds: 0.2 }).call();
  const [stream] = streams;
  const call = await bot.call(0);
  const sent = stream?.frames.at(-1);
  t.equal(call.lastFrame?.timestampMs, sent?.timestampMs);
  t.ok((call.lastFrame?.atMs ?? 0) >= (stream?.startMs ?? Infinity) + (sent?.sentMs ?? Infinity));
});

void t.test('a plain HTTP request is told to upgrade', async (t) => {
  const bot = new Bot();
  t.teardown(() => bot.close());
  const { port } = await bot.listen(0);
  t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 426);
});
