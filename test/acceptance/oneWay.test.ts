import { join } from 'node:path';
import t, { type Test } from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { Bot } from '../../src/simulators/Bot.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import type { CallResult, StreamResult } from '../../src/simulators/CallResult.js';
import { TwilioCaller, type TwilioCallerOptions } from '../../src/simulators/TwilioCaller.js';
import { DaemonProcess } from './DaemonProcess.js';
import { exactProblems } from './Oracle.js';
import { readStoredCall } from './StoredCall.js';
import { loudVoice } from './voice.js';

const bot = new Bot({ echo: true });
const { url } = await bot.listen();
const daemon = await DaemonProcess.start({
  dir: join(t.testdir(), 'daemon'),
  chunkSeconds: 1,
  accounts: [{ id: '*', upstream: `${url}/twilio`, resumeSeconds: 1 }],
});
t.teardown(async () => {
  await daemon.kill();
  await bot.close();
});

function voice(seed: number): CallerAudio {
  return new CallerAudio(loudVoice(seed, 40_000), { sampleRate: 8000 });
}

function caller(options: Partial<TwilioCallerOptions>): TwilioCaller {
  return new TwilioCaller({ url: daemon.media('/twilio'), accountSid: 'acme', seconds: 3, ...options });
}

/** Frames of a track with their place in the recording, given where the stream begins in it. */
function framesOf(stream: StreamResult | undefined, track: 'inbound' | 'outbound', startSample: number) {
  const frames = stream?.frames.filter((frame) => frame.track === track) ?? [];
  return frames.map(({ timestampMs, payload }) => {
    const pcm = new Int16Array(payload.length);
    kernels.decodeMulaw(payload, pcm);
    return { at: startSample + timestampMs * 8, pcm };
  });
}

function nothingCameBack(t: Test, result: CallResult): void {
  t.same(result.violations, []);
  t.same(result.streams[0]?.receipts, []);
  t.equal(bot.calls.filter((call) => call.callSid === result.callSid).length, 0, 'and no bot was asked');
}

t.jobs = 4;

void t.test('both tracks of a one-way stream are recorded as they came', async (t) => {
  const one = caller({ track: 'both_tracks', audio: voice(1), outboundAudio: voice(2) });
  const result = await one.call();
  nothingCameBack(t, result);
  const { manifest, channels, findings } = await readStoredCall(await daemon.stored(one.callSid));
  for (const [channel, track] of (['inbound', 'outbound'] as const).entries()) {
    const recorded = channels[channel] ?? new Int16Array(0);
    t.same(exactProblems(track, recorded, framesOf(result.streams[0], track, 0)), []);
  }
  t.same([findings, manifest.gaps, manifest.completeness], [[], [], [1, 1]]);
  t.match(manifest, { state: 'complete', streams: [{ role: 'oneway' }] });
});

void t.test('so is the caller alone, when its stream says that it goes one way', async (t) => {
  const customParameters = { 'reelay.oneWay': 'true' };
  const one = caller({ track: 'inbound_track', audio: voice(3), customParameters });
  const result = await one.call();
  nothingCameBack(t, result);
  const { manifest, channels, findings } = await readStoredCall(await daemon.stored(one.callSid));
  const recorded = channels[0] ?? new Int16Array(0);
  t.same(exactProblems('inbound', recorded, framesOf(result.streams[0], 'inbound', 0)), []);
  t.same([findings, manifest.gaps, manifest.completeness], [[], [], [1, 1]]);
});

void t.test('a tap beside the stream that the bot talks on is what gets recorded', async (t) => {
  const audio = voice(4);
  const talk = caller({ audio, seconds: 4 });
  const tap = caller({
    url: daemon.media('/twilio/tap'),
    callSid: talk.callSid,
    track: 'both_tracks',
    audio: voice(5),
    outboundOf: talk,
    seconds: 2,
  });
  let tapped: Promise<CallResult> | undefined;
  talk.on('media', () => {
    tapped ??= tap.call();
  });
  await talk.call();
  const { streams: tapStreams, violations } = (await tapped) ?? tap.result();
  t.same(violations, []);
  t.same(tapStreams[0]?.receipts, [], 'nothing is sent to the tap');
  const { manifest, channels, findings } = await readStoredCall(await daemon.stored(talk.callSid));
  t.same(findings, []);
  t.same(
    manifest.streams.map(({ role }) => role),
    ['call', 'tap'],
  );
  const { startSample = 0, endSample = 0 } = manifest.streams[1] ?? {};
  const toEnd = Math.min(endSample ?? 0, startSample + 2 * 8000);
  t.ok(toEnd - startSample > 15_000, 'the tap lasted two seconds');
  for (const [channel, track] of (['inbound', 'outbound'] as const).entries()) {
    const part = (channels[channel] ?? new Int16Array(0)).subarray(startSample, toEnd);
    t.same(exactProblems(track, part, framesOf(tapStreams[0], track, 0)), [], `${track} as the tap heard it`);
  }
  const before = framesOf(talk.result().streams[0], 'inbound', 0).filter(({ at }) => at + 160 <= startSample);
  t.ok(before.length > 0, 'before the tap the call’s own stream is recorded');
  const head = (channels[0] ?? new Int16Array(0)).subarray(0, before.length * 160);
  t.same(exactProblems('inbound', head, before), []);
});

void t.test('digits reach the bot and the manifest, each at its time', async (t) => {
  const dtmf = [
    { atMs: 400, digit: '5' },
    { atMs: 800, digit: '#' },
    { atMs: 1200, digit: '5' },
  ];
  const one = caller({ audio: voice(6), seconds: 2, dtmf });
  await one.call();
  const { manifest } = await readStoredCall(await daemon.stored(one.callSid));
  const seen = manifest.events.filter(({ type }) => type === 'dtmf');
  t.same(
    seen.map((event) => [event['digit'], event.sample / 8]),
    dtmf.map(({ atMs, digit }) => [digit, atMs]),
  );
  const heard = bot.calls.find((call) => call.callSid === one.callSid);
  t.same(heard?.digits, ['5', '#', '5']);
});
