import { AccessToken } from 'livekit-server-sdk';
import t, { type Test } from 'tap';
import { bytesOf, samplesOf } from '../../src/audio/pcm.js';
import type { AccountConfig, Config } from '../../src/config/Config.js';
import { Track } from '../../src/tap/TapRecord.js';
import { Relay, account, accountId, otherAccountId } from './fixtures/Relay.js';
import { until } from './fixtures/until.js';

const livekit: NonNullable<AccountConfig['livekit']> = {
  url: 'ws://127.0.0.1:1',
  apiKey: 'project',
  apiSecret: 'a-secret-of-at-least-32-characters-x',
  rooms: 'none',
  departureSeconds: 20,
  sampleRate: 48_000,
};

function relayWith(
  t: Test,
  overrides: Partial<AccountConfig> = {},
  limits: Partial<Config['limits']> = {},
): Promise<Relay> {
  const others = account({
    id: otherAccountId,
    livekit: { ...livekit, apiKey: 'other', apiSecret: 'other-secret' },
  });
  return Relay.start(t, {
    limits,
    accounts: () => [account({ livekit, ...overrides }), others, account({ id: 'local' })],
  });
}

async function tokenFor(
  grant: Parameters<AccessToken['addGrant']>[0] = { room: 'lobby', roomRecord: true },
  key = livekit.apiKey,
  secret = livekit.apiSecret,
): Promise<string> {
  const token = new AccessToken(key, secret, { identity: 'egress', ttl: 600 });
  token.addGrant(grant);
  return await token.toJwt();
}

async function pathFor(query: Readonly<Record<string, string>> = {}): Promise<string> {
  const all = { room: 'lobby', identity: 'alice', access_token: await tokenFor(), ...query };
  return `/livekit/track?${new URLSearchParams(all).toString()}`;
}

/** A ramp, so that no sample can be lost or moved unseen. */
function ramp(samples: number, from = 0): Int16Array {
  return Int16Array.from({ length: samples }, (_none, i) => ((from + i) % 20_000) - 10_000);
}

function stereo(mono: Int16Array): Uint8Array {
  return bytesOf(Int16Array.from({ length: 2 * mono.length }, (_none, i) => mono[i >> 1] ?? 0));
}

await t.test('a track is a lane of its room’s recording, sample for sample', async (t) => {
  const relay = await relayWith(t);
  const egress = await relay.forwarded(await pathFor({ sid: 'RM_1' }), {}).open();
  const bytes = stereo(ramp(9600));
  for (let at = 0; at < bytes.length;) {
    // GStreamer cuts where it likes, also in the middle of a sample.
    const length = [1, 4099, 333, 7680][at % 4] ?? 7680;
    egress.send(bytes.subarray(at, at + length));
    at += length;
  }
  await until(() => relay.tap.calls[0]?.streams[0]?.heard(Track.caller).length === 19_200, 'the audio');
  const stream = relay.tap.stream();
  t.strictSame(samplesOf(stream.heard(Track.caller)), ramp(9600));
  t.match(stream.facts, {
    role: 'lane',
    lane: 'alice',
    participant: { identity: 'alice', source: 'microphone' },
    sampleRate: 48_000,
    placement: 'arrival-count',
    tracks: ['caller'],
    playout: 'none',
  });
  const { facts } = relay.tap.calls[0] ?? {};
  t.match(facts, {
    accountId,
    provider: 'livekit',
    callId: 'RM_1',
    sampleRate: 48_000,
    channels: 'mixed',
    room: { name: 'lobby', sid: 'RM_1' },
  });
  t.match(relay.server.calls(), [{ provider: 'livekit', callId: 'RM_1', recording: 'running' }]);
  egress.send('{"muted":true}', '{"muted":false}');
  egress.socket.close(1000);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end');
  t.same(stream.end_, { reason: 'stop', closeCode: 1000 });
  t.same(relay.tap.calls[0]?.end_, { ended: true });
  t.same(
    relay.tap.calls[0]?.events.map(({ type, lane }) => [type, lane]),
    [
      ['room_joined', undefined],
      ['lane_joined', 'alice'],
      ['first_audio', 'alice'],
      ['lane_muted', 'alice'],
      ['lane_unmuted', 'alice'],
      ['lane_left', 'alice'],
    ],
  );
  t.same(relay.codes(), []);
});

await t.test('tracks of one room are lanes of one recording', async (t) => {
  const relay = await relayWith(t);
  const alice = await relay.forwarded(await pathFor(), {}).open();
  const bob = await relay.forwarded(await pathFor({ identity: 'Bob', channels: '1' }), {}).open();
  const screen = await relay.forwarded(await pathFor({ source: 'screen_share_audio' }), {}).open();
  alice.send(stereo(ramp(960)));
  bob.send(bytesOf(ramp(960, 500)));
  screen.send(stereo(ramp(480)));
  await until(() => relay.tap.calls[0]?.streams.length === 3, 'three lanes');
  const [call] = relay.tap.calls;
  await until(
    () => call?.streams.every((stream) => stream.heard(Track.caller).length > 0) === true,
    'all of them',
  );
  t.equal(relay.tap.calls.length, 1);
  const lanes = call?.streams.map(({ facts }) => facts.lane) ?? [];
  t.equal(new Set(lanes).size, 3);
  t.equal(lanes[0], 'alice');
  t.match(lanes[1], /^bob-[0-9a-f]{4}$/);
  t.strictSame(samplesOf(call?.streams[1]?.heard(Track.caller) ?? Buffer.alloc(0)), ramp(960, 500));
  alice.socket.terminate();
  await until(() => call?.streams[0]?.end_ !== undefined, 'the loss');
  t.same(call?.streams[0]?.end_, { reason: 'lost', closeCode: 1006 });
  t.equal(call?.end_, undefined, 'the others go on');
  const again = await relay.forwarded(await pathFor(), {}).open();
  await until(() => call?.streams.length === 4, 'she who is back');
  t.equal(call?.streams[3]?.facts.lane, 'alice', 'on her own lane');
  t.same(
    relay.server.calls().map(({ streams }) => streams.length),
    [3],
  );
  for (const socket of [again, bob, screen]) socket.socket.close(1000);
  await until(() => call?.end_ !== undefined, 'the end');
});

await t.test('a room of another name, or of another account, is another recording', async (t) => {
  const relay = await relayWith(t);
  await relay.forwarded(await pathFor(), {}).open();
  const hall = await tokenFor({ roomRecord: true });
  await relay.forwarded(await pathFor({ room: 'the hall / 2', access_token: hall }), {}).open();
  const other = await tokenFor({ room: 'lobby', roomRecord: true }, 'other', 'other-secret');
  await relay.forwarded(await pathFor({ access_token: other }), {}).open();
  await until(() => relay.tap.calls.length === 3, 'three recordings');
  t.same(
    relay.tap.calls.map(({ facts }) => facts.room?.name),
    ['lobby', 'the hall / 2', 'lobby'],
  );
  t.same(
    relay.tap.calls.map(({ facts }) => facts.accountId),
    [accountId, accountId, otherAccountId],
  );
  t.match(relay.tap.calls[1]?.facts.callId, /^the-hall-2-[0-9a-f]{8}$/);
});

await t.test('a room whose tracks are brought is being recorded, and isn’t joined as well', async (t) => {
  const relay = await relayWith(t, { resumeSeconds: 5 });
  const alice = await relay.forwarded(await pathFor(), {}).open();
  await until(() => relay.tap.calls.length === 1, 'her lane');
  const request = { account: account({ livekit }), name: 'lobby', sid: 'RM_1', isAsked: true };
  const { rooms } = relay.server;
  const recordingId = relay.tap.calls[0]?.recordingId;
  t.match(rooms.record(request), { recordingId, isNew: false });
  t.equal(rooms.size, 0);
  const theirs = { ...request, account: account({ id: otherAccountId, livekit }) };
  t.match(rooms.record({ ...theirs, name: 'hall' }), { isNew: true }, 'another room');
  t.match(rooms.record(theirs), { isNew: true }, 'the same name at somebody else’s');
  await relay.server.record({ deed: 'stop', recordingId: recordingId ?? '' });
  t.match(rooms.record({ ...request, isAsked: false }), { recordingId, isNew: false }, 'it was stopped');
  t.match(rooms.record(request), { isNew: true }, 'and somebody wants another recording');
  alice.socket.close(1000);
});

await t.test('the recording has the rate of the account’s rooms', async (t) => {
  const relay = await relayWith(t, { livekit: { ...livekit, sampleRate: 16_000 } });
  const egress = await relay.forwarded(await pathFor(), {}).open();
  egress.send(stereo(new Int16Array(48_000)));
  await until(() => relay.tap.calls[0]?.streams[0]?.heard(Track.caller).length !== 0, 'the audio');
  t.equal(relay.tap.calls[0]?.facts.sampleRate, 16_000);
  t.equal(relay.tap.stream().facts.sampleRate, 16_000);
  const samples = relay.tap.stream().heard(Track.caller).length / 2;
  t.ok(Math.abs(samples - 16_000) < 100, `${samples} samples`);
});

await t.test('nobody brings a track without proof', async (t) => {
  const relay = await relayWith(t);
  const cases: readonly (readonly [string, number, string, Readonly<Record<string, string>>])[] = [
    ['of another room', 403, 'token_invalid', { room: 'hall' }],
    [
      'that may not record',
      403,
      'token_invalid',
      { access_token: await tokenFor({ room: 'lobby', roomJoin: true }) },
    ],
    [
      'of another secret',
      403,
      'token_invalid',
      { access_token: await tokenFor(undefined, 'project', 'guess') },
    ],
    ['of nobody', 403, 'token_invalid', { access_token: await tokenFor(undefined, 'nobody', 'guess') }],
    ['of another account', 403, 'token_invalid', { account: otherAccountId }],
    ['that is none', 403, 'token_invalid', { access_token: 'x' }],
    ['without a room', 400, 'start_invalid', { room: '' }],
    ['without an identity', 400, 'start_invalid', { identity: '' }],
    ['in three channels', 400, 'start_invalid', { channels: '3' }],
    ['from a camera', 400, 'start_invalid', { source: 'camera' }],
    ['with a path for a sid', 400, 'start_invalid', { sid: '../x' }],
  ];
  for (const [what, status, code, query] of cases) {
    const { status: got, body } = await relay.forwarded(await pathFor(query), {}).refusal();
    t.equal(got, status, what);
    t.match(JSON.parse(body), { code }, what);
  }
  const bare = `/livekit/track?room=lobby&identity=alice&account=${accountId}`;
  t.equal((await relay.forwarded(bare, {}).refusal()).status, 401);
  const local = '/livekit/track?room=lobby&identity=alice&account=local';
  t.equal((await relay.forwarded(local, { 'x-forwarded-for': '1.2.3.4' }).refusal()).status, 401);
  t.equal(relay.tap.calls.length, 0);
  await relay.forwarded(local, {}).open();
  await until(() => relay.tap.calls.length === 1, 'the recording of an account without secrets, from here');
});

/** Two accounts with the keys of one project. */
function sharedRelay(t: Test): Promise<Relay> {
  return Relay.start(t, {
    accounts: () => [
      account({ livekit: { ...livekit, rooms: ['lobby'] } }),
      account({ id: otherAccountId, livekit: { ...livekit, rooms: ['hall-*'] } }),
    ],
  });
}

await t.test('of accounts that share a project each has tracks of its own rooms', async (t) => {
  const relay = await sharedRelay(t);
  const access_token = await tokenFor({ roomRecord: true });
  const theirs = await pathFor({ access_token, account: otherAccountId });
  const { status, body } = await relay.forwarded(theirs, {}).refusal();
  t.equal(status, 403);
  t.match(JSON.parse(body), { code: 'token_invalid' });
  await relay.forwarded(await pathFor({ access_token }), {}).open();
  await relay.forwarded(await pathFor({ access_token, room: 'hall-1' }), {}).open();
  await until(() => relay.tap.calls.length === 2, 'both recordings');
  t.same(
    relay.tap.calls.map(({ facts }) => [facts.accountId, facts.room?.name]),
    [
      [accountId, 'lobby'],
      [otherAccountId, 'hall-1'],
    ],
  );
});

await t.test('a token of several accounts has to come with one of them', async (t) => {
  const relay = await sharedRelay(t);
  const access_token = await tokenFor({ roomRecord: true });
  const { status, body } = await relay.forwarded(await pathFor({ access_token, room: 'open' }), {}).refusal();
  t.equal(status, 400);
  t.match(JSON.parse(body), { code: 'start_invalid', message: /account/ });
  const named = await pathFor({ access_token, room: 'open', account: otherAccountId });
  await relay.forwarded(named, {}).open();
  await until(() => relay.tap.calls.length === 1, 'the recording');
  t.equal(relay.tap.calls[0]?.facts.accountId, otherAccountId);
});

await t.test(
  'the sid of a room doesn’t let anybody into its recording who may record another one',
  async (t) => {
    const relay = await relayWith(t);
    await relay.forwarded(await pathFor({ sid: 'RM_1' }), {}).open();
    await until(() => relay.tap.calls.length === 1, 'the recording of the lobby');
    const access_token = await tokenFor({ room: 'hall', roomRecord: true });
    const query = { room: 'hall', sid: 'RM_1', identity: 'mallory', access_token };
    await relay.forwarded(await pathFor(query), {}).open();
    await until(() => relay.tap.calls.length === 2, 'a recording of its own');
    await relay.forwarded(await pathFor({ ...query, identity: 'bob' }), {}).open();
    await until(() => relay.tap.calls[1]?.streams.length === 2, 'another lane of that');
    t.same(
      relay.tap.calls.map(({ facts, streams }) => [facts.room?.name, streams.map((each) => each.facts.lane)]),
      [
        ['lobby', ['alice']],
        ['hall', ['mallory', 'bob']],
      ],
    );
  },
);

await t.test('what is wrong with an egress ends its lane at most', async (t) => {
  const relay = await relayWith(t);
  const egress = await relay.forwarded(await pathFor(), {}).open();
  egress.send('no json', '[1]', '{"muted":"yes"}', 'x'.repeat(5000), stereo(ramp(480)));
  await until(
    () => relay.tap.calls[0]?.streams[0]?.heard(Track.caller).length === 960,
    'the audio behind it',
  );
  t.same([...new Set(relay.codes())].sort(), ['event_unknown', 'frame_not_json', 'frame_not_object']);
  egress.send(Buffer.alloc(2 * 1024 * 1024));
  t.equal((await egress.closed()).code, 1009);
  t.match(relay.lines('payload_oversized'), [{ level: 40 }]);
  await until(() => relay.tap.calls[0]?.end_ !== undefined, 'the end');
});

await t.test('a room has no more lanes than it may, and who comes back has his own', async (t) => {
  const relay = await relayWith(t, {}, { lanesPerRoom: 2 });
  const alice = await relay.forwarded(await pathFor(), {}).open();
  await relay.forwarded(await pathFor({ identity: 'bob' }), {}).open();
  await until(() => relay.tap.calls[0]?.streams.length === 2, 'two lanes');
  const carol = await relay.forwarded(await pathFor({ identity: 'carol' }), {}).open();
  t.match(await carol.closed(), { code: 1013, reason: 'lanes_full' });
  const failed = relay.tap.calls[0]?.events.filter(({ type }) => type === 'lane_failed');
  t.same(failed, [{ type: 'lane_failed', code: 'lanes_full', identity: 'carol', source: 'microphone' }]);
  await relay.forwarded(await pathFor(), {}).open();
  await until(() => relay.tap.calls[0]?.streams.length === 3, 'her second stream');
  t.equal(relay.tap.calls[0]?.streams[2]?.facts.lane, 'alice');
  alice.socket.close(1000);
});

await t.test('a lane has one stream, and for a moment another one', async (t) => {
  const relay = await relayWith(t, {}, { lanesPerRoom: 1 });
  const first = await relay.forwarded(await pathFor(), {}).open();
  await until(() => relay.tap.calls[0]?.streams.length === 1, 'the first');
  const second = await relay.forwarded(await pathFor(), {}).open();
  await until(() => relay.tap.calls[0]?.streams.length === 2, 'the second');
  const third = await relay.forwarded(await pathFor(), {}).open();
  t.match(await third.closed(), { code: 1013, reason: 'lanes_full' });
  first.socket.close(1000);
  await until(() => relay.tap.stream(0, 0).end_ !== undefined, 'the end of the first');
  t.match(relay.server.calls(), [{ room: { lanes: ['alice'] } }], 'her lane is still there');
  const bob = await relay.forwarded(await pathFor({ identity: 'bob' }), {}).open();
  t.match(await bob.closed(), { code: 1013, reason: 'lanes_full' }, 'and takes its place');
  await relay.forwarded(await pathFor(), {}).open();
  await until(() => relay.tap.calls[0]?.streams.length === 3, 'another one of hers');
  second.socket.close(1000);
});

await t.test('nobody sends more than can have been spoken', async (t) => {
  const relay = await relayWith(t);
  const egress = await relay.forwarded(await pathFor(), {}).open();
  const fiveSeconds = new Uint8Array(5 * 4 * 48_000);
  for (let i = 0; i < 6; i++) egress.send(fiveSeconds);
  t.match(await egress.closed(), { code: 1008, reason: 'audio_too_fast' });
  const [call] = relay.tap.calls;
  await until(() => call?.streams[0]?.end_ !== undefined, 'the end of its lane');
  const seconds = (call?.streams[0]?.heard(Track.caller).length ?? 0) / 96_000;
  t.ok(seconds >= 20 && seconds <= 25, `${seconds} s`);
  t.match(relay.lines('audio_too_fast'), [{ level: 40 }]);
  t.same(call?.streams[0]?.end_, { reason: 'lost', closeCode: null }, 'what she says from now on is missing');
  const failed = { code: 'audio_too_fast', lane: 'alice', identity: 'alice', source: 'microphone' };
  t.same(call?.events.slice(-2), [
    { type: 'lane_failed', ...failed },
    { type: 'lane_left', lane: 'alice' },
  ]);
  t.same(call?.end_, { ended: false }, 'so her recording is interrupted');
  const texts = await relay.forwarded(await pathFor({ identity: 'bob' }), {}).open();
  for (let i = 0; i < 2000; i++) texts.send('{"muted":true}');
  t.match(await texts.closed(), { code: 1008, reason: 'audio_too_fast' });
});

await t.test('a track that can’t be handled is lost, with a word, and the others go on', async (t) => {
  const relay = await relayWith(t);
  const alice = await relay.forwarded(await pathFor(), {}).open();
  const bob = await relay.forwarded(await pathFor({ identity: 'bob' }), {}).open();
  await until(() => relay.tap.calls[0]?.streams.length === 2, 'both lanes');
  const [call] = relay.tap.calls;
  if (call === undefined) throw new TypeError('no call');
  const event = call.event.bind(call);
  call.event = (facts) => {
    if (facts.type === 'lane_muted') throw new TypeError('as a bug would');
    event(facts);
  };
  alice.send('{"muted":true}');
  t.match(await alice.closed(), { code: 1011, reason: 'stream_failed' });
  const [hers, his] = call.streams;
  t.same(hers?.end_, { reason: 'lost', closeCode: null });
  t.match(
    call.events.filter(({ type }) => type === 'lane_failed'),
    [{ code: 'stream_failed', lane: 'alice', identity: 'alice', source: 'microphone' }],
  );
  bob.send(stereo(ramp(480)));
  await until(() => his?.heard(Track.caller).length === 960, 'what he says');
  t.equal(his?.end_, undefined);
  bob.socket.close(1000);
});

await t.test('an account that records nothing has nothing recorded', async (t) => {
  const relay = await relayWith(t, { record: 'never' });
  const egress = await relay.forwarded(await pathFor(), {}).open();
  egress.send(stereo(ramp(480)));
  egress.socket.close(1000);
  await until(() => relay.log.some(({ msg }) => msg === 'stream ended'), 'the end');
  t.equal(relay.tap.calls.length, 0);
});

await t.test('a daemon that ends closes a track with 1001', async (t) => {
  const relay = await relayWith(t);
  const egress = await relay.forwarded(await pathFor(), {}).open();
  const closing = relay.server.close();
  t.equal((await egress.closed()).code, 1001);
  await closing;
});
