import { connect, type Socket } from 'node:net';
import t from 'tap';
import { signatureOf } from '../../src/providers/twilio/signature.js';
import { twilioBotMedia } from '../../src/providers/twilio/messages.js';
import { Relay, accountId, authToken } from './fixtures/Relay.js';
import type { Caller } from './fixtures/Relay.js';
import { connected, media, payload, start } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

/** An upgrade and everything up to the first frames, written as one, before anything is answered. */
function arrive(relay: Relay, name: string, frames: number): Promise<{ socket: Socket; status: number }> {
  const url = `ws://127.0.0.1:${relay.port}/twilio`;
  const socket = connect(relay.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const head = [
    'GET /twilio HTTP/1.1',
    `Host: 127.0.0.1:${relay.port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    `X-Twilio-Signature: ${signatureOf(authToken, url)}`,
  ];
  const texts = [
    connected,
    start({ callSid: `CA${name}`, streamSid: name }),
    ...Array.from({ length: frames }, (_none, index) => media(index, name)),
  ];
  socket.write(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), ...texts.map(masked)]));
  return new Promise((resolve) => {
    socket.once('data', (data) => resolve({ socket, status: Number(data.toString('latin1').split(' ')[1]) }));
  });
}

/** A text frame of a client whose mask is all zeros (RFC 6455 section 5.3). */
function masked(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(8);
  head.writeUInt8(0x81);
  head.writeUInt8(0x80 | 126, 1);
  head.writeUInt16BE(bytes.length, 2);
  return bytes.length < 126
    ? Buffer.concat([Buffer.from([0x81, 0x80 | bytes.length, 0, 0, 0, 0]), bytes])
    : Buffer.concat([head, bytes]);
}

await t.test(
  'of 200 calls that arrive together none loses a frame, and neither does one that is up',
  async (t) => {
    const relay = await Relay.start(t);
    const caller: Caller = await relay.twilio().open();
    caller.send(connected, start({ callSid: 'CAup', streamSid: 'up' }));
    const bot = await relay.bot.connection();
    let sent = 0;
    const talk = (): void => {
      caller.send(media(sent, 'up'));
      bot.socket.send(twilioBotMedia('up', payload(sent++)));
    };
    const talking = setInterval(talk, 2);
    t.teardown(() => clearInterval(talking));
    const arrivals = await Promise.all(
      Array.from({ length: 200 }, (_none, index) => arrive(relay, `storm${index}`, 5)),
    );
    t.teardown(() => arrivals.forEach(({ socket }) => socket.destroy()));
    t.ok(arrivals.every(({ status }) => status === 101));
    await until(
      () =>
        relay.bot.sockets.length === 201 &&
        relay.bot.sockets.slice(1).every(({ received }) => received.length >= 7),
      'every frame at the bots',
    );
    talk();
    clearInterval(talking);
    await until(() => caller.received.length === sent && bot.received.length === sent + 2, 'the last frames');
    for (const socket of relay.bot.sockets.slice(1)) {
      const texts = socket.texts();
      const name = /"streamSid":"(storm\d+)"/.exec(texts[1] ?? '')?.[1] ?? '';
      const frames = Array.from({ length: 5 }, (_none, index) => media(index, name));
      if (JSON.stringify(texts.slice(2)) !== JSON.stringify(frames))
        t.fail(`${name} got ${texts.length} messages`);
    }
    for (let index = 0; index < sent; index++) {
      if (bot.texts()[index + 2] !== media(index, 'up')) t.fail(`frame ${index} at the bot`);
      if (caller.texts()[index] !== twilioBotMedia('up', payload(index)))
        t.fail(`frame ${index} at the caller`);
    }
    t.equal(relay.counters.get('refusedUpgrades'), 0);
    t.equal(relay.counters.get('pendingStreams'), 0);
    t.equal(relay.server.calls().length, 201);
  },
);

await t.test(
  'however few may wait, every arrival is answered, and who is answered 101 has a call',
  async (t) => {
    const relay = await Relay.start(t, { limits: { pendingStreams: 5 } });
    const arrivals = await Promise.all(
      Array.from({ length: 100 }, (_none, index) => arrive(relay, `storm${index}`, 1)),
    );
    t.teardown(() => arrivals.forEach(({ socket }) => socket.destroy()));
    const taken = arrivals.filter(({ status }) => status === 101).length;
    t.equal(arrivals.filter(({ status }) => status === 503).length, 100 - taken);
    t.ok(taken >= 5, `${taken} taken`);
    await until(() => relay.server.calls().length === taken, 'the calls');
    await until(() => relay.tap.calls.every(({ streams }) => streams[0]?.notes.length === 1), 'their frames');
    t.equal(relay.counters.get('refusedUpgrades'), 100 - taken);
    t.equal(relay.counters.get('pendingStreams'), 0);
    t.equal(relay.tap.calls[0]?.facts.accountId, accountId);
  },
);
