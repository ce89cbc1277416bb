import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Bot } from '../../src/simulators/Bot.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { TraceReceiver } from '../fixtures/TraceReceiver.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { loudVoice } from './voice.js';

/* What somebody who looks into a call gets from a real daemon: its support bundle, its log lines and its trace. */

const bot = new Bot({ echo: true });
const { url: upstream } = await bot.listen();
// Of the whole file: a test's own folder would be taken away before its daemon is.
const home = t.testdir();
t.teardown(() => bot.close());

interface Bundle {
  readonly manifest: { readonly state: string; readonly chunks: readonly unknown[] } | null;
  readonly call: { readonly upstream: string } | null;
  readonly findings: readonly { readonly code: string }[];
  readonly problems: readonly unknown[];
  readonly sidecars: readonly unknown[];
  readonly lines: readonly Readonly<Record<string, unknown>>[];
}

async function daemonFor(t: Test, name: string, endpoint: string | null): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({
    dir: join(home, name),
    chunkSeconds: 1,
    accounts: [{ id: 'acme', upstream, resumeSeconds: 0 }],
    config: endpoint === null ? {} : { tracing: { endpoint } },
    env: { REELAY_FAULTS: '1' },
  });
  t.teardown(() => daemon.kill());
  return daemon;
}

/** A call that is up, and its recording when a chunk of it is sealed. */
async function callOn(
  daemon: DaemonProcess,
): Promise<{ caller: TwilioCaller; over: Promise<unknown>; recordingId: string }> {
  const audio = new CallerAudio(loudVoice(3, 20 * 8000), { sampleRate: 8000 });
  const caller = new TwilioCaller({ url: daemon.media('/twilio'), accountSid: 'acme', audio });
  const over = caller.call();
  const recordingId = await eventually('a second has been recorded', async () => {
    const { calls } = await daemon.json<{ calls: { recordingId: string; samples: number }[] }>('/v1/calls');
    return calls.find(({ samples }) => samples >= 8000)?.recordingId;
  });
  return { caller, over, recordingId };
}

async function bundleOf(daemon: DaemonProcess, recordingId: string): Promise<Bundle> {
  return await daemon.json<Bundle>(`/v1/recordings/${recordingId}/bundle`);
}

function said({ lines }: Bundle): string[] {
  return lines.map(({ thread, msg }) => `${String(thread)}: ${String(msg)}`);
}

await t.test('a call can be followed through all threads, from its start until it is stored', async (t) => {
  const receiver = await TraceReceiver.start(t);
  const daemon = await daemonFor(t, 'traced', receiver.url);
  const { caller, over, recordingId } = await callOn(daemon);
  const live = await eventually('the line of the call is there', async () => {
    const bundle = await bundleOf(daemon, recordingId);
    return said(bundle).includes('media: stream started') && bundle;
  });
  t.match(live, { call: { upstream: 'open' }, manifest: { state: 'recording' }, problems: [] });
  await daemon.post(`/v1/recordings/${recordingId}/pause`);
  await daemon.post(`/v1/recordings/${recordingId}/resume`);
  caller.hangUp();
  await over;
  const { manifest } = await (await daemon.stored(caller.callSid)).read();
  const bundle = await eventually('all lines are there', async () => {
    const found = await bundleOf(daemon, recordingId);
    return said(found).includes('control: recording stored') && said(found).length >= 8 && found;
  });
  const expected = [
    'media: stream started',
    'media: bot connected',
    'media: the recording was told',
    'media: stream ended',
    'media: call ended',
    'recorder: recording sealed',
    'control: recording stored',
  ];
  for (const line of expected) t.ok(said(bundle).includes(line), line);
  t.same(bundle.findings, []);
  t.equal(bundle.sidecars.length, bundle.manifest?.chunks.length);
  const ids = { callId: caller.callSid, recordingId, accountId: 'acme', provider: 'twilio' };
  for (const line of bundle.lines) t.match(line, ids, String(line['msg']));
  const about = daemon.logs.filter((line) => 'callId' in line);
  for (const line of about) t.match(line, ids, 'on stdout, too');
  t.equal(await daemon.metric('reelay_spool_bytes').then((bytes) => bytes > 0), true);

  await daemon.kill('SIGTERM');
  const traceId = recordingId.replaceAll('-', '');
  const mine = receiver.spans.filter((span) => span.traceId === traceId);
  const [whole] = mine.filter(({ name }) => name === 'recording');
  t.match(whole, { startTimeUnixNano: Date.parse(manifest?.value?.startTime ?? '') });
  const events = whole?.events.map(({ name }) => name) ?? [];
  for (const name of ['paused', 'resumed', 'ended']) t.ok(events.includes(name), name);
  const chunks = mine.filter(({ name }) => name === 'store chunk');
  t.equal(chunks.length, manifest?.value?.chunks.length);
  t.ok(chunks.every(({ parentSpanId }) => parentSpanId === whole?.spanId));
  t.ok(receiver.named('POST /v1/recordings/:id/pause').length === 1);

  await daemon.restart();
  t.strictSame(said(await bundleOf(daemon, recordingId)), said(bundle), 'the lines survive a restart');
  await daemon.kill();
});

await t.test('an endpoint that never answers changes nothing', async (t) => {
  const receiver = await TraceReceiver.start(t);
  receiver.answer = () => undefined;
  const daemon = await daemonFor(t, 'unanswered', receiver.url);
  const { caller, over } = await callOn(daemon);
  caller.hangUp();
  await over;
  const stored = await (await daemon.stored(caller.callSid)).read();
  t.equal(stored.manifest?.value?.state, 'complete');
  await eventually('it is asked', () => receiver.requests > 0);
  t.strictSame(await daemon.kill('SIGTERM'), { code: 0, signal: null });
  t.equal(daemon.logged(50).length, 0);
});

await t.test('lines of all threads go on being kept when the control thread is another one', async (t) => {
  const daemon = await daemonFor(t, 'restarted', null);
  const { caller, over, recordingId } = await callOn(daemon);
  await eventually('the first line is there', async () =>
    said(await bundleOf(daemon, recordingId)).includes('media: stream started'),
  );
  await daemon.fault('control', 'throw');
  await eventually('its successor answers', async () => {
    const restarts = await daemon.metric('reelay_control_restarts_total').catch(() => 0);
    return restarts > 0;
  });
  caller.hangUp();
  await over;
  await daemon.stored(caller.callSid);
  const expected = ['media: stream started', 'media: call ended', 'recorder: recording sealed'];
  const bundle = await eventually('the lines are there', async () => {
    const found = await bundleOf(daemon, recordingId);
    return expected.every((line) => said(found).includes(line)) && found;
  });
  t.same(bundle.findings, []);
  await daemon.kill();
});
