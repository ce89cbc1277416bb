import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bytesOf } from '../../src/audio/pcm.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import { JambonzCaller } from '../../src/simulators/JambonzCaller.js';
import { DaemonProcess } from '../acceptance/DaemonProcess.js';
import { eventually } from '../acceptance/eventually.js';

t.jobs = 3;

/** The operator's endpoint, which answers as a test wants it to. */
async function endpoint(t: Test) {
  const asked: { readonly id: string; readonly response: ServerResponse }[] = [];
  const state = { isOpen: false };
  const answer = (id: string, response: ServerResponse): void => {
    if (id === 'nobody') {
      response.writeHead(404).end();
      return;
    }
    response.end(
      JSON.stringify({ id, resumeSeconds: 0, store: { type: 'file', dir: join(t.testdirName, 'stored') } }),
    );
  };
  const server = createServer((request, response) => {
    const id = (request.url ?? '/').slice(1);
    asked.push({ id, response });
    if (state.isOpen) answer(id, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/{account}`, asked, state };
}

async function daemonAsking(t: Test, url: string, timeoutMs: number): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({
    dir: join(t.testdir(), 'daemon'),
    accounts: [],
    env: { NODE_OPTIONS: '', REELAY_FAULTS: '1' },
    config: { accountsUrl: url, accountLookup: { timeoutMs }, recordEndpoint: { layout: 'chunks' } },
  });
  t.teardown(() => daemon.kill());
  return daemon;
}

/** A recording of a second and a half, and what was said in it. */
function recordingCall(daemon: DaemonProcess, accountSid: string, seconds: number) {
  const said = Int16Array.from({ length: seconds * 8000 }, (_none, index) => (index * 7919) % 30_011);
  const audio = new CallerAudio(said, { sampleRate: 8000 });
  const url = daemon.media('/api/v1');
  const call = { url, recordVendor: 'aws_s3', accountSid, callSid: `call-${accountSid}`, audio, seconds };
  return { caller: new JambonzCaller(call), said };
}

/** The caller's samples as they lie in the account's store. */
async function storedCaller(daemon: DaemonProcess, t: Test, callId: string): Promise<Buffer> {
  const { recordingId, state } = await eventually(`${callId} is stored`, async () => {
    const all = await daemon.recordings(`&callId=${callId}`);
    return all.find((recording) => recording.state === 'complete');
  });
  t.equal(state, 'complete');
  const manifest = await daemon.json<{ accountId: string; startTime: string }>(
    `/v1/recordings/${recordingId}`,
  );
  const day = manifest.startTime.slice(0, 10).replaceAll('-', '');
  const folder = join(t.testdirName, 'stored', manifest.accountId, day, callId, recordingId);
  const wav = readFileSync(join(folder, '0-audio.wav')).subarray(44);
  const left = Buffer.alloc(wav.length / 2);
  for (let at = 0; at < left.length; at += 2) wav.copy(left, at, at * 2, at * 2 + 2);
  return left;
}

void t.test('a call whose account cannot be asked for is recorded, and stored when it can be', async (t) => {
  const { url, asked, state } = await endpoint(t);
  const daemon = await daemonAsking(t, url, 200);
  const { caller, said } = recordingCall(daemon, 'far', 1);
  const result = await caller.call();
  t.match(result.streams[0], { closedBy: 'caller', closeCode: 1000 });
  await eventually('the question', () => asked.length > 0);
  await eventually('it lies in the spool', async () => (await daemon.spooled()).length === 1);
  state.isOpen = true;
  const stored = await storedCaller(daemon, t, 'call-far');
  t.ok(stored.subarray(0, said.length * 2).equals(Buffer.from(bytesOf(said))), 'from its first sample on');
  await eventually('the spool is empty', async () => (await daemon.spooled()).length === 0);
});

void t.test('a question that a lost control thread took along is asked again', async (t) => {
  const { url, asked, state } = await endpoint(t);
  const daemon = await daemonAsking(t, url, 60_000);
  const { caller, said } = recordingCall(daemon, 'far', 2);
  const called = caller.call();
  await eventually('the question', () => asked.length === 1);
  state.isOpen = true;
  await daemon.fault('control', 'exit').catch(() => undefined);
  await eventually('the question of the successor', () => asked.length >= 2);
  await called;
  // It asks before it listens.
  await eventually('the successor can be asked', async () => {
    return await daemon.recordings().then(
      () => true,
      () => false,
    );
  });
  const stored = await storedCaller(daemon, t, 'call-far');
  t.ok(
    stored.subarray(0, said.length * 2).equals(Buffer.from(bytesOf(said))),
    'and no sample is lost meanwhile',
  );
  t.notOk(daemon.logs.some(({ code }) => code === 'unknown_account' || code === 'accounts_unavailable'));
});

void t.test('a recording for an account that nobody knows says so, and where it was sent', async (t) => {
  const { url, state } = await endpoint(t);
  state.isOpen = true;
  const daemon = await daemonAsking(t, url, 5000);
  const result = await recordingCall(daemon, 'nobody', 0.2).caller.call();
  t.match(result.streams[0], { closedBy: 'caller', closeCode: 1000 });
  const failed = await eventually('the recording to be listed', async () => {
    const [recording] = await daemon.recordings();
    return recording;
  });
  t.match(await daemon.json(`/v1/recordings/${failed.recordingId}`), {
    accountId: 'nobody',
    callId: 'call-nobody',
    state: 'failed',
    reason: 'unknown_account',
    chunks: [],
    events: [{ type: 'recording_failed', sample: 0, reason: 'unknown_account' }],
  });
});
