import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Manifest } from '../../src/spool/Manifest.js';
import { Bot } from '../../src/simulators/Bot.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import type { CallResult } from '../../src/simulators/CallResult.js';
import { JambonzCaller } from '../../src/simulators/JambonzCaller.js';
import { latencyOf } from '../../src/simulators/LatencyMeter.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { Bucket } from './Bucket.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { TestServer } from './TestServer.js';
import { callerVoice, loudVoice } from './voice.js';

/*
 * What this project began with: a provider named the wrong account, the recorder found no bucket there, closed its socket, and
 * the call went silent.
 */
const server = await TestServer.open();
const access = await server.account('acme');
const bucket = new Bucket(access);
const bot = new Bot({ echo: true });
const { url } = await bot.listen();
const upstream = { twilio: `${url}/twilio`, jambonz: `${url}/jambonz` };
const { endpoint, accessKeyId, secretAccessKey } = access;
const daemon = await DaemonProcess.start({
  dir: join(t.testdir(), 'daemon'),
  chunkSeconds: 2,
  accounts: [
    {
      id: 'acme',
      upstream,
      resumeSeconds: 0,
      store: { type: 's3', endpoint, bucket: access.bucket, accessKeyId, secretAccessKey },
    },
    { id: 'default', upstream, resumeSeconds: 0, store: null },
  ],
});
t.teardown(async () => {
  await daemon.kill();
  await bot.close();
  bucket.close();
  await server.close();
});

const seconds = 6;
const perAccount = 3;

/** The manifest of a call's only recording once nothing more happens to it. */
async function settled(callId: string): Promise<Manifest> {
  return await eventually(`the recording of ${callId} is over`, async () => {
    const [one, ...more] = await daemon.recordings(`&callId=${callId}`);
    if (more.length > 0) throw new Error(`${more.length + 1} recordings of ${callId}`);
    if (one === undefined || one.state === 'recording' || one.state === 'uploading') return undefined;
    return await daemon.json<Manifest>(`/v1/recordings/${one.recordingId}`);
  });
}

/** Every frame at both ends, and what came back as it was sent. */
function bothWays(t: Test, result: CallResult, name: string): void {
  const [stream] = result.streams;
  const own = bot.calls.filter(({ callSid }) => callSid === result.callSid);
  t.equal(result.refused, null);
  t.equal(own.length, 1, `${name}: one socket at the bot`);
  const sent = Buffer.concat(stream?.frames.map(({ payload }) => payload) ?? []);
  const received = Buffer.concat(own[0]?.frames.map(({ payload }) => payload) ?? []);
  t.equal(result.framesSent, seconds * 50);
  t.ok(sent.equals(received), `${name}: the bot received every frame`);
  const heard = Buffer.concat(stream?.heard.map(({ bytes }) => bytes) ?? []);
  t.ok(heard.equals(sent.subarray(0, heard.length)), `${name}: the caller heard the bot without a hole`);
  t.ok(heard.length >= sent.length - 8000 / 2, `${name}: up to the end of the call`);
  t.equal(stream?.closedBy, 'caller', `${name}: the caller ended the call`);
  t.same(result.violations, []);
}

void t.test('a call of an account without a bucket is like one of an account with one', async (t) => {
  const audio = new CallerAudio(loudVoice(5, seconds * 8000), { sampleRate: 8000 });
  const accounts = Array.from({ length: 2 * perAccount }, (_none, at) => (at % 2 === 0 ? 'acme' : 'default'));
  const results = await Promise.all(
    accounts.map(async (accountSid, index) => {
      await sleep(index * 37);
      return await new TwilioCaller({ url: daemon.media('/twilio'), audio, seconds, accountSid }).call();
    }),
  );
  const latencies = { acme: [] as number[], default: [] as number[] };
  for (const result of results) {
    bothWays(t, result, result.accountSid);
    latencies[result.accountSid as 'acme' | 'default'].push(...result.latencySamples);
    const manifest = await settled(result.callSid);
    const isStored = result.accountSid === 'acme';
    t.match(manifest, isStored ? { state: 'complete' } : { state: 'failed', reason: 'no_store' });
    const keys = [...(await bucket.objects()).keys()].filter((key) => key.includes(result.callSid));
    t.equal(keys.length > 0, isStored, 'what is stored lies in its own bucket, and nothing else does');
    const logged = daemon.logged(40).filter((line) => JSON.stringify(line).includes(manifest.recordingId));
    t.equal(logged.length > 0, !isStored, 'the log says which recording has no store');
  }
  const [stored, bare] = [latencyOf(latencies.acme), latencyOf(latencies.default)];
  for (const [name, { samples, p50, p99, max }] of Object.entries({ stored, bare }))
    t.comment(
      `${name}: ${samples} round trips, p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(1)} ms`,
    );
  t.ok(Math.abs(stored.p50 - bare.p50) <= 2, 'one hears no difference');
});

for (const { accountSid, reason } of [
  { accountSid: 'default', reason: 'no_store' },
  { accountSid: `nobody-${randomUUID()}`, reason: 'unknown_account' },
]) {
  void t.test(`/record stays open to the end for a call whose recording fails: ${reason}`, async (t) => {
    const before = await bucket.objects();
    const audio = new CallerAudio(callerVoice(3, 5 * 8000), { sampleRate: 8000 });
    const caller = new JambonzCaller({
      url: daemon.media('/api/v1/record/aws_s3'),
      audio,
      seconds: 5,
      mixType: 'stereo',
      accountSid,
      subprotocol: 'audio.jambonz.org',
    });
    const result = await caller.call();
    const [stream] = result.streams;
    t.equal(result.refused, null);
    const sent = stream?.frames.reduce((bytes, { payload }) => bytes + payload.length, 0);
    t.equal(sent, 5 * 8000 * 4, 'everything was sent');
    t.equal(stream?.closedBy, 'caller');
    t.equal(stream?.closeCode, 1000);
    t.same(stream?.heard, [], 'nothing is ever sent on a record socket');
    const manifest = await settled(result.callSid);
    t.match(manifest, { state: 'failed', reason });
    t.equal(manifest.claimedAccountId ?? manifest.accountId, accountSid, 'it says which account was claimed');
    t.same([...(await bucket.objects()).keys()], [...before.keys()], "nothing of it lies in anyone's bucket");
  });
}
