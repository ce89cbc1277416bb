import t from 'tap';
import { twilioBotMedia } from '../../src/providers/twilio/messages.js';
import type { UpstreamLossPolicy } from '../../src/config/Config.js';
import { Track } from '../../src/tap/TapRecord.js';
import { Relay, account } from './fixtures/Relay.js';
import type { RelayOptions } from './fixtures/Relay.js';
import { connected, media, payload, start, stop, streamId } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

function relayWith(
  t: Parameters<typeof Relay.start>[0],
  onUpstreamLoss: UpstreamLossPolicy,
  limits: RelayOptions['limits'] = {},
): Promise<Relay> {
  return Relay.start(t, {
    accounts: (bot) => [account({ onUpstreamLoss, upstream: { twilio: bot.url, jambonz: null } })],
    limits,
  });
}

function frames(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => media(from + index));
}

await t.test('frames wait in order for a bot that connects late', async (t) => {
  const relay = await relayWith(t, 'close');
  let open = (): void => undefined;
  relay.bot.gate = new Promise((resolve) => (open = resolve));
  const caller = await relay.twilio().open();
  caller.send(connected, start(), ...frames(0, 100));
  await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 100, 'the frames in the tap');
  t.equal(relay.server.calls()[0]?.upstream, 'connecting');
  open();
  const bot = await relay.bot.connection();
  caller.send(...frames(100, 120));
  await until(() => bot.received.length === 122, 'everything at the bot');
  t.same(bot.texts(), [connected, start(), ...frames(0, 120)]);
  t.equal(relay.server.calls()[0]?.upstream, 'open');
  t.equal(relay.counters.get('framesDroppedToUpstream'), 0);
});

await t.test('the queue for a late bot keeps the newest audio and every control message', async (t) => {
  const relay = await relayWith(t, 'close', { upstreamQueueMs: 1000 });
  let open = (): void => undefined;
  relay.bot.gate = new Promise((resolve) => (open = resolve));
  const caller = await relay.twilio().open();
  const mark = JSON.stringify({ event: 'mark', streamSid: streamId, mark: { name: 'm' } });
  caller.send(connected, start(), mark, ...frames(0, 200));
  await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 201, 'the frames in the tap');
  open();
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 53, 'what was kept');
  t.same(bot.texts(), [connected, start(), mark, ...frames(150, 200)]);
  t.equal(relay.counters.get('framesDroppedToUpstream'), 150);
  t.equal(relay.lines('upstream_overflow').length, 1);
  t.equal(relay.tap.stream().heard(Track.caller).length, 200 * 160, 'the recording has all of it');
});

await t.test('a bot that closes properly ends the stream', async (t) => {
  const relay = await relayWith(t, 'reconnect');
  for (const [index, code] of [1000, undefined].entries()) {
    const caller = await relay.twilio().open();
    caller.send(connected, start(), media(0));
    const bot = await relay.bot.connection(index);
    await until(() => bot.received.length === 3, 'the frame at the bot');
    bot.socket.close(code);
    t.equal((await caller.closed()).code, 1000);
    await until(() => relay.tap.calls[index]?.end_ !== undefined, 'the end of the call');
    t.same(relay.tap.stream(index).end_, { reason: 'relay', closeCode: 1000 });
    t.same(relay.tap.calls[index]?.end_, { ended: true });
  }
  t.equal(relay.counters.get('upstreamLost'), 0);
});

await t.test('policy close: a bot that is refused, breaks or goes away ends the stream', async (t) => {
  const relay = await relayWith(t, 'close');
  const ways: [string, (socket: import('ws').WebSocket) => void][] = [
    ['breaks', (socket) => socket.terminate()],
    ['goes away', (socket) => socket.close(1001)],
    ['fails', (socket) => socket.close(1011)],
  ];
  for (const [index, [what, lose]] of ways.entries()) {
    const caller = await relay.twilio().open();
    caller.send(connected, start(), media(0));
    const bot = await relay.bot.connection(index);
    await until(() => bot.received.length === 3, 'the frame at the bot');
    lose(bot.socket);
    t.equal((await caller.closed()).code, 1000, what);
    t.match(relay.tap.calls[index]?.events, [{ type: 'upstream_lost', code: 'upstream_lost' }], what);
  }
  relay.bot.refuse = true;
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  t.equal((await caller.closed()).code, 1000);
  t.match(relay.tap.calls[3]?.events, [{ type: 'upstream_lost', code: 'upstream_unreachable' }]);
  t.equal(relay.counters.get('upstreamLost'), 4);
  t.equal(relay.lines('upstream_lost').length, 3);
});

await t.test('policy close: a bot whose URL is no URL ends the stream and nothing else', async (t) => {
  const relay = await Relay.start(t, {
    accounts: () => [account({ upstream: { twilio: 'nonsense://', jambonz: null } })],
  });
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  t.equal((await caller.closed()).code, 1000);
  t.equal(relay.lines('upstream_unreachable').length, 1);
});

await t.test('policy recordOnly: the recording goes on without the bot', async (t) => {
  const relay = await relayWith(t, 'recordOnly');
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 3, 'the frame at the bot');
  bot.socket.terminate();
  await until(() => relay.server.calls()[0]?.upstream === 'lost', 'the loss');
  caller.send(...frames(1, 50));
  await until(() => relay.tap.stream().notes.length === 50, 'the frames in the tap');
  t.equal(caller.close, undefined);
  t.equal(relay.bot.upgrades, 1);
});

await t.test('policy reconnect: the start is replayed and the frames in between follow', async (t) => {
  const relay = await relayWith(t, 'reconnect');
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  const before = await relay.bot.connection();
  await until(() => before.received.length === 3, 'the frame at the bot');
  relay.bot.refuse = true;
  before.socket.terminate();
  await until(() => relay.bot.upgrades >= 3, 'attempts');
  caller.send(...frames(1, 30));
  await until(() => relay.tap.stream().notes.length === 30, 'the frames in the tap');
  relay.bot.refuse = false;
  const after = await relay.bot.connection(1);
  await until(() => after.received.length === 31, 'the queue at the bot');
  t.same(after.texts(), [connected, start(), ...frames(1, 30)]);
  caller.send(media(30));
  after.socket.send(twilioBotMedia(streamId, payload(1)));
  await until(() => after.received.length === 32 && caller.received.length === 1, 'both directions');
  t.equal(relay.counters.get('upstreamLost'), 1, 'a bot that stays away is lost once');
  t.equal(relay.counters.get('upstreamReconnects'), 1);
  t.match(relay.tap.calls[0]?.events, [{ type: 'upstream_lost' }]);
  caller.send(stop());
  await until(() => after.closeCode === 1000, 'the bot to be closed');
});

await t.test('policy reconnect: a stream that ends while the bot is away stops the attempts', async (t) => {
  const relay = await relayWith(t, 'reconnect');
  relay.bot.refuse = true;
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  await until(() => relay.bot.upgrades >= 2, 'attempts');
  caller.socket.close(1000);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  const { upgrades } = relay.bot;
  relay.bot.refuse = false;
  const other = await relay.twilio().open();
  other.send(connected, start({ callSid: 'CAother' }));
  await relay.bot.connection();
  t.ok(relay.bot.upgrades <= upgrades + 2);
  t.equal(relay.counters.get('streams'), 1);
});

await t.test('a bot that does not read costs bounded memory, and the recording nothing', async (t) => {
  const relay = await relayWith(t, 'close', { upstreamBufferBytes: 64 * 1024 });
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 2, 'the start at the bot');
  bot.socket.pause();
  const large = (index: number): string =>
    media(index).replace(/"payload":"/, `"payload":"${'/'.repeat(64_000)}`);
  let sent = 0;
  while (relay.counters.get('framesDroppedToUpstream') < 20) {
    caller.send(large(sent++));
    await until(() => relay.tap.stream().notes.length === sent, 'the frame in the tap');
    if (sent > 2000) throw new Error('nothing was dropped');
  }
  await until(() => relay.lines('upstream_overflow').length > 0, 'it to be told');
  t.equal(relay.lines('upstream_overflow').length, 1);
  t.match(relay.tap.calls[0]?.events, [{ type: 'upstream_overflow' }]);
  bot.socket.resume();
  await until(
    () => bot.received.length === 2 + sent - relay.counters.get('framesDroppedToUpstream'),
    'the rest',
  );
  caller.send(media(sent));
  await until(() => bot.texts().at(-1) === media(sent), 'the next frame');
  t.equal(caller.close, undefined);
});

await t.test('a provider that does not read pauses the bot, and gets everything in the end', async (t) => {
  const relay = await relayWith(t, 'close', { providerBufferBytes: 256 * 1024 });
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 2, 'the start at the bot');
  caller.socket.pause();
  const burst = twilioBotMedia(streamId, Buffer.alloc(400_000, 1));
  for (let index = 0; index < 60; index++) bot.socket.send(burst);
  await until(() => relay.counters.get('upstreamPauses') > 0, 'the bot to be paused');
  caller.send(media(0));
  await until(() => bot.received.length === 3, 'the other direction, which goes on');
  t.ok(relay.counters.get('framesFromUpstream') < 60, 'the rest stays in the sockets');
  caller.socket.resume();
  await until(() => caller.received.length === 60, 'everything at the caller');
  t.ok(caller.texts().every((text) => text === burst));
  t.equal(relay.tap.stream().heard(Track.botSent).length, 60 * 400_000);
});

await t.test('a bot that is dialled again is paused like the one before', async (t) => {
  const relay = await relayWith(t, 'reconnect', { providerBufferBytes: 256 * 1024 });
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  const burst = twilioBotMedia(streamId, Buffer.alloc(400_000, 1));
  const first = await relay.bot.connection();
  caller.socket.pause();
  for (let index = 0; index < 60; index++) first.socket.send(burst);
  await until(() => relay.counters.get('upstreamPauses') > 0, 'the first bot to be paused');
  first.socket.terminate();
  // A paused socket shows that it is gone when something is written to it.
  const probe = setInterval(() => caller.send(media(0)), 10);
  t.teardown(() => clearInterval(probe));
  const second = await relay.bot.connection(1);
  clearInterval(probe);
  const before = relay.counters.get('framesFromUpstream');
  for (let index = 0; index < 60; index++) second.socket.send(burst);
  // The other direction goes on meanwhile, and shows that time has passed at the relay.
  for (let index = 1; index <= 40; index++) {
    caller.send(media(index));
    await until(() => second.texts().includes(media(index)), 'the frame at the bot');
  }
  t.ok(relay.counters.get('framesFromUpstream') - before < 60, 'the rest stays in the sockets');
});
