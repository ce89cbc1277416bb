import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import {
  twilioBotClear,
  twilioBotMark,
  twilioBotMedia,
  twilioMark,
} from '../../src/providers/twilio/messages.js';
import { jambonzStart } from '../../src/providers/jambonz/messages.js';
import { signatureOf } from '../../src/providers/twilio/signature.js';
import { automaticWire } from '../../src/relay/LiveLoop.js';
import { Track } from '../../src/tap/TapRecord.js';
import { Relay, account, accountId, authToken } from './fixtures/Relay.js';
import type { Caller, RelayOptions } from './fixtures/Relay.js';
import type { BotSocket } from './fixtures/Bot.js';
import { connected, media, payload, start, stop, streamId } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

/*
 * The native thread from outside: that it is the one that passes media on, that nothing of what it does differs from the reference path,
 * and how calls come to it and leave it. Needs the addon.
 */

const closeOpcode = 8;

async function relayWith(t: Test, options: RelayOptions = {}): Promise<Relay> {
  const relay = await Relay.start(t, { isFast: true, ...options });
  if (relay.loop === null && options.isFast !== false)
    throw new Error('the addon is not built: node native/build.mjs');
  return relay;
}

interface Party {
  readonly caller: Caller;
  readonly bot: BotSocket;
}

/** A call whose media the native thread passes on from now on. */
async function fastCall(relay: Relay, index = 0): Promise<Party> {
  const caller = await relay.twilio().open();
  const callSid = `CA${String(index).padStart(32, '0')}`;
  caller.send(connected, start({ callSid }));
  const bot = await relay.bot.connection(index);
  await until(() => bot.received.length === 2, 'the start at the bot');
  return { caller, bot };
}

function frames(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => media(from + index));
}

await t.test('media goes from socket to socket, byte for byte, and is recorded', async (t) => {
  const relay = await relayWith(t);
  t.equal(relay.loop?.wire, process.env['REELAY_MEDIA_WIRE'] ?? automaticWire);
  const { caller, bot } = await fastCall(relay);
  const said = frames(0, 50);
  const answers = Array.from({ length: 50 }, (_, index) => twilioBotMedia(streamId, payload(index)));
  for (const [index, text] of said.entries()) {
    caller.send(text);
    bot.socket.send(answers[index] ?? '');
  }
  await until(() => bot.received.length === 52 && caller.received.length === 50, 'all of it');
  t.same(bot.texts().slice(2), said);
  t.same(caller.texts(), answers);
  const stream = relay.tap.stream();
  t.equal(stream.fast, 100, 'all of it was passed on natively');
  const expected = Buffer.concat(Array.from({ length: 50 }, (_, index) => payload(index)));
  t.ok(stream.heard(Track.caller).equals(expected));
  t.ok(stream.heard(Track.botSent).equals(expected));
  const times = stream.notes
    .filter(({ track }) => track === Track.caller)
    .map(({ providerMs }) => providerMs);
  t.same(
    times,
    Array.from({ length: 50 }, (_, index) => index * 20),
  );
  const now = performance.now();
  t.ok(
    stream.notes.every(
      ({ arrivalMs }) => (arrivalMs as number) <= now && (arrivalMs as number) > now - 60_000,
    ),
  );
  t.equal(relay.counters.get('framesFromProvider'), 50);
  t.equal(relay.counters.get('framesFromUpstream'), 50);
  t.equal(relay.counters.get('bytesFromProvider'), Buffer.byteLength(said.join('')));
  t.equal(relay.counters.latency.to_bot.count, 50);
  t.equal(relay.counters.latency.to_provider.count, 50);
  t.equal(relay.counters.loopDelay.frames.count, 100);
  caller.send(stop());
  caller.socket.close(1000);
  await until(() => bot.closeCode === 1000, 'the end at the bot');
  await until(() => stream.end_ !== undefined, 'the end of the stream');
  t.same(stream.end_, { reason: 'stop', closeCode: null });
  await until(() => relay.loop?.size === 0, 'both sockets to be gone');
  t.same(relay.failures, []);
});

await t.test('marks, clears and what nobody knows keep their places among the media', async (t) => {
  const relay = await relayWith(t);
  const { caller, bot } = await fastCall(relay);
  const fromCaller: string[] = [];
  const fromBot: string[] = [];
  for (let index = 0; index < 400; index++) {
    fromCaller.push(media(index));
    fromBot.push(twilioBotMedia(streamId, payload(index)));
    if (index % 3 === 0) fromBot.push(twilioBotMark(streamId, `m${index}`));
    if (index % 5 === 0)
      fromCaller.push(twilioMark({ streamSid: streamId, sequenceNumber: 1, name: `m${index}` }));
    if (index % 7 === 0) fromBot.push(twilioBotClear(streamId));
    if (index % 11 === 0) fromCaller.push('{"event":"news","é":"\\u00e9"}');
  }
  caller.send(...fromCaller);
  for (const text of fromBot) bot.socket.send(text);
  await until(() => bot.received.length === fromCaller.length + 2, 'everything at the bot');
  await until(() => caller.received.length === fromBot.length, 'everything at the caller');
  t.same(bot.texts().slice(2), fromCaller);
  t.same(caller.texts(), fromBot);
  const { notes, fast } = relay.tap.stream();
  t.ok(fast > 0, `${fast} of ${notes.length} were passed on natively`);
  const kindsOf = (texts: string[], named: Record<string, string>): string[] =>
    texts.flatMap((text) => named[(JSON.parse(text) as { event: string }).event] ?? []);
  const botKinds = notes
    .filter(({ kind, track }) => kind === 'mark' || kind === 'clear' || track === Track.botSent)
    .map(({ kind }) => kind);
  t.same(botKinds, kindsOf(fromBot, { media: 'audio', mark: 'mark', clear: 'clear' }));
  const callerKinds = notes
    .filter(({ kind, track }) => kind === 'markEcho' || track === Track.caller)
    .map(({ kind }) => kind);
  t.same(callerKinds, kindsOf(fromCaller, { media: 'audio', mark: 'markEcho' }));
});

await t.test('payloads that are no base64 leave no trace of other calls in the recording', async (t) => {
  const relay = await relayWith(t);
  const { caller, bot } = await fastCall(relay);
  for (let index = 0; index < 20; index++) caller.send(media(index));
  await until(() => bot.received.length === 22, 'the frames at the bot');
  const withPayload = (text: string): string => media(20).replace(/"payload":"[^"]*"/, `"payload":"${text}"`);
  const odd = ['=', '==', '====', 'A===', 'TWF=', 'TW-_', 'TW F', ''].map(withPayload);
  for (const text of odd) caller.send(text);
  await until(() => bot.received.length === 22 + odd.length, 'what a bot would get without a relay');
  t.same(bot.texts().slice(22), odd);
  for (const text of ['=', '====', '', 'A'])
    bot.socket.send(`{"event":"media","streamSid":"${streamId}","media":{"payload":"${text}"}}`);
  const answer = twilioBotMedia(streamId, payload(3));
  bot.socket.send(answer);
  await until(() => caller.received.length > 0, 'what is good');
  t.same(caller.texts(), [answer], 'and nothing else');
  const stream = relay.tap.stream();
  t.equal(stream.heard(Track.caller).length, 20 * 160 + 2, 'TWF= is two bytes');
  t.equal(stream.heard(Track.botSent).length, 160);
});

await t.test('other streams, and messages that leave a field empty, are judged as ever', async (t) => {
  const relay = await relayWith(t);
  const { caller, bot } = await fastCall(relay);
  caller.send(media(0, 'MZother'), media(1, ''), media(2).replace('"inbound"', '""'), media(3));
  await until(() => bot.texts().includes(media(3)), 'the last frame');
  t.same(bot.texts().slice(2), [media(2).replace('"inbound"', '""'), media(3)]);
  t.equal(relay.lines('stream_mismatch').length, 1);
  t.equal(relay.lines('track_invalid').length, 1);
  bot.socket.send(twilioBotMedia('MZother', payload(1)));
  bot.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
  bot.socket.send(payload(1));
  bot.socket.send(twilioBotMedia(streamId, payload(2)));
  await until(() => caller.received.length > 0, 'what is this call’s');
  t.same(caller.texts(), [twilioBotMedia(streamId, payload(2))]);
  t.equal(relay.tap.stream().heard(Track.caller).length, 160);
});

await t.test(
  'raw audio is passed on until a message ends in half a sample, and by JavaScript from then on',
  async (t) => {
    const relay = await relayWith(t);
    const caller = await relay.jambonz().open();
    const facts = { sampleRate: 8000, mixType: 'mono', callSid: 'call-1', accountSid: accountId } as const;
    caller.send(jambonzStart(facts));
    const bot = await relay.bot.connection();
    await until(() => bot.received.length === 1, 'the start at the bot');
    const parts = [320, 320, 321, 319, 320, 320].map((bytes) => randomBytes(bytes));
    for (const [index, part] of parts.entries()) {
      caller.send(part);
      await until(() => bot.received.length === index + 2, 'the part at the bot');
    }
    const answers = [640, 640].map((bytes) => randomBytes(bytes));
    for (const part of answers) bot.socket.send(part);
    await until(() => caller.received.length === 2, 'the answers');
    t.same(
      bot.received.slice(1).map(({ data }) => data),
      parts,
    );
    const stream = relay.tap.stream();
    t.ok(stream.heard(Track.caller).equals(Buffer.concat(parts)));
    t.ok(stream.heard(Track.botSent).equals(Buffer.concat(answers)));
    t.equal(stream.fast, 2, 'what came before the half sample');
  },
);

await t.test('a call whose bot is dialled again returns to the native thread', async (t) => {
  const relay = await relayWith(t, {
    accounts: (bot) => [
      account({ onUpstreamLoss: 'reconnect', upstream: { twilio: bot.url, jambonz: null } }),
    ],
  });
  const { caller, bot: first } = await fastCall(relay);
  caller.send(media(0));
  await until(() => first.texts().includes(media(0)), 'the first frame');
  first.socket.terminate();
  const second = await relay.bot.connection(1);
  await until(() => second.received.length >= 2, 'the start, replayed');
  for (let index = 1; index <= 10; index++) {
    caller.send(media(index));
    await until(() => second.texts().includes(media(index)), `frame ${index}`);
  }
  second.socket.send(twilioBotMedia(streamId, payload(5)));
  await until(() => caller.received.length === 1, 'the other direction');
  const stream = relay.tap.stream();
  t.equal(stream.heard(Track.caller).length, 11 * 160);
  t.equal(stream.notes.at(-1)?.['isFast'], true);
  t.match(relay.tap.calls[0]?.events, [{ type: 'upstream_lost' }]);
});

await t.test('what is lost for lack of room is told before the stream ends', async (t) => {
  const relay = await relayWith(t);
  const { caller, bot } = await fastCall(relay);
  relay.tap.isBlocked = true;
  const burst = twilioBotMedia(streamId, Buffer.alloc(700_000, 1));
  for (let index = 0; index < 60; index++) {
    bot.socket.send(burst);
    await until(() => caller.received.length === index + 1, 'the burst at the caller');
  }
  const dropped = relay.counters.get('tapDroppedRecords');
  t.ok(dropped > 0, `${dropped} records found no room`);
  caller.send(stop());
  const stream = relay.tap.stream();
  await until(() => stream.end_ !== undefined, 'the end of the stream');
  relay.tap.isBlocked = false;
  // Either the thread found room to tell it by itself meanwhile, or it left it to whoever ends the stream.
  const missed = stream.notes.filter(({ kind }) => kind === 'missed').map(({ records }) => records as number);
  const told = [...missed, ...relay.tap.dropped.map(({ records }) => records)];
  t.equal(
    told.reduce((sum, records) => sum + records, 0),
    dropped,
  );
  t.equal(stream.heard(Track.botSent).length, (60 - dropped) * 700_000);
  t.equal(relay.loop?.board.behind, 0);
});

await t.test('a violation of the protocol is told, and closes the socket', async (t) => {
  const relay = await relayWith(t);
  const wire = await rawCaller(t, relay, Buffer.alloc(0));
  wire.socket.write(Buffer.from([0xf1, 0x80, 0, 0, 0, 0]));
  await until(() => relay.lines('websocket_violation').length === 1, 'it to be told');
  await until(() => wire.socket.readableEnded, 'the end of it');
  t.same(wire.heard().subarray(0, 4), Buffer.from([0x88, 2, 0x03, 0xea]));
  await until(() => relay.loop?.size === 0, 'the socket to be gone');
});

await t.test('an opening that comes with the upgrade is read, wherever it is cut', async (t) => {
  const relay = await relayWith(t);
  const messages = [connected, start(), media(0), media(1)];
  const opening = Buffer.concat(messages.map((text) => clientFrame(text)));
  let connections = 0;
  for (let cut = 0; cut <= opening.length; cut += cut < 24 ? 1 : 61) {
    const wire = await rawCaller(t, relay, opening.subarray(0, cut));
    wire.socket.write(opening.subarray(cut));
    const bot = await relay.bot.connection(connections++);
    await until(() => bot.received.length === 4, `all of it, cut at ${cut}`);
    if (bot.texts().join() !== messages.join()) t.fail(`cut at ${cut}`);
    wire.socket.destroy();
    await until(() => bot.closeCode !== undefined, 'the end');
  }
  t.equal(relay.counters.get('framesFromProvider'), 2 * connections);
});

await t.test('what a bot says with its answer to the upgrade is read, wherever it is cut', async (t) => {
  const first = twilioBotMark(streamId, 'first');
  const second = twilioBotMedia(streamId, payload(1));
  const speech = Buffer.concat([serverFrame(first), serverFrame(second)]);
  const cuts = [0, 1, 2, 3, 40, serverFrame(first).length, speech.length];
  for (const cut of cuts) {
    const url = await rawBot(t, speech, cut);
    const relay = await relayWith(t, {
      accounts: () => [account({ upstream: { twilio: url, jambonz: null } })],
    });
    const caller = await relay.twilio().open();
    caller.send(connected, start());
    await until(() => caller.received.length === 2, `both messages, cut at ${cut}`);
    t.same(caller.texts(), [first, second], `cut at ${cut}`);
    t.equal(relay.loop?.size, 2);
    await relay.server.close();
  }
});

await t.test('a socket that the thread does not take goes on as if nothing had been', async (t) => {
  const relay = await relayWith(t);
  const loop = relay.loop;
  if (loop === null) return;
  loop.add = () => null;
  const messages = [connected, start(), media(0), media(1)];
  const opening = Buffer.concat(messages.map((text) => clientFrame(text)));
  for (const [index, cut] of [0, 7, 300, opening.length].entries()) {
    const wire = await rawCaller(t, relay, opening.subarray(0, cut));
    wire.socket.write(opening.subarray(cut));
    const bot = await relay.bot.connection(index);
    await until(() => bot.received.length === 4, `all of it, cut at ${cut}`);
    t.same(bot.texts(), messages);
    bot.socket.send(twilioBotMedia(streamId, payload(1)));
    await until(() => wire.heard().includes(twilioBotMedia(streamId, payload(1))), 'the answer');
    wire.socket.destroy();
    await until(() => relay.tap.calls[index]?.end_ !== undefined, 'the end');
  }
  t.equal(relay.tap.stream(0).fast, 0);
  t.equal(loop.size, 0);
});

await t.test('a provider of the thread and a bot of Node talk like any other two', async (t) => {
  const relay = await relayWith(t);
  const { loop } = relay;
  if (loop === null) return;
  const add = loop.add.bind(loop);
  loop.add = (fd, input, options, owner) => (options.isClient ? null : add(fd, input, options, owner));
  const { caller, bot } = await fastCall(relay);
  t.equal(loop.size, 1);
  const said = frames(0, 100);
  const answers = said.map((_, index) => twilioBotMedia(streamId, payload(index)));
  caller.send(...said);
  for (const text of answers) bot.socket.send(text);
  await until(() => bot.received.length === 102 && caller.received.length === 100, 'all of it');
  t.same(bot.texts().slice(2), said);
  t.same(caller.texts(), answers);
  t.equal(relay.tap.stream().fast, 0);
  t.equal(relay.tap.stream().notes.length, 200);
  bot.socket.close(1000);
  t.equal((await caller.closed()).code, 1000);
});

await t.test(
  'a one-way stream of an account with a bot is recorded, and its bot hears nothing',
  async (t) => {
    const relay = await relayWith(t);
    const caller = await relay.twilio().open();
    t.equal(relay.loop?.size, 1);
    caller.send(
      connected,
      start({ customParameters: { 'reelay.oneWay': 'true' } }),
      ...frames(0, 300),
      stop(),
    );
    await until(() => relay.tap.calls[0]?.streams[0]?.end_ !== undefined, 'the end of the stream');
    t.equal(relay.tap.stream().heard(Track.caller).length, 300 * 160);
    t.equal(relay.tap.stream().fast, 0);
    t.equal(relay.bot.upgrades, 0);
  },
);

await t.test(
  'a stream ends with its provider’s last word, however long the connection takes to end',
  async (t) => {
    const relay = await relayWith(t);
    const opening = Buffer.concat([connected, start(), media(0)].map((text) => clientFrame(text)));
    const { socket, heard } = await rawCaller(t, relay, opening, { allowHalfOpen: true });
    const bot = await relay.bot.connection(0);
    await until(() => bot.received.length === 3, 'the frame at the bot');
    const saidMs = performance.now();
    socket.write(clientFrame(Buffer.from([1000 >> 8, 1000 & 255]), closeOpcode));
    await until(() => heard().includes(Buffer.from([0x88, 2, 1000 >> 8, 1000 & 255])), 'the Close answer');
    const answeredMs = performance.now();
    t.equal(relay.tap.stream().end_, undefined, 'the connection is still there');
    await until(() => performance.now() > answeredMs + 100, 'time to pass');
    socket.end();
    await until(() => relay.tap.stream().end_ !== undefined, 'the end of the stream');
    t.same(relay.tap.stream().end_, { reason: 'closed', closeCode: 1000 });
    const endMs = relay.tap.stream().endMs ?? NaN;
    t.ok(endMs >= saidMs && endMs <= answeredMs, `${saidMs} <= ${endMs} <= ${answeredMs}`);
    await until(() => relay.loop?.size === 0, 'both sockets to be gone');
  },
);

await t.test('a stream whose provider is gone without a word ends when it is found gone', async (t) => {
  const relay = await relayWith(t);
  const { caller, bot } = await fastCall(relay);
  caller.send(media(0));
  await until(() => bot.received.length === 3, 'the frame at the bot');
  const leftMs = performance.now();
  caller.socket.terminate();
  await until(() => relay.tap.stream().end_ !== undefined, 'the end of the stream');
  t.same(relay.tap.stream().end_, { reason: 'lost', closeCode: 1006 });
  const endMs = relay.tap.stream().endMs ?? NaN;
  t.ok(endMs >= leftMs && endMs <= performance.now(), `${leftMs} <= ${endMs}`);
});

await t.test('when the thread stops every socket is told closed', async (t) => {
  const relay = await relayWith(t);
  const { caller, bot } = await fastCall(relay);
  caller.send(media(0));
  await until(() => bot.received.length === 3, 'the frame at the bot');
  await relay.loop?.stop();
  t.equal((await caller.closed()).code, 1006);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  t.same(relay.tap.stream().end_, { reason: 'lost', closeCode: 1006 });
  t.equal(relay.loop?.size, 0);
  const late = await relay.twilio().open();
  late.send(connected, start());
  await relay.bot.connection(1);
  t.same(relay.failures, [], 'and further calls are relayed by ws');
});

await t.test(
  'calls whose bots are behind TLS, or that have none, stay where Node can read them',
  async (t) => {
    for (const url of ['wss://127.0.0.1:1/', null]) {
      const relay = await relayWith(t, {
        accounts: () => [account({ upstream: { twilio: url, jambonz: null } })],
      });
      const caller = await relay.twilio().open();
      caller.send(connected, start(), media(0));
      await until(() => relay.tap.calls[0] !== undefined, 'the call');
      t.equal(relay.loop?.size, 0);
    }
    const relay = await relayWith(t, { isFast: false });
    const { caller, bot } = await fastCall(relay);
    caller.send(media(0));
    await until(() => bot.received.length === 3, 'the frame at the bot');
    t.equal(relay.tap.stream().fast, 0);
  },
);

await t.test(
  'Node may have as many connections as the native thread leaves it, and never none',
  async (t) => {
    const relay = await relayWith(t);
    const { loop } = relay;
    if (loop === null) return;
    const { caller } = await fastCall(relay);
    const health = async (): Promise<number> => {
      const headers = { Connection: 'close' };
      return (await fetch(`http://127.0.0.1:${relay.port}/healthz`, { headers })).status;
    };
    t.equal(loop.board.waiting.sockets, 1, 'the provider; bots come from here');
    // As many as if the thread had more sockets than there may be altogether.
    loop.board.cells[2] = 1_000_000;
    const next = await relay.twilio().open();
    t.equal(await health(), 200);
    next.socket.terminate();
    caller.socket.terminate();
    await until(() => loop.size === 0, 'both to be gone');
    t.equal(loop.board.waiting.sockets, 999_999);
  },
);

await t.test('the end of its environment ends the thread, sockets or not', async (t) => {
  const relayUrl = new URL('../../src/relay/', import.meta.url).href;
  const tapUrl = new URL('../../src/tap/', import.meta.url).href;
  const source = `
    import { once } from 'node:events';
    import { connect, createServer } from 'node:net';
    import { FastSocket } from '${relayUrl}FastSocket.js';
    import { LiveLoop } from '${relayUrl}LiveLoop.js';
    import { Counters } from '${tapUrl}Counters.js';
    import { createRing } from '${tapUrl}Ring.js';
    import { SharedSequence } from '${tapUrl}Sequence.js';
    const wire = process.env['REELAY_MEDIA_WIRE'];
    const loop = LiveLoop.start(createRing(0), new SharedSequence(), new Counters(), console.error, wire);
    if (wire !== undefined && loop.wire !== wire) throw new Error(loop.refusal);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const [[near]] = await Promise.all([once(server, 'connection'), once(connect(server.address().port, '127.0.0.1'), 'connect')]);
    const options = { isClient: false, maxMessageBytes: 1000, closeTimeoutMs: 1000, stalledMs: 1000 };
    const socket = FastSocket.adopt(loop, near._handle.fd, Buffer.alloc(0), options);
    socket.listen({});
    process.exit(loop.size === 1 ? 7 : 1);`;
  const inProcess = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
  t.same([inProcess.status, inProcess.signal, inProcess.stderr], [7, null, '']);
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  t.same(await once(worker, 'exit'), [7]);
});

function clientFrame(content: string | Buffer, opcode = 1): Buffer {
  const payload = Buffer.from(content);
  const mask = randomBytes(4);
  const head = headOf(payload.length, 0x80);
  head[0] = 0x80 | opcode;
  return Buffer.concat([head, mask, payload.map((byte, index) => byte ^ (mask[index & 3] ?? 0))]);
}

function serverFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([headOf(payload.length, 0), payload]);
}

function headOf(bytes: number, maskBit: number): Buffer {
  if (bytes < 126) return Buffer.from([0x81, maskBit | bytes]);
  return Buffer.from([0x81, maskBit | 126, bytes >> 8, bytes & 255]);
}

/** A provider that writes its upgrade and the beginning of its frames at once. */
async function rawCaller(
  t: Test,
  relay: Relay,
  head: Buffer,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<{ socket: Socket; heard: () => Buffer }> {
  const socket = connect({ port: relay.port, host: '127.0.0.1', ...options }).setNoDelay();
  t.teardown(() => void socket.destroy());
  socket.on('error', () => undefined);
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  const host = `127.0.0.1:${relay.port}`;
  const headers = [
    'GET /twilio HTTP/1.1',
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    `X-Twilio-Signature: ${signatureOf(authToken, `ws://${host}/twilio`)}`,
  ];
  socket.write(Buffer.concat([Buffer.from(`${headers.join('\r\n')}\r\n\r\n`), head]));
  const all = (): Buffer => Buffer.concat(parts);
  await until(() => all().includes('\r\n\r\n'), 'the upgrade');
  return { socket, heard: () => all().subarray(all().indexOf('\r\n\r\n') + 4) };
}

/** A bot that writes the beginning of its frames with its answer to the upgrade. */
async function rawBot(t: Test, speech: Buffer, cut: number): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.setNoDelay());
    socket.on('error', () => undefined);
    socket.once('data', (request) => {
      const key = /sec-websocket-key: (\S+)/i.exec(request.toString('latin1'))?.[1] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      const headers = [
        'HTTP/1.1 101 Switching Protocols',
        'Upgrade: websocket',
        'Connection: Upgrade',
        `Sec-WebSocket-Accept: ${accept}`,
      ];
      socket.write(Buffer.concat([Buffer.from(`${headers.join('\r\n')}\r\n\r\n`), speech.subarray(0, cut)]));
      // The start of the call shows that the first part has been read.
      socket.once('data', () => socket.write(speech.subarray(cut)));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
