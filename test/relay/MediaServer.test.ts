import { once } from 'node:events';
import { connect } from 'node:net';
import * as fc from 'fast-check';
import t from 'tap';
import type { ClientOptions } from 'ws';
import { signatureOf } from '../../src/providers/twilio/signature.js';
import { Track } from '../../src/tap/TapRecord.js';
import {
  Caller,
  Relay,
  account,
  accountId,
  authToken,
  config,
  otherAccountId,
  otherAuthToken,
} from './fixtures/Relay.js';
import { callId, connected, media, payload, start, stop } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

const other = account({
  id: otherAccountId,
  twilio: { authTokens: ['old', otherAuthToken], requireToken: false },
  jambonz: { ...account().jambonz, credentials: [{ username: 'user2', password: 'pass2' }] },
});
const open = account({
  id: '*',
  twilio: { authTokens: [], requireToken: false },
  jambonz: { ...account().jambonz, credentials: [] },
});

function codeOf(refusal: { body: string }): unknown {
  return (JSON.parse(refusal.body) as { code: unknown }).code;
}

await t.test('an upgrade that proves nothing is refused with a code that says why', async (t) => {
  const relay = await Relay.start(t, { accounts: () => [account(), other] });
  const cases: [string, Caller, number, string][] = [
    ['no signature', relay.twilio('/twilio', null), 401, 'signature_missing'],
    ['a wrong signature', relay.twilio('/twilio', 'guessed'), 403, 'signature_invalid'],
    [
      'rubbish for a signature',
      relay.twilio('/twilio', null, { 'X-Twilio-Signature': 'x' }),
      403,
      'signature_invalid',
    ],
    [
      'another account’s signature',
      relay.twilio(`/twilio/${accountId}`, otherAuthToken),
      403,
      'signature_invalid',
    ],
    ['an unknown account', relay.twilio('/twilio/AC9'), 403, 'account_unknown'],
    ['no signature on a tap', relay.twilio('/twilio/tap', null), 401, 'signature_missing'],
    ['no credentials', relay.jambonz('/jambonz', null), 401, 'credentials_invalid'],
    ['a wrong password', relay.jambonz('/jambonz', 'user:hunter2'), 403, 'credentials_invalid'],
    [
      'another account’s password',
      relay.jambonz(`/jambonz/${accountId}`, 'user2:pass2'),
      403,
      'credentials_invalid',
    ],
    ['no such path', relay.twilio('/nowhere'), 404, 'path_unknown'],
    ['a path below a path', relay.twilio('/twilio/tap/x'), 404, 'path_unknown'],
    ['a path that climbs', relay.twilio('/twilio/..%2f..'), 404, 'path_unknown'],
    ['a path that can’t be decoded', relay.twilio('/twilio/%E0%A4%A'), 404, 'path_unknown'],
  ];
  for (const [what, caller, status, code] of cases) {
    const refusal = await caller.refusal();
    t.equal(refusal.status, status, what);
    t.equal(codeOf(refusal), code, what);
  }
  const missing = await relay.jambonz('/jambonz', null).refusal();
  t.match(missing.headers, { 'www-authenticate': /^Basic / });
  t.equal(relay.counters.get('refusedUpgrades'), cases.length + 1);
  t.match(relay.lines('credentials_invalid')[1], { value: 'user', path: '/jambonz' });
  t.notMatch(JSON.stringify(relay.log), 'hunter2', 'a password is never logged');
});

await t.test(
  'an account is proven by each of its tokens, on its own path and on the common one',
  async (t) => {
    const relay = await Relay.start(t, { accounts: () => [account(), other] });
    const ways: [Caller, string][] = [
      [relay.twilio('/twilio'), accountId],
      [relay.twilio(`/twilio/${accountId}`), accountId],
      [relay.twilio('/twilio/', otherAuthToken), otherAccountId],
      [relay.twilio('/twilio?x=1', 'old'), otherAccountId],
    ];
    for (const [index, [caller, id]] of ways.entries()) {
      await caller.open();
      caller.send(connected, start({ accountSid: id }));
      await until(() => relay.tap.calls.length === index + 1, `way ${index}`);
      t.equal(relay.tap.calls[index]?.facts.accountId, id);
    }
    const wrong = await relay.twilio('/twilio', authToken).open();
    wrong.send(connected, start({ accountSid: otherAccountId }));
    t.same(await wrong.closed(), { code: 1008, reason: 'account_mismatch' });
    const jambonz = await relay.jambonz('/jambonz', 'user2:pass2').open();
    jambonz.send(JSON.stringify({ sampleRate: 8000, mixType: 'mono', callSid: 'c', accountSid: accountId }));
    t.same(await jambonz.closed(), { code: 1008, reason: 'account_mismatch' });
  },
);

await t.test('behind a proxy the signature is for the public URL', async (t) => {
  const relay = await Relay.start(t);
  relay.server.reload({
    ...relay.config,
    media: { ...relay.config.media, publicUrl: 'https://relay.example.com' },
  });
  const signature = signatureOf(authToken, 'wss://relay.example.com/twilio');
  const headers = { 'X-Twilio-Signature': signature, 'X-Forwarded-For': '203.0.113.9' };
  await new Caller(`ws://127.0.0.1:${relay.port}/twilio`, [], { headers }).open();
  t.equal((await relay.twilio().refusal()).status, 403, 'not for the address that it came in by');
});

await t.test('an account without secrets is served on loopback only', async (t) => {
  const relay = await Relay.start(t, { accounts: () => [open] });
  const caller = await relay.twilio('/twilio', null).open();
  caller.send(connected, start({ accountSid: 'ACanything' }), media(0));
  await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 1, 'the frame');
  t.equal(relay.tap.calls[0]?.facts.accountId, 'ACanything');
  const named = await relay.twilio('/twilio/ACnamed', null).open();
  named.send(connected, start({ accountSid: 'ACother' }));
  t.same(await named.closed(), { code: 1008, reason: 'account_mismatch' });
  const jambonz = await relay.jambonz('/jambonz', 'any:thing').open();
  jambonz.send('{"callSid":"c","accountSid":"a"}');
  await until(() => relay.tap.calls.length === 2, 'the jambonz call');
  const fromElsewhere = [
    ...['X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'Via'].map((name) => ({ [name]: '203.0.113.9' })),
    { Origin: 'https://evil.example.com' },
    { Origin: 'null' },
    { Host: 'relay.example.com' },
  ];
  for (const headers of fromElsewhere) {
    const refusal = await relay.twilio('/twilio', null, headers).refusal();
    t.equal(refusal.status, 403, JSON.stringify(headers));
    t.equal(codeOf(refusal), 'account_loopback_only', JSON.stringify(headers));
  }
  await relay.twilio('/twilio', null, { Origin: 'http://localhost', Host: 'localhost' }).open();
});

await t.test('a catch-all without secrets opens no other account', async (t) => {
  const relay = await Relay.start(t, { accounts: () => [account(), open] });
  const caller = await relay.twilio('/twilio', null).open();
  caller.send(connected, start());
  t.same(await caller.closed(), { code: 1008, reason: 'account_mismatch' });
});

await t.test('a sub-protocol that nobody knows is left unanswered', async (t) => {
  const relay = await Relay.start(t);
  // The ws client insists on an answer to its offer; jambonz doesn't.
  const basic = Buffer.from('user:pass').toString('base64');
  const socket = connect(relay.port, '127.0.0.1');
  socket.write(
    `GET /jambonz HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mine\r\nAuthorization: Basic ${basic}\r\n\r\n`,
  );
  const [head] = (await once(socket, 'data')) as [Buffer];
  t.match(head.toString(), /^HTTP\/1\.1 101 /);
  t.notMatch(head.toString(), /sec-websocket-protocol/i);
  socket.destroy();
});

await t.test('a socket that says nothing is closed, and until then counts as pending', async (t) => {
  const relay = await Relay.start(t, { limits: { startTimeoutMs: 100 } });
  const silent = await relay.twilio().open();
  const greeter = await relay.twilio().open();
  greeter.send(connected);
  t.equal(relay.counters.get('pendingStreams'), 2);
  for (const caller of [silent, greeter]) {
    t.same(await caller.closed(), { code: 1008, reason: 'start_timeout' });
  }
  t.equal(relay.counters.get('pendingStreams'), 0);
  t.equal(relay.lines('start_timeout').length, 2);
});

await t.test('a flood of upgrades is bounded, and the calls that are up go on', async (t) => {
  const relay = await Relay.start(t, { limits: { pendingStreams: 20 } });
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  await until(() => relay.tap.calls.length === 1, 'the call');
  const flood = Array.from({ length: 200 }, () => relay.twilio());
  await until(() => flood.every((one) => one.opened || one.refused !== undefined), 'the flood');
  t.equal(flood.filter(({ opened }) => opened).length, 20);
  const refused = flood.find((one) => one.refused !== undefined)?.refused;
  t.equal(refused?.status, 503);
  t.equal(codeOf(refused ?? { body: '{}' }), 'too_many_streams');
  caller.send(media(0));
  await until(() => relay.tap.stream().notes.length === 1, 'the frame');
  t.ok(relay.lines('too_many_streams').length <= 40, 'the log is bounded too');
  for (const one of flood) one.socket.terminate();
  await until(() => relay.counters.get('pendingStreams') === 0, 'the flood to pass');
  await relay.twilio().open();
});

await t.test(
  'guessing signatures takes a bounded share of the time, however many accounts there are',
  async (t) => {
    // One guess must stay far below the whole budget, on a busy machine too.
    const many = Array.from({ length: 1000 }, (_, index) =>
      account({ id: `AC${index}`, twilio: { authTokens: [`token-${index}`], requireToken: false } }),
    );
    const relay = await Relay.start(t, { accounts: () => many });
    const guesses = Array.from({ length: 100 }, () => relay.twilio('/twilio', 'guess'));
    const statuses = await Promise.all(guesses.map(async (guess) => (await guess.refusal()).status));
    t.ok(statuses.includes(403) && statuses.includes(503), statuses.join(' '));
    const url = `ws://127.0.0.1:${relay.port}/twilio/AC999`;
    const headers = { 'X-Twilio-Signature': signatureOf('token-999', url) };
    const elsewhere: ClientOptions & { localAddress: string } = { headers, localAddress: '127.0.0.2' };
    await new Caller(url, [], elsewhere).open();
    let caller = relay.twilio('/twilio/AC999', 'token-999');
    await until(() => {
      if (caller.refused !== undefined) caller = relay.twilio('/twilio/AC999', 'token-999');
      return caller.opened;
    }, 'an honest caller to be let in');
  },
);

await t.test('requests that nobody waits for are answered up to a bound', async (t) => {
  let asked = 0;
  const relay = await Relay.start(t, {
    answer: () => {
      asked++;
      return Promise.resolve({ status: 200, headers: {}, body: '' });
    },
  });
  const socket = connect(relay.port, '127.0.0.1');
  socket.write('GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5000));
  socket.resume();
  await once(socket, 'close');
  t.equal(asked, 100);
});

await t.test('sockets that never finish their upgrade are bounded', async (t) => {
  const relay = await Relay.start(t, { limits: { calls: 1, pendingStreams: 1 } });
  const sockets = Array.from({ length: 300 }, () => connect(relay.port, '127.0.0.1'));
  let gone = 0;
  for (const socket of sockets) {
    socket.on('error', () => undefined);
    socket.on('close', () => gone++);
    socket.write('GET /twilio HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  }
  await until(() => gone >= 300 - (3 + 1 + 256), 'those above the bound');
  for (const socket of sockets) socket.destroy();
  await until(() => gone === 300, 'the rest');
  t.ok((await relay.twilio().open()).opened, 'then there is room again');
});

await t.test('the limit of calls refuses the next one before its upgrade', async (t) => {
  const relay = await Relay.start(t, { limits: { calls: 1 } });
  const [first, second] = [await relay.twilio().open(), await relay.twilio().open()];
  first.send(connected, start());
  await until(() => relay.tap.calls.length === 1, 'the call');
  t.equal(codeOf(await relay.twilio().refusal()), 'too_many_streams');
  second.send(connected, start({ callSid: 'CAsecond' }));
  t.same(await second.closed(), { code: 1013, reason: 'too_many_streams' });
  first.send(stop());
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  await relay.twilio().open();
});

await t.test('what fails inside one call leaves another undisturbed', async (t) => {
  const relay = await Relay.start(t);
  const [bad, good] = [await relay.twilio().open(), await relay.twilio().open()];
  good.send(connected, start({ callSid: 'CAgood' }));
  await until(() => relay.tap.calls.length === 1, 'the good call');
  bad.send(connected, start({ callSid: 'CAbad' }));
  const bot = await relay.bot.connection(1);
  await until(() => relay.tap.calls.length === 2 && bot.received.length === 2, 'the bad call');
  bot.request.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  t.equal((await bad.closed()).code, 1000, 'the bot broke the protocol, which is a loss');
  const broken = await relay.twilio().open();
  broken.send(connected, start({ callSid: 'CAbroken' }));
  await until(() => relay.tap.calls.length === 3, 'the broken call');
  const raw = (broken.socket as unknown as { _socket: import('node:net').Socket })._socket;
  raw.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  t.equal((await broken.closed()).code, 1002);
  await until(() => relay.tap.calls[2]?.end_ !== undefined, 'the end of the broken call');
  t.equal(relay.lines('websocket_violation').length, 1);
  good.send(media(0));
  await until(() => relay.tap.stream(0).notes.length === 1, 'the good call’s frame');
  t.same(relay.tap.stream(0).heard(Track.caller), payload(0));
});

await t.test('whatever twenty sockets send, a call beside them loses nothing', async (t) => {
  const relay = await Relay.start(t, { limits: { pendingStreams: 500 } });
  const good = await relay.twilio().open();
  good.send(connected, start({ callSid: 'CAgood' }));
  const bot = await relay.bot.connection();
  const seeds = [connected, start(), media(0), media(1), stop(), '{"event":"mark","mark":{"name":"m"}}'];
  const garbled = fc
    .tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat(12), fc.string({ maxLength: 12 }))
    .map(
      ([seed, at, cut, put]) => seed.slice(0, at % seed.length) + put + seed.slice((at % seed.length) + cut),
    );
  const message = fc.oneof(fc.constantFrom(...seeds), garbled, fc.json(), fc.uint8Array({ maxLength: 400 }));
  const scripts = fc.sample(fc.array(message, { minLength: 1, maxLength: 60 }), { numRuns: 60, seed: 20_26 });
  let frames = 0;
  for (const script of scripts) {
    const caller = frames % 2 === 0 ? relay.twilio() : relay.jambonz();
    await caller.open();
    caller.send(start(), ...script);
    good.send(media(frames++));
    caller.socket.close(1000);
    await caller.closed();
  }
  await until(() => bot.received.length === 2 + frames, 'every frame at the bot');
  await until(() => relay.tap.stream().notes.length === frames, 'every frame in the tap');
  t.same(relay.lines('stream_failed'), []);
  t.equal(good.close, undefined);
  await until(() => relay.counters.get('streams') === 1, 'the others to be gone');
  t.equal(relay.counters.get('pendingStreams'), 0);
});

await t.test('plain requests are answered elsewhere, within their bounds', async (t) => {
  const requests: unknown[] = [];
  const relay = await Relay.start(t, {
    answer: (request) => {
      requests.push({ ...request, body: Buffer.from(request.body).toString() });
      if (request.url === '/broken') return Promise.reject(new Error('control is gone'));
      return Promise.resolve({ status: 201, headers: { 'Content-Type': 'text/xml' }, body: '<Response/>' });
    },
  });
  const base = `http://127.0.0.1:${relay.port}`;
  const voice = await fetch(`${base}/twilio/voice?x=1`, { method: 'POST', body: 'CallSid=CA1' });
  t.equal(voice.status, 201);
  t.equal(await voice.text(), '<Response/>');
  t.match(requests, [
    {
      method: 'POST',
      url: '/twilio/voice?x=1',
      body: 'CallSid=CA1',
      remoteAddress: '127.0.0.1',
      headers: { host: String },
    },
  ]);
  const large = await fetch(`${base}/twilio/voice`, { method: 'POST', body: 'x'.repeat(1_000_000) });
  t.equal(large.status, 413);
  const broken = await fetch(`${base}/broken`);
  t.equal(broken.status, 503);
  t.match(await broken.json(), { code: 'thread_lost', message: String });
  t.equal(requests.length, 2);
});

await t.test('health is answered here, whatever the other threads do', async (t) => {
  const relay = await Relay.start(t, { answer: () => new Promise(() => undefined) });
  const base = `http://127.0.0.1:${relay.port}`;
  for (const path of ['/healthz', '/readyz']) {
    const response = await fetch(base + path);
    t.equal(response.status, 200, path);
    t.match(await response.json(), { threads: { media: 'ready', recorder: 'starting' } });
  }
  void relay.server.drain();
  t.equal((await fetch(`${base}/readyz`)).status, 503);
  t.equal((await fetch(`${base}/healthz`)).status, 200);
});

await t.test('a reload is for new sockets; a call that is up keeps what it has', async (t) => {
  const relay = await Relay.start(t);
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  await until(() => relay.tap.calls.length === 1, 'the call');
  relay.server.reload(config([other]));
  caller.send(media(0));
  await until(() => relay.tap.stream().notes.length === 1, 'the frame');
  t.equal((await relay.twilio().refusal()).status, 403);
  await relay.twilio('/twilio', otherAuthToken).open();
});

await t.test('a drain lets calls end by themselves and takes no more', async (t) => {
  const relay = await Relay.start(t, { accounts: () => [account({ resumeSeconds: 600 })] });
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  await until(() => relay.tap.calls.length === 1, 'the call');
  let drained = false;
  const draining = relay.server.drain().then(() => (drained = true));
  t.equal(codeOf(await relay.twilio().refusal()), 'draining');
  caller.send(media(0));
  await until(() => relay.tap.stream().notes.length === 1, 'the frame');
  t.notOk(drained);
  caller.send(stop());
  caller.socket.close(1000);
  await draining;
  t.same(relay.tap.calls[0]?.end_, { ended: true }, 'nobody could come back');
});

await t.test('a close cuts short what is up and tells both sides', async (t) => {
  const relay = await Relay.start(t);
  const [caller, pending] = [await relay.twilio().open(), await relay.twilio().open()];
  caller.send(connected, start(), media(0));
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 3, 'the frame at the bot');
  await relay.server.close();
  t.equal((await caller.closed()).code, 1001);
  t.same(await pending.closed(), { code: 1001, reason: 'draining' });
  await until(() => bot.closeCode !== undefined, 'the bot to be closed');
  t.equal(bot.closeCode, 1001);
  t.same(relay.tap.stream().end_, { reason: 'relay', closeCode: 1001 });
  t.same(relay.tap.calls[0]?.end_, { ended: false });
  t.equal(relay.counters.get('calls'), 0);
});

await t.test('a change of the calls is announced, and time goes to the tap', async (t) => {
  const relay = await Relay.start(t);
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  await until(() => relay.changes > 0, 'the announcement');
  t.match(relay.server.calls(), [
    {
      callId,
      accountId,
      provider: 'twilio',
      recordingId: String,
      startTime: /^\d{4}-.*Z$/,
      upstream: 'open',
    },
  ]);
  await until(() => relay.tap.clocks > 0, 'the clock');
});
