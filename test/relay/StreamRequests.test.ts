import t, { type Test } from 'tap';
import type { AccountConfig } from '../../src/config/Config.js';
import { jambonzStart } from '../../src/providers/jambonz/messages.js';
import { twilioBotMedia } from '../../src/providers/twilio/messages.js';
import { Track } from '../../src/tap/TapRecord.js';
import { account, accountId, Relay } from './fixtures/Relay.js';
import type { RelayOptions } from './fixtures/Relay.js';
import type { NotedStream } from './fixtures/RecordingTap.js';
import { connected, media, payload, start, streamId } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

/* What a stream itself wants of the recording of its call, by its start message or its bot, on both paths. */

const callSid = `CA${'6'.repeat(32)}`;

function accountsWith(overrides: Partial<AccountConfig>): NonNullable<RelayOptions['accounts']> {
  return ({ url }) => [account({ upstream: { twilio: url, jambonz: url }, ...overrides })];
}

/** A Twilio bot's message to reelay. */
function record(action: string, more: object = {}): string {
  return JSON.stringify({ event: 'reelay.record', action, ...more });
}

/** A call of Twilio. Its bot may say something to reelay between any two frames, of which the caller must never hear. */
async function twilioCall(t: Test, options: RelayOptions, customParameters: Record<string, string> = {}) {
  const relay = await Relay.start(t, options);
  const caller = await relay.twilio().open();
  caller.send(connected, start({ callSid, customParameters }));
  const bot = await relay.bot.connection(0);
  await until(() => bot.received.length === 2, 'the start at the bot');
  let said = 0;
  const say = async (frames: number): Promise<void> => {
    for (let index = said; index < said + frames; index++) {
      caller.send(media(index));
      bot.socket.send(twilioBotMedia(streamId, payload(index)));
    }
    said += frames;
    await until(() => bot.received.length === said + 2, 'all of it at the bot');
    await until(() => caller.received.length === said, 'all of it, and nothing else, at the caller');
  };
  return { relay, caller, bot, say };
}

function count(stream: NotedStream, kind: 'audio' | 'muted', track: Track): number {
  return stream.notes.filter((note) => note.kind === kind && note['track'] === track).length;
}

/** How often a recording was told what to do, and had done it. */
function told(relay: Relay): number {
  return relay.log.filter(({ msg }) => msg === 'the recording was told').length;
}

const pausedAndResumed = [
  { type: 'pause', paused: true, mode: 'skip' },
  { type: 'pause', paused: false },
];

for (const isFast of [true, false]) {
  const path = isFast ? 'the native thread' : 'the reference path';

  await t.test(`a bot of Twilio’s pauses, resumes and stops its recording, on ${path}`, async (t) => {
    const { relay, caller, bot, say } = await twilioCall(t, { isFast });
    await say(5);
    bot.socket.send(record('pause', { mode: 'skip', streamSid: streamId }));
    await until(() => told(relay) === 1, 'the pause');
    t.match(relay.server.calls(), [{ recording: 'paused' }]);
    // One after the other: what comes at once is handled before the call has changed over.
    for (let frame = 0; frame < 10; frame++) await say(1);
    bot.socket.send(record('resume'));
    await until(() => told(relay) === 2, 'its end');
    await say(5);
    bot.socket.send(record('stop'));
    await until(() => told(relay) === 3, 'the end of the recording');
    await say(3);
    const stream = relay.tap.stream();
    for (const track of [Track.caller, Track.botSent]) {
      t.equal(count(stream, 'audio', track), 10, `track ${track}`);
      t.equal(count(stream, 'muted', track), 10);
    }
    if (isFast) t.ok(stream.fast > 0, 'the native thread goes on with it in between');
    t.same(relay.tap.calls[0]?.events, [...pausedAndResumed, { type: 'recording_stopped' }]);
    t.same(relay.tap.calls[0]?.end_, { ended: true });
    t.match(relay.server.calls(), [{ recording: 'stopped' }]);
    t.equal(relay.counters.get('invalidMessages'), 0);
    t.notOk(caller.texts().some((text) => text.includes('reelay')));
  });

  await t.test(`what a bot says behind a pause is not kept, on ${path}`, async (t) => {
    const { relay, caller, bot, say } = await twilioCall(t, { isFast });
    await say(3);
    const spoken = [payload(100), payload(101), payload(102)].map((audio) => twilioBotMedia(streamId, audio));
    const [first = '', second = '', third = ''] = spoken;
    for (const text of [first, record('pause'), second, record('resume'), record('pause'), third])
      bot.socket.send(text);
    await until(() => caller.received.length === 6, 'what it said');
    await until(() => told(relay) === 3, 'all that it wanted');
    const stream = relay.tap.stream();
    t.ok(stream.heard(Track.botSent).subarray(-160).equals(payload(100)));
    t.equal(count(stream, 'audio', Track.botSent), 4);
    t.equal(count(stream, 'muted', Track.botSent), 2);
    t.match(relay.server.calls(), [{ recording: 'paused' }]);
  });

  await t.test(`a bot of jambonz’s does the same, on ${path}`, async (t) => {
    const relay = await Relay.start(t, { isFast });
    const caller = await relay.jambonz().open();
    caller.send(jambonzStart({ sampleRate: 8000, mixType: 'mono', callSid, accountSid: accountId }));
    const bot = await relay.bot.connection(0);
    await until(() => bot.received.length === 1, 'the start at the bot');
    let said = 0;
    const say = async (frames: number): Promise<void> => {
      for (let index = 0; index < frames; index++) {
        caller.send(Buffer.alloc(320, 1));
        bot.socket.send(Buffer.alloc(320, 2));
      }
      said += frames;
      await until(() => bot.received.length === said + 1, 'all of it at the bot');
      await until(() => caller.received.length === said, 'all of it, and nothing else, at the caller');
    };
    const tell = (data: object): void => bot.socket.send(JSON.stringify({ type: 'reelay.record', data }));
    await say(5);
    tell({ action: 'pause', mode: 'skip' });
    await until(() => told(relay) === 1, 'the pause');
    await say(5);
    tell({ action: 'resume' });
    await until(() => told(relay) === 2, 'its end');
    await say(5);
    tell({ action: 'stop' });
    await until(() => told(relay) === 3, 'the end of the recording');
    await say(1);
    const stream = relay.tap.stream();
    t.equal(stream.heard(Track.caller).length, 10 * 320);
    t.equal(stream.heard(Track.botSent).length, 10 * 320);
    t.same(relay.tap.calls[0]?.events, [...pausedAndResumed, { type: 'recording_stopped' }]);
    t.ok(caller.received.every(({ isBinary }) => isBinary));
  });

  await t.test(`a bot begins the recording that waits for it, on ${path}`, async (t) => {
    const { relay, caller, bot, say } = await twilioCall(t, {
      isFast,
      accounts: accountsWith({ record: 'onRequest' }),
    });
    await say(3);
    t.equal(relay.tap.calls.length, 0);
    bot.socket.send(record('start'));
    bot.socket.send(twilioBotMedia(streamId, payload(100)));
    await until(() => caller.received.length === 4, 'what it says behind that');
    await until(() => told(relay) === 1, 'the recording');
    const stream = relay.tap.stream();
    t.equal(stream.facts.isJoined, true);
    t.ok(stream.heard(Track.botSent).equals(payload(100)), 'it is in the recording');
    bot.socket.send(record('start'));
    await until(() => relay.lines('upstream_message_invalid').length === 1, 'the second one to be refused');
    t.match(relay.lines('upstream_message_invalid'), [
      { inner: 'recording_not_live', value: /^start: running/ },
    ]);
  });

  await t.test(
    `what a bot asks wrongly changes nothing, and is logged and counted, on ${path}`,
    async (t) => {
      const { relay, bot, say } = await twilioCall(t, { isFast });
      const wrong = [
        '{"event":"reelay.record"}',
        record('erase'),
        record('pause', { mode: 'loud' }),
        record('resume', { mode: 'skip' }),
        record('stop', { recordingId: 'another' }),
        record('stop', { streamSid: 'MZsomebodyelses' }),
      ];
      for (const text of wrong) bot.socket.send(text);
      await say(3);
      t.equal(relay.counters.get('invalidMessages'), wrong.length);
      t.match(
        relay.lines('upstream_message_invalid').map(({ inner }) => inner),
        ['request_invalid', 'stream_mismatch'],
      );
      t.match(relay.server.calls(), [{ recording: 'running' }]);
      t.same(relay.tap.calls[0]?.events, []);
      t.equal(count(relay.tap.stream(), 'audio', Track.botSent), 3);
    },
  );

  await t.test(`a stream may have its recording begin in a pause, on ${path}`, async (t) => {
    const { relay, bot, say } = await twilioCall(t, { isFast }, { 'reelay.pause': 'skip' });
    t.match(relay.server.calls(), [{ recording: 'paused' }]);
    await until(() => told(relay) === 1, 'the pause');
    for (let frame = 0; frame < 5; frame++) await say(1);
    bot.socket.send(record('resume'));
    await until(() => told(relay) === 2, 'the end of the pause');
    await say(5);
    const stream = relay.tap.stream();
    t.equal(count(stream, 'muted', Track.caller), 5);
    t.equal(count(stream, 'audio', Track.caller), 5);
    t.same(relay.tap.calls[0]?.events, pausedAndResumed);
  });
}

await t.test('a pause that nobody knows is told, and the stream is recorded', async (t) => {
  const { relay, say } = await twilioCall(t, {}, { 'reelay.pause': 'true' });
  await say(2);
  t.match(relay.lines('start_invalid'), [{ value: 'reelay.pause' }]);
  t.equal(count(relay.tap.stream(), 'audio', Track.caller), 2);
});

await t.test('a bot steers the recording of its own call and of no other', async (t) => {
  const relay = await Relay.start(t, { accounts: accountsWith({ record: 'onRequest' }) });
  // Two streams of one call at once are two calls of one name.
  for (const index of [0, 1]) {
    const caller = await relay.twilio().open();
    caller.send(connected, start({ callSid }));
    const bot = await relay.bot.connection(index);
    await until(() => bot.received.length === 2, 'the start at the bot');
  }
  const states = (): string[] => relay.server.calls().map(({ recording }) => recording);
  const [first, second] = [await relay.bot.connection(0), await relay.bot.connection(1)];
  second.socket.send(record('start'));
  await until(() => states()[1] === 'running', 'the recording of the second one');
  t.same(states(), ['awaited', 'running']);
  first.socket.send(record('stop'));
  await until(() => relay.lines('upstream_message_invalid').length === 1, 'the other one to be refused');
  t.same(states(), ['awaited', 'running']);
});

await t.test('a bot that never stops asking is not listened to for ever', async (t) => {
  const { relay, bot, say } = await twilioCall(t, {});
  const asked = 1500;
  for (let index = 0; index < asked; index++) bot.socket.send(record(index % 2 === 0 ? 'pause' : 'resume'));
  const refused = (): number => relay.counters.get('invalidMessages');
  await until(() => told(relay) + refused() === asked, 'all of them');
  t.ok(told(relay) <= 1000, `${told(relay)} were obeyed`);
  t.equal(relay.lines('upstream_message_invalid').length, 1);
  await say(3);
});
