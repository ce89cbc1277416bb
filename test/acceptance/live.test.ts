import { join } from 'node:path';
import t from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { channelOf, samplesOf } from '../../src/audio/pcm.js';
import { readWavHeader, wavHeader, wavHeaderBytes } from '../../src/audio/wav.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { Bot } from '../../src/simulators/Bot.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { readStoredCall } from './StoredCall.js';
import { loudVoice } from './voice.js';

interface LiveCall {
  readonly recordingId: string;
  readonly callId: string;
  readonly upstream: string;
  readonly samples: number;
  readonly peaks: readonly number[];
}

const bot = new Bot({ echo: true });
const { url } = await bot.listen();
const daemon = await DaemonProcess.start({
  dir: join(t.testdir(), 'daemon'),
  chunkSeconds: 2,
  accounts: [{ id: '*', upstream: url, resumeSeconds: 0 }],
});
t.teardown(async () => {
  await daemon.kill();
  await bot.close();
});

const said = loudVoice(1, 30 * 8000);
const caller = new TwilioCaller({
  url: daemon.media('/twilio'),
  accountSid: 'acme',
  audio: new CallerAudio(said, { sampleRate: 8000 }),
});

async function liveCall(): Promise<LiveCall | undefined> {
  const { calls } = await daemon.json<{ calls: LiveCall[] }>('/v1/calls');
  return calls.find(({ callId }) => callId === caller.callSid);
}

/** An answer of audio.wav, checked to be a whole WAV of its own length. */
async function snapshot(recordingId: string): Promise<{ samples: number; bytes: Buffer; etag: string }> {
  const response = await daemon.get(`/v1/recordings/${recordingId}/audio.wav`);
  if (response.status !== 200) throw new Error(`audio.wav gave ${response.status}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  const samples = (bytes.length - wavHeaderBytes) / 4;
  t.same(bytes.subarray(0, wavHeaderBytes), wavHeader({ sampleRate: 8000, channels: 2, samples }));
  t.equal(Number(response.headers.get('content-length')), bytes.length);
  return { samples, bytes, etag: response.headers.get('etag') ?? '' };
}

function callerSide(wav: Buffer): Int16Array {
  return channelOf(samplesOf(wav.subarray(wavHeaderBytes)), 0, 2);
}

const decodedVoice = new Int16Array(said.length);
const mulaw = new Uint8Array(said.length);
kernels.encodeMulaw(said, mulaw);
kernels.decodeMulaw(mulaw, decodedVoice);

await t.test('before any call the daemon is ready and knows of none', async (t) => {
  t.equal((await daemon.get('/healthz')).status, 200);
  const { threads } = await eventually('the recorder is ready, too', async () => {
    const answer = await daemon.get('/readyz');
    const body = (await answer.json()) as { ready: boolean; threads: Record<string, string> };
    t.equal(answer.status, body.ready ? 200 : 503);
    return body.ready && body;
  });
  t.same(threads, { media: 'ready', recorder: 'ready', control: 'ready' });
  // The list follows the calls four times a second at most.
  await eventually('no call is listed', async () => {
    const { calls } = await daemon.json<{ calls: unknown[] }>('/v1/calls');
    return calls.length === 0;
  });
  t.same(await daemon.recordings(), []);
});

const result = caller.call();

await t.test('a recording answers from its first second, with its state or its audio', async (t) => {
  const { recordingId } = await eventually('the call is listed', liveCall);
  const statuses: number[] = [];
  await eventually('there is audio', async () => {
    for (const path of ['', '/audio.wav']) {
      const response = await daemon.get(`/v1/recordings/${recordingId}${path}`);
      const { status } = response;
      if (status === 202) t.equal(response.headers.get('retry-after'), '1');
      await response.arrayBuffer();
      statuses.push(status);
    }
    return statuses.at(-1) === 200;
  });
  t.same(
    statuses.filter((status) => status !== 200 && status !== 202),
    [],
    'there is no other answer',
  );
  const [listed] = await daemon.recordings(`&callId=${caller.callSid}`);
  t.match(listed, { recordingId, state: 'recording' });
});

await t.test('audio.wav grows, and every answer is a whole WAV of what was said', async (t) => {
  const { recordingId } = (await liveCall()) ?? { recordingId: '' };
  let before = await snapshot(recordingId);
  for (let growth = 0; growth < 6; growth += 1) {
    const now = await eventually('the audio has grown', async () => {
      const next = await snapshot(recordingId);
      return next.samples > before.samples && next;
    });
    t.not(now.etag, before.etag, 'under another ETag');
    const heard = callerSide(now.bytes);
    t.same(heard, decodedVoice.subarray(0, heard.length), `${now.samples} samples as they were said`);
    before = now;
  }
  t.ok(before.samples > 16_000, 'beyond the first chunk');
});

await t.test('parts of it can be asked for', async (t) => {
  const { recordingId } = (await liveCall()) ?? { recordingId: '' };
  const { bytes, etag } = await snapshot(recordingId);
  const path = `/v1/recordings/${recordingId}/audio.wav`;
  const middle = await daemon.get(path, { range: 'bytes=1000-39999' });
  t.equal(middle.status, 206);
  t.match(middle.headers.get('content-range'), /^bytes 1000-39999\/\d+$/);
  t.same(Buffer.from(await middle.arrayBuffer()), bytes.subarray(1000, 40_000));
  const head = await daemon.get(path, { range: 'bytes=0-43' });
  t.ok(readWavHeader(Buffer.from(await head.arrayBuffer())).dataBytes >= bytes.length - wavHeaderBytes);
  await eventually('the audio has grown', async () => (await snapshot(recordingId)).etag !== etag);
  const stale = await daemon.get(path, { range: 'bytes=1000-1999', 'if-range': etag });
  t.equal(stale.status, 200, 'a part of what has grown meanwhile is refused: the whole comes');
  t.ok((await stale.arrayBuffer()).byteLength > bytes.length);
  const beyond = await daemon.get(path, { range: 'bytes=999999999-' });
  t.equal(beyond.status, 416);
});

await t.test('calls, chunks and metrics show the call while it is up', async (t) => {
  const live = await liveCall();
  t.match(live, { upstream: 'open' });
  t.ok((live?.samples ?? 0) > 0);
  t.ok((live?.peaks ?? []).length === 2);
  t.equal(await daemon.metric('reelay_calls'), 1);
  t.equal(await daemon.metric('reelay_streams'), 1);
  t.ok((await daemon.metric('reelay_provider_frames_total')) > 100);
  t.equal(await daemon.metric('reelay_tap_dropped_frames_total'), 0);
  t.ok((await daemon.metric('reelay_relay_latency_seconds_count{direction="to_bot"}')) > 100);
  const path = `/v1/recordings/${live?.recordingId ?? ''}`;
  const manifest = await eventually('the first chunk is listed', async () => {
    const now = await daemon.json<Manifest>(path);
    return now.chunks.length > 0 && now;
  });
  t.equal(manifest.chunks[0]?.samples, 16_000);
  const chunk = await daemon.get(`${path}/chunks/0.wav`);
  t.equal(Buffer.from(await chunk.arrayBuffer()).length, manifest.chunks[0]?.bytes);
  t.match(await daemon.json(`${path}/chunks/0.json`), { index: 0, previousSha256: null });
});

await t.test('after the call the same address gives the same audio, now from the store', async (t) => {
  const { recordingId } = (await liveCall()) ?? { recordingId: '' };
  caller.hangUp();
  const { violations } = await result;
  t.same(violations, []);
  const stored = await readStoredCall(await daemon.stored(caller.callSid));
  t.same(stored.findings, []);
  t.equal(stored.manifest.state, 'complete');
  t.same(stored.manifest.completeness, [1, 1]);
  const { bytes } = await snapshot(recordingId);
  t.same(callerSide(bytes), stored.channels[0]);
  // The list follows the calls four times a second at most.
  await eventually('no call is listed', async () => {
    const { calls } = await daemon.json<{ calls: unknown[] }>('/v1/calls');
    return calls.length === 0;
  });
  t.equal(await daemon.metric('reelay_calls'), 0);
  await eventually('the spool is empty', async () => (await daemon.spooled()).length === 0);
});
