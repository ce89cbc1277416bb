import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import type { Gap, Manifest } from '../../src/spool/Manifest.js';
import { Bot } from '../../src/simulators/Bot.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { readStoredCall } from './StoredCall.js';
import { loudVoice } from './voice.js';

/* Recordings that are paused, stopped and started while their calls are up, with a whole daemon and what lies in its store behind it. */

const bot = new Bot({ echo: true });
const { url } = await bot.listen();
const daemon = await DaemonProcess.start({
  dir: join(t.testdir(), 'daemon'),
  chunkSeconds: 1,
  accounts: [
    { id: 'acme', upstream: url, resumeSeconds: 0 },
    { id: 'later', upstream: url, resumeSeconds: 0, record: 'onRequest' },
  ],
});
t.teardown(async () => {
  await daemon.kill();
  await bot.close();
});

const said = loudVoice(3, 30 * 8000);
const heard = new Int16Array(said.length);
const mulaw = new Uint8Array(said.length);
kernels.encodeMulaw(said, mulaw);
kernels.decodeMulaw(mulaw, heard);

/** Between the last frame and the message that the call is over, samples: on a busy machine it isn't a frame's length. */
const tail = 1600;

interface Live {
  readonly callId: string;
  readonly recordingId: string | null;
  readonly recording: string;
  readonly samples: number;
}

function callOf(accountSid: string): { caller: TwilioCaller; over: Promise<unknown> } {
  const audio = new CallerAudio(said, { sampleRate: 8000 });
  const caller = new TwilioCaller({ url: daemon.media('/twilio'), accountSid, audio });
  return { caller, over: caller.call() };
}

async function liveCall({ callSid }: TwilioCaller): Promise<Live | undefined> {
  const { calls } = await daemon.json<{ calls: Live[] }>('/v1/calls');
  return calls.find(({ callId }) => callId === callSid);
}

/** The recording once so much of it is there. */
async function grown(caller: TwilioCaller, samples: number): Promise<string> {
  return await eventually(`${samples} samples are there`, async () => {
    const live = await liveCall(caller);
    return live !== undefined && live.samples >= samples && (live.recordingId ?? undefined);
  });
}

async function told(path: string, body?: unknown): Promise<unknown> {
  const response = await daemon.post(path, body);
  return { status: response.status, ...((await response.json()) as object) };
}

function gapsOf({ gaps }: Manifest, channel: number): readonly Gap[] {
  return gaps.filter((gap) => gap.channel === channel);
}

for (const mode of ['silence', 'skip'] as const) {
  await t.test(`a recording that is paused (${mode}) holds nothing of the pause, and is whole`, async (t) => {
    const { caller, over } = callOf('acme');
    const recordingId = await grown(caller, 4000);
    const path = `/v1/recordings/${recordingId}`;
    t.match(await told(`${path}/pause`, { mode }), { status: 200, recordingId, recording: 'paused' });
    await sleep(1500);
    t.match(await told(`${path}/resume`), { status: 200, recording: 'running' });
    await eventually('it has gone on for a second', async () => {
      const live = await liveCall(caller);
      return (live?.samples ?? 0) >= 4000 + (mode === 'skip' ? 8000 : 20_000);
    });
    caller.hangUp();
    await over;
    const { manifest, findings, channels } = await readStoredCall(await daemon.stored(caller.callSid));
    t.same(findings, []);
    t.equal(manifest.state, 'complete');
    const paused = manifest.events.find(({ type }) => type === 'paused');
    const resumed = manifest.events.find(({ type }) => type === 'resumed');
    t.match([paused, resumed], [{ mode }, {}]);
    const from = paused?.sample ?? 0;
    const to = resumed?.sample ?? 0;
    t.ok(from >= 4000, `from sample ${from}`);
    const voice = channels[0] ?? new Int16Array(0);
    const gap = gapsOf(manifest, 0);
    const missing = gap.reduce((sum, { samples, skippedSamples = 0 }) => sum + samples + skippedSamples, 0);
    t.ok(gap.every(({ cause }) => cause === 'paused'));
    t.ok(Math.abs(missing - 12_000) < 4000, `${missing} samples are missing`);
    // A frame that had begun before came in the pause; frames lie where their provider's clock has them.
    t.same(voice.subarray(0, from - 320), heard.subarray(0, from - 320), 'all that was said before is there');
    if (mode === 'silence') {
      t.equal(to - from, missing - (from - (gap[0]?.startSample ?? 0)));
      t.ok(voice.subarray(from, to).every((sample) => sample === 0));
      t.same(voice.subarray(to, -tail), heard.subarray(to, voice.length - tail));
    } else {
      t.equal(to, from);
      const skipped = Number(resumed?.['skippedSamples']);
      t.same(voice.subarray(to, -tail), heard.subarray(to + skipped, voice.length + skipped - tail));
      const seconds = (Date.parse(manifest.endTime ?? '') - Date.parse(manifest.startTime)) / 1000;
      t.ok(Math.abs(seconds - (manifest.samples + skipped) / 8000) < 0.002);
    }
  });
}

await t.test('a recording that is stopped is stored while its call goes on', async (t) => {
  const { caller, over } = callOf('acme');
  const recordingId = await grown(caller, 8000);
  t.match(await told(`/v1/recordings/${recordingId}/stop`), { status: 200, recording: 'stopped' });
  const stored = await readStoredCall(await daemon.stored(caller.callSid));
  t.same(stored.findings, []);
  t.equal(stored.manifest.state, 'complete');
  t.match(
    stored.manifest.events.find(({ type }) => type === 'recording_stopped'),
    { type: 'recording_stopped' },
  );
  t.match(await liveCall(caller), { recordingId, recording: 'stopped' });
  t.match(await told(`/v1/recordings/${recordingId}/resume`), { status: 409, code: 'recording_not_live' });
  caller.hangUp();
  await over;
});

await t.test('a recording on request has what was said from then on', async (t) => {
  const { caller, over } = callOf('later');
  await eventually('the call is up', async () => (await liveCall(caller))?.recording === 'awaited');
  await sleep(700);
  const begun = (await told(`/v1/calls/${caller.callSid}/record`)) as { status: number; recordingId: string };
  t.match(begun, { status: 201, recording: 'running' });
  t.equal(await grown(caller, 8000), begun.recordingId);
  caller.hangUp();
  await over;
  const { manifest, findings, channels } = await readStoredCall(await daemon.stored(caller.callSid));
  t.same(findings, []);
  t.equal(manifest.recordingId, begun.recordingId);
  const voice = channels[0] ?? new Int16Array(0);
  const first = voice.subarray(0, 400);
  const at = heard.findIndex(
    (_, index) => index % 160 === 0 && first.every((sample, i) => heard[index + i] === sample),
  );
  t.ok(at >= 700 * 8 - 160, `it begins at sample ${at} of what was said`);
  t.same(voice.subarray(0, -tail), heard.subarray(at, at + voice.length - tail));
});

await t.test('what can’t be done is said', async (t) => {
  t.match(await told('/v1/recordings/nothing/pause'), { status: 404, code: 'not_found' });
  t.match(await told('/v1/calls/nothing/record'), { status: 404, code: 'not_found' });
  const { caller, over } = callOf('acme');
  const recordingId = await grown(caller, 1600);
  t.match(await told(`/v1/recordings/${recordingId}/pause`, { mode: 'now' }), {
    status: 400,
    code: 'request_invalid',
  });
  t.match(await told(`/v1/calls/${caller.callSid}/record`), { status: 409, code: 'recording_not_live' });
  caller.hangUp();
  await over;
  await daemon.stored(caller.callSid);
  t.match(await told(`/v1/recordings/${recordingId}/pause`), { status: 409, code: 'recording_not_live' });
});
