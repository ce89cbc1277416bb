import t, { type Test } from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { bytesOf } from '../../src/audio/pcm.js';
import { promptAt, readPrompts } from '../../src/audio/Prompt.js';
import type { AccountConfig, JambonzReturns } from '../../src/config/Config.js';
import { jambonzPlayDone, jambonzStart } from '../../src/providers/jambonz/messages.js';
import { twilioBotMedia } from '../../src/providers/twilio/messages.js';
import { Track } from '../../src/tap/TapRecord.js';
import { account, accountId, Relay } from './fixtures/Relay.js';
import type { RelayOptions } from './fixtures/Relay.js';
import { connected, media, payload, start, streamId } from './fixtures/twilioCall.js';
import { until } from './fixtures/until.js';

/* The prompt that tells a caller of the recording: heard by the caller before anything of the bot, and recorded as the bot's. */

const callSid = `CA${'8'.repeat(32)}`;
const prompts = await readPrompts({});
const beep = (rate: number): Int16Array => promptAt(prompts['beep'], rate) ?? new Int16Array();
const mulaw = new Uint8Array(beep(8000).length);
kernels.encodeMulaw(beep(8000), mulaw);

function optionsOf(overrides: Partial<AccountConfig>, isFast: boolean): RelayOptions {
  return {
    isFast,
    config: { prompts },
    accounts: ({ url }) => [
      account({ upstream: { twilio: url, jambonz: url }, prompt: 'beep', ...overrides }),
    ],
  };
}

async function twilioCall(t: Test, overrides: Partial<AccountConfig>, isFast: boolean) {
  const relay = await Relay.start(t, optionsOf(overrides, isFast));
  const caller = await relay.twilio().open();
  caller.send(connected, start({ callSid }));
  const bot = await relay.bot.connection(0);
  await until(() => bot.received.length === 2, 'the start at the bot');
  const heard = (): Buffer =>
    Buffer.concat(
      caller.texts().map((text) => {
        const message = JSON.parse(text) as { streamSid: string; media: { payload: string } };
        t.equal(message.streamSid, streamId);
        return Buffer.from(message.media.payload, 'base64');
      }),
    );
  const say = async (frames: number): Promise<void> => {
    const [before, said] = [heard().length, bot.received.length];
    for (let index = 0; index < frames; index++) {
      caller.send(media(index));
      bot.socket.send(twilioBotMedia(streamId, payload(index)));
    }
    await until(() => heard().length >= before + frames * 160, 'the bot at the caller');
    await until(() => bot.received.length === said + frames, 'the caller at the bot');
  };
  return { relay, caller, bot, heard, say };
}

async function jambonzCall(t: Test, returns: JambonzReturns, sampleRate: number) {
  const jambonz = { ...account().jambonz, returns };
  const relay = await Relay.start(t, optionsOf({ jambonz }, false));
  const caller = await relay.jambonz().open();
  caller.send(jambonzStart({ sampleRate, mixType: 'mono', callSid: 'c-1', accountSid: accountId }));
  const bot = await relay.bot.connection(0);
  await until(() => bot.received.length === 1, 'the start at the bot');
  return { relay, caller, bot };
}

for (const isFast of [true, false]) {
  const path = isFast ? 'the native thread' : 'the reference path';
  await t.test(`a caller of Twilio hears it first, and it is recorded, on ${path}`, async (t) => {
    const { relay, heard, say, bot } = await twilioCall(t, {}, isFast);
    await until(() => heard().length === mulaw.length, 'the beep at the caller');
    t.ok(heard().equals(mulaw));
    await say(5);
    const stream = relay.tap.stream();
    const recorded = stream.heard(Track.botSent);
    t.ok(recorded.subarray(0, mulaw.length).equals(mulaw));
    t.equal(recorded.length, mulaw.length + 5 * 160, 'and the bot behind it');
    t.same(relay.tap.calls[0]?.events, [{ type: 'prompt', name: 'beep' }]);
    t.equal(bot.received.length, 7, 'of which the bot learns nothing');
  });

  await t.test(`it is played when a recording is asked for, on ${path}`, async (t) => {
    const { relay, heard, say } = await twilioCall(t, { record: 'onRequest' }, isFast);
    await say(5);
    t.equal(heard().length, 5 * 160, 'nothing before');
    t.match(await relay.server.record({ deed: 'start', accountId, callId: callSid }), {
      recording: 'running',
    });
    await until(() => heard().length === 5 * 160 + mulaw.length, 'the beep at the caller');
    await say(5);
    const recorded = relay.tap.stream().heard(Track.botSent);
    t.ok(recorded.subarray(0, mulaw.length).equals(mulaw));
    t.equal(recorded.length, mulaw.length + 5 * 160);
    const { recordingId } = relay.tap.calls[0] ?? {};
    await relay.server.record({ deed: 'pause', recordingId: recordingId ?? '', mode: 'skip' });
    await relay.server.record({ deed: 'resume', recordingId: recordingId ?? '' });
    await say(5);
    t.equal(heard().length, 15 * 160 + mulaw.length, 'once');
  });
}

await t.test('a tap that comes before the stream that can be played to doesn’t use it up', async (t) => {
  const relay = await Relay.start(t, optionsOf({}, false));
  const tap = await relay.twilio('/twilio/tap').open();
  tap.send(connected, start({ callSid, streamSid: `MZ${'d'.repeat(32)}` }));
  await until(() => relay.tap.calls[0]?.streams.length === 1, 'the tap');
  const caller = await relay.twilio().open();
  caller.send(connected, start({ callSid }));
  await until(() => caller.received.length > 0, 'the beep at the caller');
  const message = JSON.parse(caller.texts()[0] ?? '') as { media: { payload: string } };
  t.ok(Buffer.from(message.media.payload, 'base64').equals(mulaw));
  t.equal(relay.tap.calls.length, 1);
  t.same(relay.tap.calls[0]?.events, [
    { type: 'prompt_unplayable', name: 'beep' },
    { type: 'prompt', name: 'beep' },
  ]);
  t.equal(tap.received.length, 0);
});

await t.test('who isn’t recorded hears nothing', async (t) => {
  for (const overrides of [{ record: 'never' }, { store: null }] as const) {
    const { heard, say } = await twilioCall(t, overrides, false);
    await say(3);
    t.equal(heard().length, 3 * 160);
  }
});

await t.test('a stream that goes on with a call is not told again', async (t) => {
  const { relay, caller, heard } = await twilioCall(t, { resumeSeconds: 60 }, false);
  await until(() => heard().length === mulaw.length, 'the beep at the caller');
  caller.socket.close();
  await caller.closed();
  const again = await relay.twilio().open();
  again.send(connected, start({ callSid, streamSid: `MZ${'c'.repeat(32)}` }));
  const bot = await relay.bot.connection(1);
  await until(() => bot.received.length === 2, 'the start at the bot');
  bot.socket.send(twilioBotMedia(`MZ${'c'.repeat(32)}`, payload(1)));
  await until(() => again.received.length > 0, 'the bot at the caller');
  t.match(again.texts()[0], payload(1).toString('base64'));
  relay.server.close().catch(() => undefined);
});

await t.test(
  'jambonz is played binary audio at its own rate, filled up to what its client plays',
  async (t) => {
    for (const rate of [8000, 16_000]) {
      const { relay, caller } = await jambonzCall(t, 'streaming', rate);
      await until(() => caller.received.length === 1, 'the beep at the caller');
      t.ok(caller.received.every(({ data, isBinary }) => isBinary && data.length === 2 * rate * 0.4));
      const played = Buffer.concat(caller.received.map(({ data }) => data));
      t.ok(played.equals(Buffer.from(bytesOf(beep(rate)))));
      t.ok(relay.tap.stream().heard(Track.botSent).equals(played));
    }
  },
);

await t.test('or a clip, of whose end its bot isn’t told', async (t) => {
  const { relay, caller, bot } = await jambonzCall(t, 'playAudio', 16_000);
  await until(() => caller.received.length === 1, 'the clip at the caller');
  const { type, data } = JSON.parse(caller.texts()[0] ?? '') as {
    type: string;
    data: Record<string, string>;
  };
  t.equal(type, 'playAudio');
  t.match(data, { audioContentType: 'raw', sampleRate: 8000, queuePlay: true, id: 'reelay-prompt' });
  t.ok(Buffer.from(data['audioContent'] ?? '', 'base64').equals(Buffer.from(bytesOf(beep(8000)))));
  caller.send(jambonzPlayDone('reelay-prompt', 400), jambonzPlayDone('its own', 20));
  await until(() => bot.received.length === 2, 'the other clip’s end at the bot');
  t.match(bot.received[1]?.data.toString(), 'its own');
  t.match(
    relay.tap
      .stream()
      .kinds()
      .filter((kind) => kind === 'clipDone').length,
    2,
  );
});

await t.test('where nothing can be played, log and recording say so', async (t) => {
  const { relay, caller, bot } = await jambonzCall(t, 'none', 8000);
  caller.send(new Uint8Array(320));
  await until(() => bot.received.length === 2, 'the caller at the bot');
  t.equal(caller.received.length, 0);
  t.equal(relay.lines('prompt_unplayable').length, 1);
  t.match(relay.tap.calls[0]?.events, [{ type: 'prompt_unplayable', name: 'beep' }]);
});
