import t, { type Test } from 'tap';
import type { UpstreamLossPolicy } from '../../src/config/Config.js';
import { twilioBotMedia } from '../../src/providers/twilio/messages.js';
import type { BotSocket } from './fixtures/Bot.js';
import { Relay, account } from './fixtures/Relay.js';
import type { Caller } from './fixtures/Relay.js';
import { connected, media, payload, start, stop, streamId } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

/*
 * Peers that stop reading. The media server looks once a second, so each of these takes a few seconds of real time.
 */

const stalledMs = 1000;

function relayWith(t: Test, onUpstreamLoss: UpstreamLossPolicy, resumeSeconds = 0): Promise<Relay> {
  return Relay.start(t, {
    accounts: (bot) => [
      account({ onUpstreamLoss, resumeSeconds, upstream: { twilio: bot.url, jambonz: null } }),
    ],
    limits: { stalledMs, upstreamBufferBytes: 64 * 1024, providerBufferBytes: 256 * 1024 },
  });
}

interface Party {
  readonly caller: Caller;
  readonly bot: BotSocket;
}

/** A call by its own name, connected to the bot. */
async function call(relay: Relay, name: string): Promise<Party> {
  const connections = relay.bot.sockets.length;
  const caller = await relay.twilio().open();
  caller.send(connected, start({ callSid: `CA${name}`, streamSid: name }));
  const bot = await relay.bot.connection(connections);
  await until(() => bot.received.length === 2, 'the start at the bot');
  return { caller, bot };
}

/** A call beside the others, which both parties keep talking in. */
async function neighbour(t: Test, relay: Relay): Promise<{ unharmed: () => Promise<void> }> {
  const { caller, bot } = await call(relay, 'neighbour');
  let sent = 0;
  const talking = setInterval(() => {
    caller.send(media(sent, 'neighbour'));
    bot.socket.send(twilioBotMedia('neighbour', payload(sent++)));
  }, 5);
  t.teardown(() => clearInterval(talking));
  const unharmed = async (): Promise<void> => {
    clearInterval(talking);
    await until(() => caller.received.length >= sent && bot.received.length >= sent + 2, 'the last frames');
    const atBot = bot.texts().slice(2);
    const atCaller = caller.texts();
    t.ok(sent > 100, `${sent} frames`);
    t.equal(atBot.length, sent);
    t.equal(atCaller.length, sent);
    for (let index = 0; index < sent; index++) {
      if (atBot[index] !== media(index, 'neighbour')) t.fail(`frame ${index} at the bot`);
      if (atCaller[index] !== twilioBotMedia('neighbour', payload(index)))
        t.fail(`frame ${index} at the caller`);
    }
  };
  return { unharmed };
}

const largeFrame = media(0, streamId).replace(/"payload":"/, `"payload":"${'/'.repeat(64_000)}`);

/** Talks to a bot until it has been given up, so that there is always something that waits for it. */
async function talkUntil(caller: Caller, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    if (caller.close === undefined && caller.socket.bufferedAmount < 1_000_000) caller.send(largeFrame);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

await t.test('a bot that stops reading is given up, and its neighbour loses nothing', async (t) => {
  const relay = await relayWith(t, 'close');
  const beside = await neighbour(t, relay);
  const { caller, bot } = await call(relay, streamId);
  bot.socket.pause();
  await talkUntil(caller, () => caller.close !== undefined);
  t.equal(caller.close?.code, 1000, 'policy close');
  await until(() => relay.tap.calls[1]?.end_ !== undefined, 'the end of the call');
  // The kernel may find room for some more before it is over: then a bot that reads nothing overflows a second time.
  const events = relay.tap.calls[1]?.events ?? [];
  t.match(events.at(-1), { type: 'upstream_lost', code: 'upstream_stalled' });
  t.ok(events.length > 1);
  for (const event of events.slice(0, -1)) t.match(event, { type: 'upstream_overflow' });
  t.equal(relay.lines('upstream_stalled').length, 1);
  t.equal(relay.counters.get('stalledUpstreams'), 1);
  t.equal(relay.counters.get('upstreamLost'), 1);
  t.ok(relay.counters.get('framesDroppedToUpstream') > 0);
  await beside.unharmed();
});

await t.test('policy recordOnly: the recording goes on without a bot that stalled', async (t) => {
  const relay = await relayWith(t, 'recordOnly');
  const { caller, bot } = await call(relay, streamId);
  bot.socket.pause();
  await talkUntil(caller, () => relay.server.calls()[0]?.upstream === 'lost');
  const noted = relay.tap.stream().notes.length;
  await talkUntil(caller, () => relay.tap.stream().notes.length > noted + 50);
  t.equal(caller.close, undefined);
  t.equal(relay.bot.upgrades, 1);
  caller.send(stop());
  caller.socket.close(1000);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
});

await t.test('policy reconnect: a bot that stalls again and again is dialled again each time', async (t) => {
  const relay = await relayWith(t, 'reconnect');
  const { caller, bot: first } = await call(relay, streamId);
  first.socket.pause();
  await talkUntil(caller, () => relay.bot.sockets.length === 2);
  const second = await relay.bot.connection(1);
  second.socket.pause();
  await talkUntil(caller, () => relay.bot.sockets.length === 3);
  const third = await relay.bot.connection(2);
  await until(() => third.received.length >= 2, 'the start, replayed');
  t.same(third.texts().slice(0, 2), [connected, start({ callSid: `CA${streamId}`, streamSid: streamId })]);
  caller.send(media(7));
  await until(() => third.texts().includes(media(7)), 'what is said now');
  third.socket.send(twilioBotMedia(streamId, payload(1)));
  await until(() => caller.received.length === 1, 'the other direction');
  t.equal(relay.counters.get('stalledUpstreams'), 2);
  t.equal(relay.lines('upstream_stalled').length, 2);
  t.equal(caller.close, undefined);
});

await t.test('a provider that stops reading is given up, and the call may be resumed', async (t) => {
  const relay = await relayWith(t, 'close', 30);
  const beside = await neighbour(t, relay);
  const { caller, bot } = await call(relay, streamId);
  caller.socket.pause();
  const burst = twilioBotMedia(streamId, Buffer.alloc(400_000, 1));
  for (let index = 0; index < 60; index++) bot.socket.send(burst);
  await until(() => relay.tap.stream(1).end_ !== undefined, 'the end of the stream');
  t.same(relay.tap.stream(1).end_, { reason: 'lost', closeCode: 1006 });
  t.match(relay.tap.calls[1]?.events, [{ type: 'provider_stalled' }]);
  t.equal(relay.lines('provider_stalled').length, 1);
  t.equal(relay.counters.get('stalledProviders'), 1);
  await until(() => bot.closeCode === 1001, 'the bot to be told');
  const again = await call(relay, streamId);
  again.bot.socket.send(twilioBotMedia(streamId, payload(1)));
  await until(() => again.caller.received.length === 1, 'audio on the new stream');
  t.equal(relay.tap.calls[1]?.streams.length, 2, 'it is the same recording');
  await beside.unharmed();
});

await t.test('a provider that reads slowly but steadily gets everything', async (t) => {
  const relay = await relayWith(t, 'close');
  const { caller, bot } = await call(relay, streamId);
  const burst = twilioBotMedia(streamId, Buffer.alloc(400_000, 1));
  let sent = 0;
  const startMs = performance.now();
  // For more than three times as long as a socket may take nothing, there are always 16 MB on their way.
  while (performance.now() - startMs < 3.2 * stalledMs || caller.received.length < sent) {
    while (performance.now() - startMs < 3.2 * stalledMs && sent < caller.received.length + 40) {
      bot.socket.send(burst);
      sent++;
    }
    caller.socket.resume();
    const before = caller.received.length;
    await until(() => caller.received.length > before, 'the next burst');
    caller.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.ok(relay.counters.get('upstreamPauses') > 0, 'there was something that waited');
  t.equal(relay.counters.get('stalledProviders'), 0);
  t.equal(caller.close, undefined);
  t.ok(caller.texts().every((text) => text === burst));
});
