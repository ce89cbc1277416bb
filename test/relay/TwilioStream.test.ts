import t from 'tap';
import { jambonzStart } from '../../src/providers/jambonz/messages.js';
import {
  twilioBotClear,
  twilioBotMark,
  twilioBotMedia,
  twilioDtmf,
  twilioMark,
  twilioMedia,
} from '../../src/providers/twilio/messages.js';
import { signatureOf } from '../../src/providers/twilio/signature.js';
import { Encoding, Track } from '../../src/tap/TapRecord.js';
import { Relay, account, accountId, authToken } from './fixtures/Relay.js';
import { callId, connected, media, payload, start, stop, streamId } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

await t.test('a call goes through byte for byte in both directions and is tapped', async (t) => {
  const relay = await Relay.start(t);
  const caller = relay.twilio();
  const odd = start({ customParameters: { reelay: 'ünïcode', apiToken: 'secret' } }).replace(',', ' ,\n');
  await caller.open();
  caller.send(connected, odd, media(0), media(1));
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 4, 'four messages at the bot');
  t.same(bot.texts(), [connected, odd, media(0), media(1)]);
  t.notOk(bot.received.some(({ isBinary }) => isBinary));
  t.equal(bot.request.headers['x-twilio-signature'], signatureOf(authToken, relay.bot.url));
  t.equal(bot.request.headers['sec-websocket-extensions'], undefined);

  const burst = twilioBotMedia(streamId, Buffer.alloc(80_000, 0x55));
  const answers = [burst, twilioBotMark(streamId, 'm'), twilioBotClear(streamId)];
  for (const answer of answers) bot.socket.send(answer);
  await until(() => caller.received.length === 3, 'three messages at the caller');
  t.same(caller.texts(), answers);

  const numbered = { streamSid: streamId, sequenceNumber: 4 };
  const rest = [twilioMark({ ...numbered, name: 'm' }), twilioDtmf({ ...numbered, digit: '5' }), stop()];
  caller.send(...rest);
  caller.socket.close(1000);
  await until(() => bot.closeCode !== undefined, 'the bot to be closed');
  t.equal(bot.closeCode, 1000);
  t.same(bot.texts().slice(4), rest);

  const stream = relay.tap.stream();
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  t.same(stream.kinds(), ['audio', 'audio', 'audio', 'mark', 'clear', 'markEcho', 'dtmf']);
  t.same(stream.heard(Track.caller), Buffer.concat([payload(0), payload(1)]));
  t.same(stream.heard(Track.botSent), Buffer.alloc(80_000, 0x55));
  t.match(stream.notes[1], { encoding: Encoding.mulaw, providerMs: 20 });
  t.match(stream.notes[2], { providerMs: NaN });
  t.match(stream.facts, {
    streamId,
    role: 'call',
    sampleRate: 8000,
    placement: 'timestamp',
    tracks: ['caller'],
    playout: 'queue',
    amendMs: 1500,
    marksTellPlayout: true,
    overrunFingerprint: false,
  });
  t.same(stream.end_, { reason: 'stop', closeCode: null });
  const call = relay.tap.calls[0];
  t.match(call?.facts, { accountId, callId, provider: 'twilio', sampleRate: 8000, channels: 'dual' });
  t.same(call?.facts.parameters, { reelay: 'ünïcode' }, 'what looks like a secret is left out');
  t.same(call?.end_, { ended: true });
  t.same(relay.codes(), []);
  const { to_bot: toBot, to_provider: toProvider } = relay.counters.latency;
  t.ok(toBot.count + toProvider.count >= 5, 'the latency of what was forwarded is observed');
});

await t.test('what comes before the start message closes the socket with its own code', async (t) => {
  const relay = await Relay.start(t);
  const cases: [string, string | Buffer, number, string][] = [
    ['text that is not JSON', 'hello', 1007, 'frame_not_json'],
    ['JSON that is no object', '[1]', 1007, 'frame_not_object'],
    ['a binary frame', Buffer.alloc(320), 1003, 'frame_binary'],
    ['media', media(0), 1002, 'event_out_of_order'],
    ['stop', stop(), 1002, 'event_out_of_order'],
    ['a start without ids', '{"event":"start","start":{}}', 1008, 'start_invalid'],
    ['a call id that climbs', start({ callSid: '../../etc/passwd' }), 1008, 'call_id_invalid'],
    ['a call id with control characters', start({ callSid: 'CA\n\u0000' }), 1008, 'call_id_invalid'],
    ['a stream id with a slash', start({ streamSid: 'a/b' }), 1008, 'call_id_invalid'],
    ['an account that is not configured', start({ accountSid: 'AC9' }), 1008, 'account_unknown'],
    [
      'the start message of another dialect',
      jambonzStart({ sampleRate: 8000, mixType: 'mono', callSid: 'c', accountSid: accountId }),
      1007,
      'frame_not_object',
    ],
  ];
  for (const [what, message, code, reason] of cases) {
    const caller = await relay.twilio().open();
    caller.send(message);
    t.same(await caller.closed(), { code, reason }, what);
    t.equal(relay.codes().at(-1), reason, `${what} is logged`);
  }
  t.equal(relay.tap.calls.length, 0);
  t.equal(relay.bot.upgrades, 0);
  t.equal(relay.counters.get('pendingStreams'), 0);
  t.equal(relay.counters.get('refusedStreams'), cases.length);
});

await t.test('a message of 10 MB closes the socket with 1009 and nothing else', async (t) => {
  const relay = await Relay.start(t);
  const other = await relay.twilio().open();
  other.send(start({ callSid: 'CAother' }));
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0), Buffer.alloc(10_000_000, 0x20).toString());
  t.equal((await caller.closed()).code, 1009);
  await until(() => relay.tap.calls.every((call) => call.facts.callId === 'CAother' || call.end_), 'the end');
  t.equal(relay.lines('payload_oversized').length, 1);
  t.match(relay.lines('payload_oversized')[0], { callId, streamId, value: /^more than \d+ bytes$/ });
  other.send(media(0));
  await until(() => relay.tap.stream(0).notes.length === 1, 'the other call to go on');
});

await t.test('after the start nothing that a provider sends closes the socket', async (t) => {
  const relay = await Relay.start(t);
  const caller = await relay.twilio().open();
  const bad = {
    frame_not_json: ['{"event":"media"', '}{'],
    frame_not_object: ['17', '{"no":"event"}'],
    frame_binary: [Buffer.alloc(10)],
    event_out_of_order: [start(), connected],
    stream_mismatch: [media(1, 'MZsomebodyelses')],
    payload_not_base64: [media(1).replace(/"payload":"[^"]*"/, '"payload":"###"')],
    payload_empty: [media(1).replace(/"payload":"[^"]*"/, '"payload":""')],
    timestamp_invalid: [media(1).replace(/"timestamp":"20"/, '"timestamp":"soon"')],
    timestamp_absurd: [media(1).replace(/"timestamp":"20"/, '"timestamp":"86400000"')],
    payload_has_header: [
      twilioMedia({
        streamSid: streamId,
        sequenceNumber: 3,
        chunk: 3,
        timestamp: 40,
        payload: Buffer.from('RIFF\0\0\0\0WAVEfmt '),
      }),
    ],
  };
  const unknown = JSON.stringify({ event: 'novelty', streamSid: streamId, secretToken: 'x', n: 1 });
  const backwards = media(0);
  caller.send(connected, start(), media(0));
  for (const messages of Object.values(bad)) caller.send(...messages, ...messages);
  caller.send(unknown, backwards, backwards, media(2));
  const bot = await relay.bot.connection();
  await until(() => bot.texts().at(-1) === media(2), 'the last frame at the bot');

  const forwarded = bot.texts();
  for (const code of [
    'payload_not_base64',
    'payload_empty',
    'timestamp_invalid',
    'timestamp_absurd',
  ] as const) {
    t.equal(forwarded.filter((text) => text === bad[code][0]).length, 2, `${code} is the bot's to judge`);
  }
  t.notOk(forwarded.includes('}{'), 'what is no message is kept from the bot');
  t.notOk(forwarded.some((text) => text.includes('somebodyelses')));
  t.equal(forwarded.filter((text) => text === start()).length, 1);
  t.ok(forwarded.includes(unknown), 'an unknown event is passed on');

  for (const code of Object.keys(bad)) {
    t.equal(relay.lines(code).length, 1, `${code} is logged once`);
    t.match(relay.lines(code)[0], { callId, accountId, streamId, recordingId: String });
  }
  t.same(
    relay.tap.stream().notes.map((note) => note['providerMs']),
    [0, 40, 40, 0, 0, 40],
    'times are the recorder’s to judge, but not a day ahead',
  );
  t.ok(relay.counters.get('invalidMessages') >= 20);
  const events = relay.tap.calls[0]?.events ?? [];
  t.match(
    events.find(({ type }) => type === 'unknown_message'),
    { name: 'novelty', message: { n: 1 } },
  );
  t.notMatch(JSON.stringify(events), 'secretToken');
  t.equal(caller.close, undefined);
});

await t.test('text that is not UTF-8 is kept from the other side', async (t) => {
  const relay = await Relay.start(t);
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  const bot = await relay.bot.connection();
  caller.socket.send(Buffer.from('{"event":"media","x":"\xff\xfe"}', 'latin1'), { binary: false });
  bot.socket.send(Buffer.from('{"event":"clear","x":"\xff"}', 'latin1'), { binary: false });
  caller.send(media(0));
  bot.socket.send(twilioBotClear(streamId));
  await until(() => bot.received.length === 3 && caller.received.length === 1, 'the messages after');
  t.equal(bot.texts()[2], media(0));
  t.equal(relay.lines('frame_not_json').length, 1);
  t.match(relay.lines('upstream_message_invalid')[0], { inner: 'frame_not_json' });
});

await t.test('media after the stop is dropped, and the socket is left to the provider', async (t) => {
  const relay = await Relay.start(t);
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0), stop(), media(1), stop());
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  await until(() => relay.lines('event_out_of_order').length === 1, 'the log line');
  const bot = await relay.bot.connection();
  await until(() => bot.closeCode !== undefined, 'the bot to be closed');
  t.same(
    bot.texts(),
    [connected, start(), media(0), stop()],
    'a bot that answers late hears of the call too',
  );
  t.equal(bot.closeCode, 1000);
  t.same(relay.tap.stream().heard(Track.caller), payload(0));
  t.same(relay.tap.stream().end_, { reason: 'stop', closeCode: null });
  t.equal(caller.close, undefined);
  t.equal(relay.counters.get('streams'), 0);
});

await t.test('what the bot gets wrong is kept from the provider and from the recording', async (t) => {
  const relay = await Relay.start(t);
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 2, 'the start at the bot');
  const wrong: (string | Buffer)[] = [
    'nonsense',
    Buffer.alloc(3200),
    '{"event":"media","streamSid":"x","media":{"payload":"%%%"}}',
    twilioBotMedia('MZsomebodyelses', Buffer.alloc(160)),
    '{"event":"mark","streamSid":"x","mark":{}}',
  ];
  for (const message of [...wrong, ...wrong]) bot.socket.send(message);
  const unknown = '{"event":"transfer","streamSid":"x"}';
  const good = twilioBotMedia(streamId, Buffer.alloc(160, 1));
  bot.socket.send(unknown);
  bot.socket.send(good);
  await until(() => caller.received.length === 2, 'the good messages');
  t.same(caller.texts(), [unknown, good]);
  t.same(
    relay.lines('upstream_message_invalid').map((line) => line['inner']),
    ['frame_not_json', 'frame_binary', 'payload_not_base64', 'stream_mismatch', 'mark_invalid'],
  );
  t.same(relay.tap.stream().heard(Track.botSent), Buffer.alloc(160, 1));
});

await t.test(
  'a stream with both tracks, one that says it is one-way, and one without a bot get nothing',
  async (t) => {
    const relay = await Relay.start(t, {
      accounts: (bot) => [
        account({ upstream: { twilio: bot.url, jambonz: null } }),
        account({ id: 'ACrecordonly', twilio: { authTokens: ['only'], requireToken: false } }),
      ],
    });
    const both = await relay.twilio().open();
    both.send(connected, start({ tracks: ['inbound', 'outbound'] }), media(0));
    both.send(
      twilioMedia({
        streamSid: streamId,
        sequenceNumber: 3,
        chunk: 1,
        timestamp: 0,
        track: 'outbound',
        payload: payload(7),
      }),
    );
    const declared = await relay.twilio().open();
    declared.send(
      connected,
      start({ callSid: 'CAoneway', customParameters: { 'reelay.oneWay': 'true' } }),
      media(0),
    );
    const without = await relay.twilio('/twilio', 'only').open();
    without.send(connected, start({ accountSid: 'ACrecordonly' }), media(0));
    await until(() => relay.tap.calls.length === 3 && relay.tap.stream(2).notes.length === 1, 'three calls');
    await until(
      () => relay.tap.stream(0).notes.length === 2 && relay.tap.stream(1).notes.length === 1,
      'the audio',
    );
    t.same(relay.tap.stream(0).heard(Track.caller), payload(0));
    t.same(relay.tap.stream(0).heard(Track.botHeard), payload(7));
    for (const index of [0, 1, 2]) {
      t.match(relay.tap.stream(index).facts, { role: 'oneway', playout: 'none' });
    }
    for (const caller of [both, declared, without]) {
      caller.send(stop());
      caller.socket.close(1000);
      await caller.closed();
      t.same(caller.received, []);
    }
    t.equal(relay.bot.upgrades, 0);
  },
);

await t.test('a socket that ends without a stop says how', async (t) => {
  const relay = await Relay.start(t);
  const ways: [string, (socket: import('ws').WebSocket) => void, object, boolean, number][] = [
    ['closed', (socket) => socket.close(1000), { reason: 'closed', closeCode: 1000 }, true, 1000],
    ['closed without a code', (socket) => socket.close(), { reason: 'closed', closeCode: 1005 }, true, 1000],
    ['going away', (socket) => socket.close(1001), { reason: 'lost', closeCode: 1001 }, false, 1001],
    ['broken', (socket) => socket.terminate(), { reason: 'lost', closeCode: 1006 }, false, 1001],
  ];
  for (const [index, [what, end, facts, ended, botCode]] of ways.entries()) {
    const caller = await relay.twilio().open();
    caller.send(connected, start(), media(0));
    const bot = await relay.bot.connection(index);
    await until(() => bot.received.length === 3, 'the frame at the bot');
    end(caller.socket);
    await until(() => relay.tap.calls[index]?.end_ !== undefined && bot.closeCode !== undefined, what);
    t.same(relay.tap.stream(index).end_, facts, what);
    t.same(relay.tap.calls[index]?.end_, { ended }, what);
    t.equal(bot.closeCode, botCode, what);
  }
});
