import { connect as connectTcp, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import WebSocket from 'ws';
import { systemClock } from '../../src/bridge/BridgeClock.js';
import { BridgeServer } from '../../src/bridge/BridgeServer.js';
import { kernels } from '../../src/audio/kernels.js';
import { bytesOf, samplesOf } from '../../src/audio/pcm.js';
import { jambonzDtmf, jambonzStart } from '../../src/providers/jambonz/messages.js';
import { twilioDtmf, twilioMedia, twilioStart, twilioStop } from '../../src/providers/twilio/messages.js';
import { until } from '../relay/fixtures/until.js';
import { facts, tone } from './fixtures/bridgedCall.js';
import { FakeRooms } from './fixtures/FakeRooms.js';

async function serving(t: Test): Promise<{
  readonly server: BridgeServer;
  readonly rooms: FakeRooms;
  readonly over: string[];
  readonly port: number;
  readonly connect: (ticket: string | null) => WebSocket & { readonly received: (Buffer | string)[] };
}> {
  const [rooms, over] = [new FakeRooms(), [] as string[]];
  const server = new BridgeServer({
    rooms,
    clock: systemClock,
    report: () => () => undefined,
    onOver: (ticket) => over.push(ticket),
  });
  const port = await server.listen();
  const sockets: WebSocket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.terminate();
    server.close();
  });
  const connect = (ticket: string | null) => {
    const headers = ticket === null ? {} : { authorization: `Bearer ${ticket}` };
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers });
    const received: (Buffer | string)[] = [];
    sockets.push(socket);
    socket.on('message', (data, isBinary) =>
      received.push(isBinary ? (data as Buffer) : (data as Buffer).toString()),
    );
    socket.on('error', () => undefined);
    return Object.assign(socket, { received });
  };
  return { server, rooms, over, port, connect };
}

const ids = { streamSid: 'MZ1', accountSid: 'AC1', callSid: 'CA1' };

function mulaw(samples: Int16Array): Uint8Array {
  const bytes = new Uint8Array(samples.length);
  kernels.encodeMulaw(samples, bytes);
  return bytes;
}

await t.test('a Twilio call speaks its own dialect to the end', async (t) => {
  const { server, rooms, over, connect } = await serving(t);
  const call = facts({ ticket: 'ticket-0123456789' });
  server.expect(call);
  const socket = connect(call.ticket);
  await until(() => socket.readyState === WebSocket.OPEN, 'the upgrade');
  socket.send(twilioStart({ ...ids, sequenceNumber: 1 }));
  await until(() => rooms.rooms.length === 1, 'the join');
  const payload = mulaw(tone(20, 8000));
  socket.send(twilioMedia({ streamSid: 'MZ1', sequenceNumber: 2, chunk: 1, timestamp: 0, payload }));
  socket.send(twilioDtmf({ streamSid: 'MZ1', sequenceNumber: 3, digit: '5' }));
  await until(() => rooms.last.said.length === 1 && rooms.last.pressed.length === 1, 'what the caller did');
  const decoded = new Int16Array(160);
  kernels.decodeMulaw(payload, decoded);
  t.strictSame(rooms.last.said[0], decoded);
  t.same(rooms.last.pressed, ['5']);
  const { owner } = rooms.last;
  owner.participantJoined({ identity: 'agent', isAgent: true });
  owner.voiceAdded(0, 'agent');
  owner.voiceHeard(0, tone(20, 8000));
  await until(() => socket.received.length === 1, 'the agent');
  t.strictSame(JSON.parse(String(socket.received[0])), {
    event: 'media',
    streamSid: 'MZ1',
    media: { payload: Buffer.from(payload).toString('base64') },
  });
  for (let i = 0; i < 10; i++) owner.voiceHeard(0, tone(20, 8000));
  owner.voiceMuted(0, true);
  await until(() => socket.received.some((each) => String(each).includes('"clear"')), 'the clear');
  socket.send(twilioStop({ ...ids, sequenceNumber: 4 }));
  await until(() => over.length === 1, 'the end');
  t.ok(rooms.last.isLeft);
  t.equal(server.size, 0);
});

await t.test('a jambonz call in stereo at 16 kHz is heard from its left', async (t) => {
  const { server, rooms, connect } = await serving(t);
  const call = facts({ ticket: 'ticket-0123456789', dialect: 'jambonz' });
  server.expect(call);
  const socket = connect(call.ticket);
  await until(() => socket.readyState === WebSocket.OPEN, 'the upgrade');
  socket.send(jambonzStart({ sampleRate: 16_000, mixType: 'stereo', callSid: 'CA1', accountSid: 'AC1' }));
  await until(() => rooms.rooms.length === 1, 'the join');
  t.same([rooms.last.join.callerRate, rooms.last.join.voiceRate], [16_000, 16_000]);
  const left = tone(20, 16_000);
  const stereo = new Int16Array(640);
  kernels.interleave(left, tone(20, 16_000, 900), stereo);
  const bytes = bytesOf(stereo);
  // Cut in the middle of a sample.
  socket.send(bytes.subarray(0, 301));
  socket.send(bytes.subarray(301));
  socket.send(jambonzDtmf('#', 100));
  await until(() => rooms.last.said.length === 1 && rooms.last.pressed.length === 1, 'what the caller did');
  t.strictSame(rooms.last.said[0], left);
  const { owner } = rooms.last;
  owner.participantJoined({ identity: 'agent', isAgent: true });
  owner.voiceAdded(0, 'agent');
  owner.voiceHeard(0, tone(20, 16_000, 500));
  await until(() => socket.received.length === 1, 'the agent');
  t.strictSame(samplesOf(socket.received[0] as Buffer), tone(20, 16_000, 500));
  owner.agentState('agent', 'speaking');
  for (let i = 0; i < 20; i++) socket.send(bytesOf(stereo));
  await until(() => rooms.last.said.length > 5, 'the caller who talks');
  owner.agentState('agent', 'listening');
  await until(() => socket.received.includes('{"type":"killAudio"}'), 'the interruption');
});

await t.test('audio goes back to a jambonz at the rate that it wants', async (t) => {
  const { server, rooms, connect } = await serving(t);
  for (const [index, [rate, roomRate]] of [
    [24_000, 24_000],
    [22_050, 48_000],
  ].entries() as IterableIterator<[number, [number, number]]>) {
    const call = facts({ ticket: `ticket-0123456789-${index}`, dialect: 'jambonz', returnSampleRate: rate });
    server.expect(call);
    const socket = connect(call.ticket);
    await until(() => socket.readyState === WebSocket.OPEN, 'the upgrade');
    socket.send(jambonzStart({ sampleRate: 8000, mixType: 'mono', callSid: 'CA1', accountSid: 'AC1' }));
    await until(() => rooms.rooms.length === index + 1, 'the join');
    t.equal(rooms.last.join.voiceRate, roomRate);
    rooms.last.owner.voiceAdded(0, 'agent');
    for (let i = 0; i < 3; i++) rooms.last.owner.voiceHeard(0, tone(20, roomRate));
    await until(() => socket.received.length === 3, 'the agent');
    const bytes = socket.received.reduce((sum, each) => sum + each.length, 0);
    t.ok(Math.abs(bytes / 2 - (60 * rate) / 1000) < 60, `${bytes} bytes at ${rate} Hz`);
  }
});

await t.test('nobody comes in without a ticket, or twice with one', async (t) => {
  const { server, rooms, connect } = await serving(t);
  const refused = async (ticket: string | null): Promise<void> => {
    const socket = connect(ticket);
    await until(() => socket.readyState === WebSocket.CLOSED, 'the refusal');
  };
  await refused(null);
  await refused('short');
  const call = facts({ ticket: 'ticket-0123456789' });
  server.expect(call);
  const socket = connect(call.ticket);
  await until(() => socket.readyState === WebSocket.OPEN, 'the upgrade');
  await refused(call.ticket);
  t.equal(rooms.joins, 0);
});

await t.test('a socket that is faster than the word of it waits for it', async (t) => {
  const { server, connect } = await serving(t);
  const call = facts({ ticket: 'ticket-0123456789' });
  const socket = connect(call.ticket);
  await until(() => server.waiting === 1, 'the socket');
  t.equal(socket.readyState, WebSocket.CONNECTING);
  server.expect(call);
  await until(() => socket.readyState === WebSocket.OPEN, 'the upgrade');
  t.equal(server.size, 1);
});

/** An upgrade as it stands on the wire. */
function upgrade(port: number, ticket: string, ...headers: readonly string[]): Socket {
  const socket = connectTcp(port, '127.0.0.1');
  const lines = ['Host: 127.0.0.1', 'Connection: Upgrade', 'Upgrade: websocket', ...headers];
  socket.on('error', () => undefined);
  socket.write(
    ['GET / HTTP/1.1', ...lines, `Authorization: Bearer ${ticket}`].map((line) => `${line}\r\n`).join('') +
      '\r\n',
  );
  return socket;
}

const websocket = ['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`];

await t.test('a socket that comes to nothing gives its ticket back', async (t) => {
  const { server, over, port } = await serving(t);
  const call = facts({ ticket: 'ticket-0123456789' });
  server.expect(call);
  const socket = upgrade(port, call.ticket, 'Sec-WebSocket-Version: 13');
  t.teardown(() => socket.destroy());
  await until(() => over.length === 1, 'the end of it');
  t.same(over, [call.ticket]);
  t.equal(server.size, 0);
});

await t.test('so does one that is gone before the word of it comes', async (t) => {
  const { server, over, port, connect } = await serving(t);
  const call = facts({ ticket: 'ticket-0123456789' });
  const socket = upgrade(port, call.ticket, ...websocket);
  await until(() => server.waiting === 1, 'the socket');
  socket.resetAndDestroy();
  connect('another-0123456789');
  await until(() => server.waiting === 2, 'what comes after its end');
  server.expect(call);
  await until(() => over.length === 1, 'the end of it');
  t.same(over, [call.ticket]);
  t.equal(server.size, 0);
});
