import { pino } from 'pino';
import t from 'tap';
import { Relay, account, config } from './fixtures/Relay.js';
import { connected, media, start, stop } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';
import { OverloadWatch } from '../../src/relay/OverloadWatch.js';
import { Counters, frameCounterNames } from '../../src/tap/Counters.js';
import { standStill } from '../fixtures/standStill.js';

/** More than what the scheduler of a machine that has other work adds by itself, mostly. */
const delayLimitMs = 120;

/** Keeps the media thread busy again and again, as more calls would than it can serve. */
function busy(ms: number): { end: () => void } {
  let timer: NodeJS.Immediate;
  const turn = (): void => {
    standStill(ms);
    timer = setImmediate(turn);
  };
  timer = setImmediate(turn);
  return { end: () => clearImmediate(timer) };
}

async function readiness(relay: Relay): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${relay.port}/readyz`);
  return { status: response.status, body: await response.json() };
}

await t.test(
  'a loop that is late refuses new calls with 503, and those that are up go on',
  { timeout: 60_000 },
  async (t) => {
    const relay = await Relay.start(t, {
      limits: { loopDelayMs: delayLimitMs },
      answer: () => Promise.resolve({ status: 200, headers: {}, body: '<Response/>' }),
    });
    const voice = (): Promise<Response> =>
      fetch(`http://127.0.0.1:${relay.port}/twilio/voice`, { method: 'POST', body: 'CallSid=CA1' });
    const up = await relay.twilio().open();
    up.send(connected, start(), media(0));
    const bot = await relay.bot.connection();
    await until(() => bot.received.length === 3, 'the first frame');
    t.match(await readiness(relay), { status: 200, body: { ready: true, status: 'ready' } });
    const load = busy(300);
    t.teardown(() => load.end());
    await until(() => relay.counters.get('overloadLevel') === 2, 'overload', 15_000);
    const refusal = await relay.twilio().refusal();
    t.equal(refusal.status, 503);
    t.match(JSON.parse(refusal.body), { code: 'overloaded' });
    t.equal(refusal.headers['retry-after'], '5');
    t.match(await readiness(relay), { status: 503, body: { ready: false, status: 'overloaded' } });
    const unanswered = await voice();
    t.equal(unanswered.status, 503);
    t.equal(unanswered.headers.get('retry-after'), '5');
    t.match(await unanswered.json(), { code: 'overloaded' });
    up.send(media(1), media(2));
    await until(() => bot.received.length === 5, 'the frames of the call that is up');
    bot.socket.send(media(0));
    await until(() => up.received.length === 1, 'the bot’s answer');
    load.end();
    await until(() => relay.counters.get('overloadLevel') === 0, 'the end of it', 25_000);
    t.match(await readiness(relay), { status: 200, body: { ready: true } });
    t.equal((await voice()).status, 200);
    const next = await relay.twilio().open();
    next.send(connected, start({ streamSid: 'MZnext' }));
    await until(() => relay.tap.calls.length === 2, 'the next call');
    t.equal(relay.tap.calls[1]?.facts.failed, undefined, 'it is recorded');
    up.send(media(3), stop());
    await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
    t.equal(
      relay.tap.stream(0).notes.filter(({ kind }) => kind === 'audio').length,
      5,
      'nothing of it is missing',
    );
    t.equal(relay.counters.refusals('overloaded'), 1);
    const told = relay.lines('overloaded').filter((line) => 'overloadLevel' in line);
    t.ok(told.length <= 4, 'once per change');
    t.match(told.at(-1), { overloadLevel: 0 });
    const refusing = told.find(({ overloadLevel }) => overloadLevel === 2);
    t.match(refusing, { signal: 'loop_delay', limit: 2 * delayLimitMs });
    t.ok(Number(refusing?.['value']) > 2 * delayLimitMs);
  },
);

await t.test('short of memory, new calls are relayed and not recorded, then refused', async (t) => {
  const rss = process.memoryUsage.rss();
  const relay = await Relay.start(t, { limits: { memoryBytes: Math.round(rss / 0.5) } });
  const before = await relay.twilio().open();
  before.send(connected, start({ streamSid: 'MZbefore' }));
  await until(() => relay.tap.calls.length === 1, 'a call that is recorded');
  const limit = (memoryBytes: number): void =>
    relay.server.reload({ ...relay.config, limits: { ...relay.config.limits, memoryBytes } });
  // What the process takes changes from moment to moment, so the limit goes along until the next look.
  await until(() => {
    limit(process.memoryUsage.rss() / 0.95);
    return relay.counters.get('overloadLevel') === 1;
  }, 'overload');
  limit(process.memoryUsage.rss() / 0.95);
  t.match(await readiness(relay), { status: 200, body: { ready: true, status: 'ready' } });
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  const bot = await relay.bot.connection(1);
  await until(() => bot.received.length === 3, 'a frame of the call that is not recorded');
  t.equal(relay.tap.calls[1]?.facts.failed, 'overloaded');
  t.match(relay.lines('overloaded').at(-1), { callId: relay.tap.calls[1]?.facts.callId });
  t.same(relay.tap.stream(1).notes, [], 'no audio of it is kept');
  limit(1);
  await until(() => relay.counters.get('overloadLevel') === 2, 'refusal');
  t.equal((await relay.twilio().refusal()).status, 503);
  before.send(media(0, 'MZbefore'));
  await until(() => relay.tap.stream(0).notes.length === 1, 'the first call is still recorded');
  t.equal(relay.tap.calls[0]?.facts.failed, undefined);
});

await t.test(
  'a ring that is more than half full costs new calls their recording and nothing else',
  async (t) => {
    const relay = await Relay.start(t, {
      accounts: (bot) => [account({ upstream: { twilio: bot.url, jambonz: null } })],
    });
    relay.counters.set('tapRingCapacityBytes', 1000);
    relay.counters.set('tapRingBytes', 990);
    await until(() => relay.counters.get('overloadLevel') === 1, 'overload');
    const caller = await relay.twilio().open();
    caller.send(connected, start(), media(0));
    const bot = await relay.bot.connection();
    await until(() => bot.received.length === 3, 'a frame');
    t.equal(relay.tap.calls[0]?.facts.failed, 'overloaded');
    relay.counters.set('tapRingBytes', 10);
    await until(() => relay.counters.get('overloadLevel') === 0, 'the end of it');
    t.match(relay.lines('overloaded')[0], { overloadLevel: 1, signal: 'ring', value: 0.99, limit: 0.5 });
  },
);

void t.test('frames that are late in the native thread are an overload, too, and so is its ring', (t) => {
  const counters = new Counters();
  const levels: number[] = [];
  const watch = new OverloadWatch(counters, pino({ level: 'silent' }), (level) => levels.push(level));
  const limits = { ...config([]).limits, loopDelayMs: 100 };
  const second = (delayMs: number): void => {
    for (let frame = 0; frame < 50; frame++) counters.loopDelay.frames.observe(delayMs);
    watch.tick(limits);
  };
  second(150);
  t.equal(watch.level, 0, 'one second is an accident');
  second(150);
  t.equal(watch.level, 1);
  second(250);
  second(250);
  t.equal(watch.level, 2);
  for (let quiet = 0; quiet < 5; quiet++) second(1);
  t.same(levels, [1, 2, 0]);
  const { counters: cells } = counters.frames;
  cells[frameCounterNames.indexOf('tapRingCapacityBytes')] = 1000;
  cells[frameCounterNames.indexOf('tapRingBytes')] = 501;
  counters.set('tapRingCapacityBytes', 1000);
  second(1);
  t.equal(watch.level, 1, 'the other ring, which is empty, changes nothing');
  t.end();
});
