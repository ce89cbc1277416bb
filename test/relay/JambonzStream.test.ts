import t from 'tap';
import { jambonzDtmf, jambonzPlayDone, jambonzStart } from '../../src/providers/jambonz/messages.js';
import { Encoding, Track } from '../../src/tap/TapRecord.js';
import type { JambonzAccount } from '../../src/config/Config.js';
import { Relay, account, accountId } from './fixtures/Relay.js';
import { until } from './fixtures/until.js';

const facts = {
  sampleRate: 8000,
  mixType: 'mono',
  callSid: 'call-1',
  accountSid: accountId,
  from: '+1',
  to: '+2',
} as const;
const first = jambonzStart(facts);

function pcm(bytes: number, seed = 0): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 7 + seed) & 0xff));
}

function relayWith(
  t: Parameters<typeof Relay.start>[0],
  jambonz: Partial<JambonzAccount> = {},
): Promise<Relay> {
  return Relay.start(t, {
    accounts: (bot) => [
      account({
        upstream: { twilio: null, jambonz: bot.url },
        jambonz: { ...account().jambonz, ...jambonz },
      }),
    ],
  });
}

await t.test(
  'a bot that says nothing to the sub-protocol gets the call, as it would from jambonz',
  async (t) => {
    const relay = await relayWith(t);
    relay.bot.answersProtocol = false;
    const caller = await relay.jambonz().open();
    caller.send(first, pcm(320));
    const bot = await relay.bot.connection();
    await until(() => bot.received.length === 2, 'start and audio at the bot');
    t.equal(bot.request.headers['sec-websocket-protocol'], 'audio.drachtio.org', 'it was offered');
    bot.socket.send(pcm(640));
    await until(() => caller.received.length === 1, 'the answer at the caller');
    t.same(relay.lines('upstream_unreachable'), []);
  },
);

await t.test('a streaming call goes through byte for byte in both directions and is tapped', async (t) => {
  const relay = await relayWith(t);
  const caller = await relay.jambonz().open();
  t.equal(caller.socket.protocol, 'audio.drachtio.org', 'the sub-protocol that was offered is echoed');
  const frames = [pcm(320), pcm(321, 1), pcm(319, 2), pcm(64_000, 3)];
  const dtmf = jambonzDtmf('7', 200);
  const strange = '{"type":"session:summary","data":{"password":"x","n":1}}';
  caller.send(first, ...frames, dtmf, strange);
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 7, 'seven messages at the bot');
  t.equal(bot.socket.protocol, 'audio.drachtio.org');
  t.equal(bot.request.headers.authorization, `Basic ${Buffer.from('user:pass').toString('base64')}`);
  t.same(
    bot.received.map(({ isBinary }) => isBinary),
    [false, true, true, true, true, false, false],
  );
  t.same(
    bot.received.map(({ data }) => data),
    [first, ...frames, dtmf, strange].map((message) => Buffer.from(message)),
  );

  const answers = [pcm(1001, 4), pcm(999, 5)];
  for (const answer of answers) bot.socket.send(answer);
  bot.socket.send('{"type":"mark","data":{"name":"m"}}');
  bot.socket.send('{"type":"killAudio"}');
  await until(() => caller.received.length === 4, 'four messages at the caller');
  t.same(
    caller.received.slice(0, 2).map(({ data }) => data),
    answers,
  );
  caller.send('{"type":"mark","data":{"name":"m","event":"cleared"}}');
  caller.socket.close(1000, '');
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');

  const stream = relay.tap.stream();
  t.same(stream.heard(Track.caller), Buffer.concat(frames), 'an odd byte is carried over');
  t.ok(stream.notes.every((note) => note.kind !== 'audio' || (note['payload'] as Buffer).length % 2 === 0));
  t.same(stream.heard(Track.botSent), Buffer.concat(answers));
  t.match(
    stream.notes.find(({ kind }) => kind === 'dtmf'),
    { digit: '7', durationMs: 200 },
  );
  t.same(stream.kinds().slice(-3), ['mark', 'clear', 'markEcho']);
  t.match(stream.notes[0], { encoding: Encoding.pcm16, providerMs: NaN });
  t.match(stream.facts, {
    streamId: String,
    placement: 'count',
    playout: 'prebuffered',
    sampleRate: 8000,
    returnSampleRate: 8000,
    amendMs: 5000,
    marksTellPlayout: false,
    overrunFingerprint: true,
  });
  t.same(stream.end_, { reason: 'closed', closeCode: 1000 });
  const call = relay.tap.calls[0];
  t.match(call?.facts, { callId: 'call-1', from: '+1', to: '+2', direction: 'inbound', provider: 'jambonz' });
  t.match(call?.events, [{ type: 'unknown_message', name: 'session:summary', message: { data: { n: 1 } } }]);
  t.notMatch(JSON.stringify(call?.events), 'password');
});

await t.test('every mix and way of returning audio is placed as it has to be', async (t) => {
  const ways = [
    ['mono', 'streaming', 'prebuffered', Track.caller],
    ['mono', 'playAudio', 'clips', Track.caller],
    ['mono', 'none', 'none', Track.caller],
    ['stereo', 'playAudio', 'heard', Track.both],
    ['mixed', 'playAudio', 'heard', Track.mixed],
    ['stereo', 'streaming', 'prebuffered', Track.both],
  ] as const;
  for (const [mixType, returns, playout, track] of ways) {
    const relay = await relayWith(t, { returns, returnSampleRate: 24_000, legSampleRate: 16_000 });
    const caller = await relay.jambonz().open();
    caller.send(jambonzStart({ ...facts, mixType, sampleRate: 16_000 }), pcm(1280));
    await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 1, 'the frame');
    const what = `${mixType} with ${returns}`;
    t.match(
      relay.tap.stream().facts,
      { playout, sampleRate: 16_000, returnSampleRate: 24_000, legSampleRate: 16_000 },
      what,
    );
    t.same(relay.tap.stream().heard(track), pcm(1280), what);
  }
});

await t.test('a clip is forwarded and tapped only where clips are configured', async (t) => {
  const content = pcm(640);
  const clip = JSON.stringify({
    type: 'playAudio',
    data: {
      audioContentType: 'raw',
      sampleRate: 16_000,
      audioContent: content.toString('base64'),
      id: 'c1',
      queuePlay: true,
    },
  });
  for (const [returns, audio, sent] of [
    ['playAudio', clip, [clip]],
    ['streaming', clip, []],
    ['playAudio', pcm(320), []],
    ['none', pcm(320), []],
    ['none', clip, []],
  ] as const) {
    const relay = await relayWith(t, { returns });
    const caller = await relay.jambonz().open();
    caller.send(first);
    const bot = await relay.bot.connection();
    bot.socket.send(audio);
    bot.socket.send(audio);
    bot.socket.send('{"type":"disconnect"}');
    await until(() => caller.texts().at(-1) === '{"type":"disconnect"}', 'the message after');
    t.same(caller.texts().slice(0, -1), [...sent, ...sent]);
    t.equal(relay.lines('returns_not_configured').length, sent.length === 0 ? 1 : 0);
    if (sent.length === 0) continue;
    caller.send(jambonzPlayDone('c1', 20));
    await until(() => relay.tap.stream().kinds().includes('clipDone'), 'the end of the clip');
    t.same(relay.tap.stream().kinds(), ['clip', 'audio', 'clip', 'audio', 'clipDone']);
    t.match(relay.tap.stream().notes[0], { id: 'c1', queued: true, sampleRate: 16_000 });
    t.same(relay.tap.stream().heard(Track.botSent), Buffer.concat([content, content]));
    t.match(relay.tap.stream().notes[4], { id: 'c1', playedMs: 20 });
  }
});

await t.test('a bot that answers a stereo fork with clips is in the fork already', async (t) => {
  const relay = await relayWith(t, { returns: 'playAudio' });
  const caller = await relay.jambonz().open();
  caller.send(jambonzStart({ ...facts, mixType: 'stereo' }));
  const bot = await relay.bot.connection();
  const data = { audioContentType: 'raw', sampleRate: 8000, audioContent: pcm(320).toString('base64') };
  bot.socket.send(JSON.stringify({ type: 'playAudio', data }));
  await until(() => caller.received.length === 1, 'the clip at the caller');
  t.same(relay.tap.stream().kinds(), ['clip']);
});

await t.test('an empty binary frame is answered by closing from here', async (t) => {
  const relay = await relayWith(t);
  const caller = await relay.jambonz().open();
  caller.send(first, pcm(320), Buffer.alloc(0));
  t.equal((await caller.closed()).code, 1000);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  t.same(relay.tap.calls[0]?.end_, { ended: true });
  t.same(relay.tap.stream().end_, { reason: 'stop', closeCode: null });
  const bot = await relay.bot.connection();
  await until(() => bot.closeCode === 1000, 'the bot to be closed');
});

await t.test(
  'text that is not JSON closes the socket before the start, and is left out after it',
  async (t) => {
    const relay = await relayWith(t);
    const before = await relay.jambonz().open();
    before.send('not json');
    t.same(await before.closed(), { code: 1007, reason: 'frame_not_json' });
    const after = await relay.jambonz().open();
    after.send(first, 'not json', 'not json', pcm(320));
    const bot = await relay.bot.connection();
    await until(() => bot.received.length === 2, 'the frame at the bot');
    t.same(bot.received.at(-1)?.data, pcm(320));
    t.equal(relay.lines('frame_not_json').length, 2, 'once per stream');
  },
);

await t.test('a missing or absurd sample rate is 8000, with a line in the log', async (t) => {
  const relay = await relayWith(t);
  for (const [index, rate] of [undefined, 0, -1, 1e9, 'fast', 8000.5].entries()) {
    const caller = await relay.jambonz().open();
    caller.send(JSON.stringify({ ...facts, sampleRate: rate }), pcm(320));
    await until(() => relay.tap.calls[index]?.streams[0]?.notes.length === 1, `rate ${String(rate)}`);
    t.equal(relay.tap.calls[index]?.facts.sampleRate, 8000);
    t.equal(relay.lines('sample_rate_invalid').length, index + 1);
  }
});

await t.test('audio without a start message is kept under a provisional call id', async (t) => {
  const relay = await relayWith(t);
  const caller = await relay.jambonz().open();
  const frames = Array.from({ length: 151 }, (_, index) => pcm(320, index));
  caller.send(jambonzDtmf('1', 100), ...frames);
  await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 152, 'the audio');
  t.match(relay.tap.calls[0]?.facts, { accountId, callId: /^unknown-[0-9a-f]{12}$/, sampleRate: 8000 });
  t.same(relay.tap.stream().heard(Track.caller), Buffer.concat(frames));
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 152, 'the audio at the bot');
  t.same(
    bot.received.slice(1).map(({ data }) => data),
    frames,
  );

  const short = await relay.jambonz().open();
  short.send(pcm(320));
  short.socket.close(1000);
  await until(() => relay.tap.calls[1]?.end_ !== undefined, 'the short call');
  t.same(
    relay.tap.stream(1).heard(Track.caller),
    pcm(320),
    'a socket that ends earlier loses nothing either',
  );

  const late = await relay.jambonz().open();
  late.send(pcm(320, 1), first, pcm(320, 2));
  await until(() => relay.tap.calls[2]?.streams[0]?.notes.length === 2, 'the late start');
  t.equal(relay.tap.calls[2]?.facts.callId, 'call-1');
});

await t.test('audio without a start message is refused where the account can’t be told', async (t) => {
  const shared = { jambonz: account().jambonz };
  const relay = await Relay.start(t, {
    accounts: () => [account(shared), account({ ...shared, id: 'AC2' })],
  });
  const caller = await relay.jambonz().open();
  for (let index = 0; index < 150; index++) caller.send(pcm(320));
  t.same(await caller.closed(), { code: 1008, reason: 'account_unknown' });
  const named = await relay.jambonz('/jambonz/AC2').open();
  for (let index = 0; index < 150; index++) named.send(pcm(320));
  await until(() => relay.tap.calls[0]?.facts.accountId === 'AC2', 'the account of the path');
});

await t.test('a start message that the client cut off still starts the call', async (t) => {
  const relay = await relayWith(t);
  const caller = await relay.jambonz().open();
  const long = jambonzStart({ ...facts, metadata: { note: 'ü'.repeat(8000) } });
  const cut = Buffer.from(long).subarray(0, 8191);
  caller.socket.send(cut, { binary: false });
  caller.send(pcm(320));
  await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 1, 'the frame');
  t.equal(relay.tap.calls[0]?.facts.callId, 'call-1');
});
