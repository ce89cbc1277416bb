import t, { type Test } from 'tap';
import type { AccountConfig } from '../../src/config/Config.js';
import { jambonzStart } from '../../src/providers/jambonz/messages.js';
import { twilioBotMedia, twilioDtmf } from '../../src/providers/twilio/messages.js';
import { Track } from '../../src/tap/TapRecord.js';
import { account, accountId, Relay } from './fixtures/Relay.js';
import type { RelayOptions } from './fixtures/Relay.js';
import type { NotedStream } from './fixtures/RecordingTap.js';
import { connected, media, payload, start, streamId } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

/* Pausing, resuming, stopping and starting recordings under a call, whose audio must not notice, on both paths. */

const callSid = `CA${'7'.repeat(32)}`;

function accountsWith(overrides: Partial<AccountConfig>): NonNullable<RelayOptions['accounts']> {
  return ({ url }) => [account({ upstream: { twilio: url, jambonz: url }, ...overrides })];
}

/** A call whose caller and bot can be let say frames, which are heard on the other side. */
async function talking(t: Test, options: RelayOptions, customParameters: Record<string, string> = {}) {
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
    await until(() => caller.received.length === said, 'all of it at the caller');
  };
  const recordingId = relay.server.calls()[0]?.recordingId ?? '';
  return { relay, caller, bot, say, recordingId };
}

function audio(stream: NotedStream, kind: 'audio' | 'muted'): number {
  return stream.notes.filter((note) => note.kind === kind && note['track'] === Track.caller).length;
}

for (const isFast of [true, false]) {
  const path = isFast ? 'the native thread' : 'the reference path';
  await t.test(`of a call that is paused nobody is told what is said, on ${path}`, async (t) => {
    const { relay, say, recordingId } = await talking(t, { isFast });
    await say(10);
    const paused = await relay.server.record({ deed: 'pause', recordingId, mode: 'skip' });
    t.same(paused, { recordingId, recording: 'paused' });
    t.match(relay.server.calls(), [{ recordingId, recording: 'paused' }]);
    // One after the other: what comes at once is handled before the call has changed over.
    for (let frame = 0; frame < 10; frame++) await say(1);
    t.same(
      await relay.server.record({ deed: 'pause', recordingId, mode: 'silence' }),
      paused,
      'and the first pause goes on',
    );
    t.same(await relay.server.record({ deed: 'resume', recordingId }), { recordingId, recording: 'running' });
    await say(10);
    const stream = relay.tap.stream();
    t.equal(audio(stream, 'audio'), 20);
    t.equal(audio(stream, 'muted'), 10);
    const muted = stream.notes.filter(({ kind }) => kind === 'muted');
    t.ok(muted.every((note) => note['bytes'] === 160 && note['payload'] === undefined));
    t.equal(muted.length, 20, 'of both parties');
    if (isFast)
      t.ok(muted.filter((note) => note['isFast'] === true).length > 0, 'the thread mutes by itself');
    t.same(relay.tap.calls[0]?.events, [
      { type: 'pause', paused: true, mode: 'skip' },
      { type: 'pause', paused: false },
    ]);
  });

  await t.test(`keys that are pressed in a pause are told the bot alone, on ${path}`, async (t) => {
    const { relay, caller, bot, say, recordingId } = await talking(t, { isFast });
    const press = async (digit: string): Promise<void> => {
      const pressed = [
        twilioDtmf({ streamSid: streamId, sequenceNumber: 1, digit }),
        `{"event":"keypad","streamSid":"${streamId}","key":"key ${digit}"}`,
        `{"event":"dtmf","streamSid":"${streamId}","dtmf":{"digit":"${digit}${digit}"}}`,
      ];
      caller.send(...pressed);
      for (const text of pressed) await until(() => bot.texts().includes(text), 'it at the bot');
    };
    await say(1);
    await press('1');
    await relay.server.record({ deed: 'pause', recordingId, mode: 'silence' });
    await press('2');
    await relay.server.record({ deed: 'resume', recordingId });
    await press('3');
    const digits = relay.tap.stream().notes.filter(({ kind }) => kind === 'dtmf');
    t.same(
      digits.map(({ digit }) => digit),
      ['1', '', '3'],
    );
    const unknown = relay.tap.calls[0]?.events.filter(({ type }) => type === 'unknown_message');
    t.same(unknown?.[1], { type: 'unknown_message', name: 'keypad' });
    t.match(unknown, [{ message: { key: 'key 1' } }, {}, { message: { key: 'key 3' } }]);
    t.equal(relay.lines('dtmf_invalid').length, 1);
    t.equal(relay.lines('dtmf_invalid')[0]?.['value'], undefined);
  });

  await t.test(`a recording that is stopped ends, and its call goes on, on ${path}`, async (t) => {
    const { relay, say, recordingId } = await talking(t, { isFast });
    await say(5);
    t.match(await relay.server.record({ deed: 'stop', recordingId }), { recording: 'stopped' });
    const [call] = relay.tap.calls;
    t.same(call?.end_, { ended: true });
    t.same(call?.streams[0]?.end_, { reason: 'relay', closeCode: null });
    t.match(call?.events, [{ type: 'recording_stopped' }]);
    await say(5);
    t.equal(
      relay.tap.stream().notes.filter(({ kind }) => kind === 'audio').length,
      10,
      'and nothing of it is kept',
    );
    t.match(
      await relay.server.record({ deed: 'stop', recordingId }),
      { recording: 'stopped' },
      'twice is once',
    );
    for (const deed of ['resume', 'pause'] as const)
      t.match(
        await relay.server.record({ deed, recordingId, mode: 'skip' }),
        { code: 'recording_not_live' },
        deed,
      );
  });

  await t.test(`a recording on request begins when it is asked for, on ${path}`, async (t) => {
    const accounts = accountsWith({ record: 'onRequest' });
    const { relay, say } = await talking(t, { isFast, accounts });
    t.match(relay.server.calls(), [{ recordingId: null, recording: 'awaited' }]);
    await say(5);
    t.equal(relay.tap.calls.length, 0, 'nothing was told to anybody');
    const begun = await relay.server.record({ deed: 'start', accountId, callId: callSid });
    t.match(begun, { recording: 'running' });
    await say(5);
    const stream = relay.tap.stream();
    t.equal(stream.facts.isJoined, true);
    t.equal(audio(stream, 'audio'), 5);
    t.match(relay.server.calls(), [{ recordingId: relay.tap.calls[0]?.recordingId, recording: 'running' }]);
    const again = await relay.server.record({ deed: 'start', accountId, callId: callSid });
    t.match(again, { code: 'recording_not_live' });
  });

  await t.test(
    `one that begins between two halves of a sample keeps them together, on ${path}`,
    async (t) => {
      const relay = await Relay.start(t, { isFast, accounts: accountsWith({ record: 'onRequest' }) });
      const caller = await relay.jambonz().open();
      caller.send(jambonzStart({ sampleRate: 8000, mixType: 'mono', callSid, accountSid: accountId }));
      const bot = await relay.bot.connection(0);
      await until(() => bot.received.length === 1, 'the start at the bot');
      const parts = [321, 320, 319].map((bytes) =>
        Buffer.from(Array.from({ length: bytes }, (_none, at) => (at * bytes) & 0xff)),
      );
      let said = 0;
      const say = async (part: Buffer): Promise<void> => {
        caller.send(part);
        bot.socket.send(part);
        said++;
        await until(() => bot.received.length === said + 1, 'it at the bot');
        await until(() => caller.received.length === said, 'it at the caller');
      };
      await say(parts[0] ?? Buffer.alloc(0));
      t.match(await relay.server.record({ deed: 'start', accountId, callId: callSid }), {
        recording: 'running',
      });
      for (const part of parts.slice(1)) await say(part);
      const wanted = Buffer.concat(parts).subarray(320);
      for (const track of [Track.caller, Track.botSent])
        t.ok(relay.tap.stream().heard(track).equals(wanted), `track ${track}`);
    },
  );
}

await t.test('a stream says itself whether it is recorded, before its account does', async (t) => {
  const never = await talking(t, {}, { 'reelay.record': 'never' });
  await never.say(3);
  t.equal(never.relay.tap.calls.length, 0);
  t.match(never.relay.server.calls(), [{ recordingId: null, recording: 'off' }]);
  const accounts = accountsWith({ record: 'never' });
  const always = await talking(t, { accounts }, { 'reelay.record': 'always' });
  await always.say(3);
  t.equal(audio(always.relay.tap.stream(), 'audio'), 3);
  const odd = await talking(t, { accounts }, { 'reelay.record': 'perhaps' });
  await odd.say(3);
  t.equal(odd.relay.tap.calls.length, 0, 'what it says has to be one of three words');
});

await t.test('a recording that can’t be kept is written down as failed, and who asks is told', async (t) => {
  const accounts = accountsWith({ record: 'onRequest', store: null });
  const { relay, say } = await talking(t, { accounts });
  await say(2);
  t.match(await relay.server.record({ deed: 'start', accountId, callId: callSid }), {
    code: 'recording_failed',
  });
  t.match(relay.tap.calls[0]?.facts, { failed: 'no_store' });
  await say(2);
  t.match(relay.server.calls(), [{ recording: 'off' }]);
});

await t.test('a call that isn’t up is not found', async (t) => {
  const relay = await Relay.start(t);
  t.match(await relay.server.record({ deed: 'stop', recordingId: 'r1' }), { code: 'recording_not_live' });
  t.match(await relay.server.record({ deed: 'start', accountId, callId: 'CA1' }), {
    code: 'recording_not_live',
  });
});
