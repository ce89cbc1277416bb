import t from 'tap';
import { twilioMedia } from '../../src/providers/twilio/messages.js';
import { StartTokens, startTokenParameter } from '../../src/providers/twilio/startToken.js';
import { Track } from '../../src/tap/TapRecord.js';
import { Relay, account, accountId, authToken, otherAccountId, otherAuthToken } from './fixtures/Relay.js';
import { callId, connected, media, payload, start, stop, streamId } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

const other = account({ id: otherAccountId, twilio: { authTokens: [otherAuthToken], requireToken: false } });

await t.test('a stream that comes back in time continues its recording', async (t) => {
  const relay = await Relay.start(t, { accounts: () => [account({ resumeSeconds: 5 })] });
  const ends = [stop(), null];
  for (const [index, end] of ends.entries()) {
    const caller = await relay.twilio().open();
    caller.send(connected, start({ streamSid: `MZ${index}` }), media(0, `MZ${index}`));
    await until(() => relay.tap.calls[0]?.streams[index]?.notes.length === 1, 'the frame');
    if (end === null) caller.socket.terminate();
    else caller.send(stop(`MZ${index}`));
    await until(() => relay.tap.stream(0, index).end_ !== undefined, 'the end of the stream');
    t.equal(relay.tap.calls[0]?.end_, undefined);
  }
  const last = await relay.twilio().open();
  last.send(connected, start({ streamSid: 'MZlast' }), media(0, 'MZlast'));
  await until(() => relay.tap.calls[0]?.streams[2]?.notes.length === 1, 'the last frame');
  t.equal(relay.tap.calls.length, 1);
  t.match(relay.server.calls(), [{ callId, streams: ['MZlast'], upstream: 'none' }]);
  t.equal(relay.counters.get('calls'), 1);
  t.equal(relay.counters.get('callsTotal'), 1);
});

await t.test('a call whose stream was lost and did not come back has not ended', async (t) => {
  const relay = await Relay.start(t, { accounts: () => [account({ resumeSeconds: 0.05 })] });
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 1, 'the frame');
  caller.socket.terminate();
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  t.same(relay.tap.calls[0]?.end_, { ended: false });
  t.same(relay.server.calls(), []);
  const again = await relay.twilio().open();
  again.send(connected, start());
  await until(() => relay.tap.calls.length === 2, 'a call of its own');
});

await t.test('two live streams of one call id are two recordings, under one account or two', async (t) => {
  const relay = await Relay.start(t, { accounts: () => [account({ resumeSeconds: 5 }), other] });
  const first = await relay.twilio().open();
  const second = await relay.twilio().open();
  const third = await relay.twilio('/twilio', otherAuthToken).open();
  first.send(connected, start(), media(1));
  await until(() => relay.tap.calls.length === 1, 'the first call');
  second.send(connected, start(), media(2));
  await until(() => relay.tap.calls.length === 2, 'the second call');
  third.send(connected, start({ accountSid: otherAccountId }), media(3));
  await until(() => relay.tap.calls[2]?.streams[0]?.notes.length === 1, 'the third call');
  for (const [index, id] of [accountId, accountId, otherAccountId].entries()) {
    t.equal(relay.tap.calls[index]?.facts.accountId, id);
    t.same(relay.tap.stream(index).heard(Track.caller), payload(index + 1));
  }
  t.equal(new Set(relay.tap.calls.map((call) => call.recordingId)).size, 3);
  t.equal(relay.server.calls().length, 3);
});

await t.test('a tap joins the call it belongs to, whichever comes first', async (t) => {
  const relay = await Relay.start(t);
  const tracks = ['inbound', 'outbound'] as const;
  const outbound = twilioMedia({
    streamSid: 'MZtap',
    sequenceNumber: 2,
    chunk: 1,
    timestamp: 0,
    track: 'outbound',
    payload: payload(5),
  });
  const tap = await relay.twilio('/twilio/tap').open();
  tap.send(connected, start({ streamSid: 'MZtap', tracks }), outbound);
  await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 1, 'the tap');
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  await until(() => relay.tap.calls[0]?.streams[1]?.notes.length === 1, 'the call');
  t.same(
    relay.tap.calls[0]?.streams.map((stream) => stream.facts.role),
    ['tap', 'call'],
  );
  t.match(relay.tap.stream(0, 0).facts, { playout: 'none', tracks: ['caller', 'bot'] });
  t.same(relay.tap.stream(0, 0).heard(Track.botHeard), payload(5));
  caller.send(stop());
  caller.socket.close(1000);
  await until(() => relay.tap.stream(0, 1).end_ !== undefined, 'the end of the call’s own stream');
  t.equal(relay.tap.calls[0]?.end_, undefined, 'the call is up as long as its tap is');
  tap.socket.close(1000);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  t.same(tap.received, []);
  t.equal(relay.bot.upgrades, 1, 'a tap has no bot');

  const call = await relay.twilio().open();
  call.send(connected, start());
  await until(() => relay.tap.calls.length === 2, 'the next call');
  (await relay.twilio('/twilio/tap').open()).send(connected, start({ streamSid: 'MZtap', tracks }));
  await until(() => relay.tap.calls[1]?.streams.length === 2, 'its tap');
  t.equal(relay.tap.calls.length, 2);
});

await t.test('a tap of somebody else’s call is refused, and the call goes on', async (t) => {
  const relay = await Relay.start(t, { accounts: () => [account(), other] });
  const caller = await relay.twilio().open();
  caller.send(connected, start());
  await until(() => relay.tap.calls.length === 1, 'the call');
  const tap = await relay.twilio('/twilio/tap', otherAuthToken).open();
  tap.send(connected, start({ streamSid: 'MZtap' }));
  t.same(await tap.closed(), { code: 1008, reason: 'account_mismatch' });
  const own = await relay.twilio('/twilio/tap', otherAuthToken).open();
  own.send(connected, start({ streamSid: 'MZtap', accountSid: otherAccountId }));
  await until(() => relay.tap.calls.length === 2, 'a call of the other account');
  caller.send(media(0));
  await until(() => relay.tap.stream().notes.length === 1, 'the frame');
  t.equal(relay.tap.calls[0]?.streams.length, 1);
});

await t.test('a start token is good once, for its call alone, and is not written down', async (t) => {
  const strict = account({ twilio: { authTokens: [authToken], requireToken: true } });
  const relay = await Relay.start(t, { accounts: () => [strict, other] });
  const scope = { accountId, callId, path: '/twilio', authTokens: [authToken], nowMs: Date.now() };
  const tokens = new StartTokens(relay.tokenKey);
  const token = tokens.mint(scope);
  const withToken = (value: string, overrides = {}): string =>
    start({ customParameters: { [startTokenParameter]: value, kept: 'yes' }, ...overrides });
  const good = await relay.twilio().open();
  good.send(connected, withToken(token), media(0));
  await until(() => relay.tap.calls[0]?.streams[0]?.notes.length === 1, 'the frame');
  t.same(relay.tap.calls[0]?.facts.parameters, { kept: 'yes' });
  t.notMatch(JSON.stringify(relay.log), token);

  const cases: [string, string, string][] = [
    ['a used token', withToken(token), 'token_invalid'],
    ['a token of another call', withToken(tokens.mint({ ...scope, callId: 'CA9' })), 'token_invalid'],
    ['a token of another path', withToken(tokens.mint({ ...scope, path: '/twilio/tap' })), 'token_invalid'],
    ['a token that has expired', withToken(tokens.mint({ ...scope, nowMs: 0 })), 'token_invalid'],
    ['a forged token', withToken(`${token.slice(0, -3)}AAA`), 'token_invalid'],
    ['no token', start(), 'token_missing'],
  ];
  for (const [what, message, reason] of cases) {
    const caller = await relay.twilio().open();
    caller.send(connected, message);
    t.same(await caller.closed(), { code: 1008, reason }, what);
  }
  const lenient = await relay.twilio('/twilio', otherAuthToken).open();
  lenient.send(connected, withToken('made up', { accountSid: otherAccountId }));
  t.same(
    await lenient.closed(),
    { code: 1008, reason: 'token_invalid' },
    'a token that is there must be good',
  );
});

await t.test('an account without a store is relayed and its recording failed from the start', async (t) => {
  const relay = await Relay.start(t, {
    accounts: (bot) => [account({ store: null, upstream: { twilio: bot.url, jambonz: null } })],
  });
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0), stop());
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 4, 'the frame at the bot');
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end of the call');
  t.equal(relay.tap.calls[0]?.facts.failed, 'no_store');
  t.same(relay.tap.stream().notes, [], 'none of its audio is kept');
  t.match(relay.lines('no_store'), [{ callId, accountId, recordingId: String }]);
});

await t.test('an account that is never recorded is relayed and not recorded', async (t) => {
  const relay = await Relay.start(t, {
    accounts: (bot) => [account({ record: 'never', upstream: { twilio: bot.url, jambonz: null } })],
  });
  const caller = await relay.twilio().open();
  caller.send(connected, start(), media(0));
  const bot = await relay.bot.connection();
  await until(() => bot.received.length === 3, 'the frame at the bot');
  t.match(relay.server.calls(), [{ callId, recordingId: null, upstream: 'open', streams: [streamId] }]);
  t.same(relay.tap.calls, []);
});

await t.test('a tap that fails costs the call nothing', async (t) => {
  const relay = await Relay.start(t);
  const broken = await relay.twilio().open();
  broken.send(connected, start());
  await until(() => relay.tap.calls[0]?.streams.length === 1, 'the call');
  // Audio may come past it, from the native thread.
  relay.tap.stream().markEcho = () => {
    throw new Error('tap is broken');
  };
  const bot = await relay.bot.connection();
  broken.send(
    media(0),
    JSON.stringify({ event: 'mark', streamSid: streamId, mark: { name: 'm' } }),
    media(2),
  );
  await until(() => bot.received.length === 5, 'the frames at the bot');
  t.match(relay.lines('stream_failed'), [{ callId, part: 'tap' }]);
  relay.tap.broken = true;
  const unrecorded = await relay.twilio().open();
  unrecorded.send(connected, start({ callSid: 'CAother' }), media(0));
  const second = await relay.bot.connection(1);
  await until(() => second.received.length === 3, 'the frame at the bot');
});

await t.test('while the spool is full new calls are relayed and not recorded', async (t) => {
  const relay = await Relay.start(t);
  const before = await relay.twilio().open();
  before.send(connected, start({ callSid: 'CA-before', streamSid: 'MZ-before' }));
  await until(() => relay.tap.calls.length === 1, 'the call before');
  relay.server.setSpoolFull(true);
  const during = await relay.twilio().open();
  during.send(connected, start({ callSid: 'CA-during', streamSid: 'MZ-during' }), media(1, 'MZ-during'));
  before.send(media(0, 'MZ-before'));
  const bot = await relay.bot.connection(1);
  await until(() => bot.received.length === 3, 'its frame at the bot');
  await until(() => relay.tap.stream(0).notes.length === 1, 'the call before to go on');
  t.match(relay.tap.calls[1]?.facts, { callId: 'CA-during', failed: 'spool_full' });
  t.same(relay.tap.stream(1).notes, []);
  t.match(relay.lines('spool_full'), [{ callId: 'CA-during', level: 50 }]);
  relay.server.setSpoolFull(false);
  const after = await relay.twilio().open();
  after.send(connected, start({ callSid: 'CA-after', streamSid: 'MZ-after' }));
  await until(() => relay.tap.calls.length === 3, 'the call after');
  t.equal(relay.tap.calls[2]?.facts.failed, undefined);
});

await t.test('calls that only wait for a stream take no place of one that has one', async (t) => {
  const relay = await Relay.start(t, {
    accounts: () => [account({ resumeSeconds: 5 })],
    limits: { calls: 1 },
  });
  const begin = async (index: number): Promise<{ stop: () => Promise<void> }> => {
    const caller = await relay.twilio().open();
    caller.send(connected, start({ callSid: `CA${index}`, streamSid: `MZ${index}` }));
    const isUp = (): boolean => relay.server.calls().some(({ streams }) => streams.includes(`MZ${index}`));
    await until(isUp, 'the stream');
    return {
      stop: async () => {
        caller.send(stop(`MZ${index}`));
        await until(() => !isUp(), 'the end of the stream');
      },
    };
  };
  for (const index of [1, 2, 1, 3, 2]) {
    const call = await begin(index);
    t.equal((await relay.twilio().refusal()).status, 503, 'one call has a stream');
    await call.stop();
  }
  t.equal(relay.counters.get('calls'), 3);
  t.equal(relay.server.calls().length, 3);
  t.equal(relay.tap.calls.length, 3);
  void relay.server.drain();
  t.equal(relay.counters.get('calls'), 0);
});
