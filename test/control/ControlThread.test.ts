import { existsSync, mkdtempSync } from 'node:fs';
import { readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import type { ControlData, FromControl, ToControl } from '../../src/control/ControlMessage.js';
import type { Manifest, Sidecar } from '../../src/spool/Manifest.js';
import { apiKeyOf } from '../../src/config/ApiKey.js';
import type { Announcement } from '../../src/spool/SpoolEvent.js';
import { Counters } from '../../src/tap/Counters.js';
import { bytesOf } from '../fixtures/ApiBench.js';
import { fabricateRecording, wavOf } from '../fixtures/recording.js';
import { WebhookReceiver, webhookSecret } from '../fixtures/WebhookReceiver.js';
import { S3Server } from '../storage/fixtures/S3Server.js';

type Message<Type extends FromControl['type']> = Extract<FromControl, { type: Type }>;

/** Of the test's own and not tap's, which takes a folder away while its thread still writes what it has heard. */
function folderOf(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'reelay-control-'));
  t.teardown(async () => await rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return dir;
}

/** A real control thread, and everything that it has posted. */
class Thread {
  readonly worker: Worker;
  readonly exited: Promise<unknown>;
  readonly heartbeat = new SharedArrayBuffer(8);
  readonly messages: FromControl[] = [];
  readonly #recorder: MessagePort;

  constructor(t: Test, flags: ControlData['flags'], more: Partial<ControlData> = {}) {
    const { port1, port2 } = new MessageChannel();
    this.#recorder = port1;
    const workerData: ControlData = {
      flags,
      config: null,
      counters: new Counters().buffer,
      heartbeat: this.heartbeat,
      recorderPort: port2,
      begun: false,
      tokenKey: new Uint8Array(32),
      linkKey: new Uint8Array(32),
      kernels: 'typescript',
      ...more,
    };
    this.worker = new Worker(new URL('../../src/control/ControlThread.js', import.meta.url), {
      workerData,
      transferList: [port2],
      // Without the loaders that the test runner puts into every thread, which take longer to start than the thread itself.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: undefined, REELAY_FAULTS: '1', REELAY_LOG_LEVEL: 'silent' },
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      stdout: true,
      stderr: true,
    });
    this.worker.on('message', (message: FromControl) => this.messages.push(message));
    this.worker.on('error', () => undefined);
    this.exited = new Promise((resolve) => this.worker.once('exit', resolve));
    t.teardown(() => this.worker.terminate());
  }

  async next<Type extends FromControl['type']>(type: Type): Promise<Message<Type>> {
    for (;;) {
      const index = this.messages.findIndex((message) => message.type === type);
      if (index >= 0) return this.messages.splice(index, 1)[0] as Message<Type>;
      await once(this.worker, 'message');
    }
  }

  post(message: ToControl): void {
    this.worker.postMessage(message);
  }

  announce(event: Announcement): void {
    this.#recorder.postMessage(event);
  }

  async begin(): Promise<string> {
    this.post({ type: 'begin', listens: true });
    const { port } = await this.next('ready');
    return `http://127.0.0.1:${port}`;
  }
}

const ports = { mediaPort: 0, controlPort: 0 };

async function configIn(dir: string, more = ''): Promise<string> {
  const path = join(dir, 'reelay.yaml');
  await writeFile(path, `accounts: [{ id: "*", store: { type: file, dir: recordings } }]\n${more}`);
  return path;
}

/** Asks until the answer is as wanted; what changes it is announced to the thread, not to us. */
async function until<T>(ask: () => Promise<T>, isDone: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isDone(answer)) return answer;
    // Not at once: the one who is asked needs the processor too.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

await t.test('the configuration comes first, and nothing is touched before main has begun', async (t) => {
  const dir = folderOf(t);
  const { folder } = await fabricateRecording(join(dir, 'spool'), {
    state: 'uploading',
    samplesPerChunk: 80,
  });
  const thread = new Thread(t, { ...ports, config: await configIn(dir), upstream: 'ws://127.0.0.1:9' });
  const { config } = await thread.next('config');
  t.match(config, { media: { port: 0 }, spool: { dir: join(dir, 'spool') } });
  t.equal(config.accounts[0]?.upstream.twilio, 'ws://127.0.0.1:9');
  t.strictSame(thread.messages, []);
  t.ok(existsSync(folder));
  await thread.begin();
  await until(
    () => Promise.resolve(existsSync(folder)),
    (exists) => !exists,
  );
  t.ok(existsSync(join(dir, 'recordings', relative(join(dir, 'spool'), folder), 'manifest.json')));
  t.ok(Atomics.load(new Int32Array(thread.heartbeat), 0) >= 0);
});

await t.test('a configuration that is wrong is told, and nothing starts', async (t) => {
  const dir = folderOf(t);
  const thread = new Thread(t, { config: await configIn(dir, 'media: { prot: 1 }') });
  t.match((await thread.next('configError')).message, /did you mean "port"/);
});

await t.test('a recording is known, growing, stored and whole as the recorder announces it', async (t) => {
  const dir = folderOf(t);
  const thread = new Thread(t, { ...ports, config: await configIn(dir) });
  const url = await thread.begin();
  const spool = join(dir, 'spool');
  const recording = await fabricateRecording(spool, {
    state: 'recording',
    chunks: 2,
    samplesPerChunk: 80,
    openSamples: 20,
  });
  const { manifest } = recording;
  const folder = relative(spool, recording.folder);
  const path = `${url}/v1/recordings/${manifest.recordingId}`;
  const sidecar = JSON.parse(await readFile(join(recording.folder, '0-metadata.json'), 'utf8')) as Sidecar;
  t.equal((await fetch(path)).status, 404);
  thread.announce({ type: 'started', folder, manifest: { ...manifest, chunks: [], samples: 0 } });
  const { recordingId } = manifest;
  thread.announce({ type: 'progress', recordings: [{ recordingId, folder, samples: 180, peaks: [1, 2] }] });
  await until(
    async () => (await fetch(path)).status,
    (status) => status === 200,
  );
  t.ok((await bytesOf(await fetch(`${path}/audio.wav`))).equals(wavOf(recording.pcm, 8000, 2)));
  thread.announce({ type: 'sealed', folder, sidecar });
  await until(
    () => Promise.resolve(existsSync(join(recording.folder, '1-metadata.json'))),
    (exists) => !exists,
  );
  t.ok(
    (await bytesOf(await fetch(`${path}/audio.wav`))).equals(wavOf(recording.pcm, 8000, 2)),
    'from two places',
  );
  // As when a lost stream turns out to have ended with the last sealed chunk.
  const over: Manifest = { ...manifest, state: 'uploading', endTime: manifest.startTime };
  await writeFile(join(recording.folder, 'manifest.json'), JSON.stringify(over));
  await unlink(join(recording.folder, '2-audio.wav.open'));
  thread.announce({ type: 'ended', folder, manifest: over });
  const last = await until(
    async () => (await (await fetch(path)).json()) as Manifest,
    ({ state }) => state === 'complete',
  );
  t.strictSame(last, { ...over, state: 'complete' });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  t.match(metrics, /^reelay_chunks_stored_total 2$/m);
  t.match(metrics, /^reelay_recordings_stored_total\{state="complete"\} 1$/m);
});

for (const fault of ['throw', 'exit', 'hang', 'heap'] as const) {
  await t.test(`after ${fault} a successor knows everything that its predecessor knew`, async (t) => {
    const dir = folderOf(t);
    const live = await fabricateRecording(join(dir, 'spool'), {
      state: 'recording',
      chunks: 1,
      samplesPerChunk: 80,
      openSamples: 20,
    });
    const failed = await fabricateRecording(join(dir, 'spool'), {
      state: 'failed',
      reason: 'no_store',
      chunks: 0,
    });
    const done = await fabricateRecording(join(dir, 'recordings'), { samplesPerChunk: 80 });
    const thread = new Thread(t, { ...ports, config: await configIn(dir) });
    const { config } = await thread.next('config');
    const url = await thread.begin();
    const list = async (base: string) => await (await fetch(`${base}/v1/recordings`)).json();
    const before = await list(url);
    const answer = await fetch(`${url}/v1/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ thread: 'control', fault }),
    });
    t.equal(answer.status, 202);
    if (fault === 'hang') {
      await stopsBeating(thread);
      await thread.worker.terminate();
    }
    await thread.exited;
    const port = Number(new URL(url).port);
    const successor = new Thread(t, {}, { config, begun: true, listenPort: port });
    t.equal((await successor.next('ready')).port, port, 'on the same port');
    t.strictSame(await list(url), before);
    for (const { manifest } of [live, failed, done])
      t.equal((await fetch(`${url}/v1/recordings/${manifest.recordingId}`)).status, 200);
    const audio = await fetch(`${url}/v1/recordings/${live.manifest.recordingId}/audio.wav`);
    t.ok((await bytesOf(audio)).equals(wavOf(live.pcm, 8000, 2)));
  });
}

await t.test('what happened while the catalogue was away is told by a successor of the thread', async (t) => {
  const receiver = await WebhookReceiver.start(t);
  const dir = folderOf(t);
  const shape = { state: 'uploading', accountId: 'AC1', samplesPerChunk: 80 } as const;
  const { folder } = await fabricateRecording(join(dir, 'spool'), shape);
  const config = join(dir, 'reelay.json');
  const configure = async (url: string): Promise<void> => {
    const webhooks = [{ url: receiver.url, secret: webhookSecret }];
    const account = { id: 'AC1', store: { type: 'file', dir: 'recordings' }, webhooks };
    await writeFile(config, JSON.stringify({ catalogue: { url }, accounts: [account] }));
  };
  // Nobody listens there.
  await configure('postgres://127.0.0.1:9/none');
  const thread = new Thread(t, { ...ports, config });
  await thread.begin();
  await until(
    () => Promise.resolve(existsSync(folder)),
    (exists) => !exists,
  );
  await thread.worker.terminate();
  t.same(receiver.taken, []);
  await configure('memory:');
  const successor = new Thread(t, { ...ports, config });
  await successor.begin();
  await until(
    () => Promise.resolve(receiver.taken.length),
    (taken) => taken >= 4,
  );
  t.same(
    receiver.taken.map(({ type }) => type),
    [...Array<string>(3).fill('recording.chunk.stored'), 'recording.completed'],
  );
  t.same(receiver.problems, []);
});

await t.test('who is signed in, and who has a link, is known to a successor of the thread', async (t) => {
  const dir = folderOf(t);
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { samplesPerChunk: 80 });
  const config = await configIn(dir, 'control: { adminKeys: [k] }');
  const linkKey = new Uint8Array(randomBytes(32));
  const thread = new Thread(t, { ...ports, config }, { linkKey });
  const { config: inForce } = await thread.next('config');
  const url = await thread.begin();
  const headers = { 'content-type': 'application/json', authorization: 'Bearer k' };
  const body = JSON.stringify({ key: 'k' });
  const signedIn = await fetch(`${url}/v1/session`, { method: 'POST', headers, body });
  const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
  const made = await fetch(`${url}/v1/recordings/${manifest.recordingId}/links`, {
    method: 'POST',
    headers: { authorization: 'Bearer k' },
  });
  const { path } = (await made.json()) as { path: string };
  const statuses = async (base: string) => {
    const answers = [
      await fetch(`${base}/v1/session`, { headers: { cookie } }),
      await fetch(`${base}${path}`),
      await fetch(`${base}/v1/session`),
    ];
    await Promise.all(answers.map(async (answer) => await answer.arrayBuffer()));
    return answers.map(({ status }) => status);
  };
  t.strictSame(await statuses(url), [200, 200, 401]);
  await thread.worker.terminate();
  const successor = new Thread(t, {}, { config: inForce, begun: true, linkKey });
  t.strictSame(await statuses(`http://127.0.0.1:${(await successor.next('ready')).port}`), [200, 200, 401]);
});

await t.test('a fault of the recorder is main’s to pass on', async (t) => {
  const dir = folderOf(t);
  const thread = new Thread(t, { ...ports, config: await configIn(dir) });
  const url = await thread.begin();
  await fetch(`${url}/v1/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ thread: 'recorder', fault: 'heap' }),
  });
  t.strictSame(await thread.next('fault'), { type: 'fault', thread: 'recorder', fault: 'heap' });
});

await t.test('a reload takes effect, and a wrong one changes nothing', async (t) => {
  const dir = folderOf(t);
  const config = await configIn(dir);
  const thread = new Thread(t, { ...ports, config });
  await thread.next('config');
  const url = await thread.begin();
  t.equal((await fetch(`${url}/v1/calls`)).status, 200);
  await configIn(dir, 'control: { adminKeys: [k] }');
  thread.post({ type: 'reload' });
  t.match((await thread.next('config')).config, { control: { adminKeys: [apiKeyOf('k')] } });
  t.equal((await fetch(`${url}/v1/calls`)).status, 401);
  await writeFile(config, 'media: []');
  thread.post({ type: 'reload' });
  t.match((await thread.next('configError')).message, /media/);
  t.equal((await fetch(`${url}/v1/calls`, { headers: { authorization: 'Bearer k' } })).status, 200);
});

await t.test('plain requests of the media port are answered over the message port', async (t) => {
  const dir = folderOf(t);
  const thread = new Thread(t, { ...ports, config: await configIn(dir) });
  await thread.next('config');
  const headers = { host: 'localhost:1' };
  const body = Buffer.from('AccountSid=AC1&CallSid=CA1');
  const request = { method: 'POST', url: '/twilio/voice', headers, body, remoteAddress: '127.0.0.1' };
  thread.post({ type: 'http', id: 7, request });
  const { id, response } = await thread.next('httpAnswer');
  t.equal(id, 7);
  t.match(response, { status: 200, body: /<Stream url="ws:\/\/localhost:1\/twilio">/ });
});

await t.test('stop stores what can be stored and says what cannot', async (t) => {
  const dir = folderOf(t);
  const file = join(dir, 'no-folder');
  await writeFile(file, 'in the way');
  await writeFile(
    join(dir, 'reelay.yaml'),
    `accounts: [{ id: AC1, store: { type: file, dir: recordings } }, { id: AC2, store: { type: file, dir: no-folder } }]`,
  );
  const thread = new Thread(t, { ...ports, config: join(dir, 'reelay.yaml') });
  await thread.begin();
  const good = await fabricateRecording(join(dir, 'spool'), {
    state: 'uploading',
    accountId: 'AC1',
    samplesPerChunk: 80,
  });
  await fabricateRecording(join(dir, 'spool'), { state: 'uploading', accountId: 'AC2', samplesPerChunk: 80 });
  await fabricateRecording(join(dir, 'spool'), { state: 'failed', accountId: 'AC1', chunks: 0 });
  thread.post({ type: 'stop', patienceMs: 5000 });
  t.strictSame(await thread.next('stopped'), { type: 'stopped', unstored: 1 });
  t.notOk(existsSync(good.folder));
});

await t.test('a recording that fails is told once, with its reason, and stays to be asked for', async (t) => {
  const dir = folderOf(t);
  const thread = new Thread(t, { ...ports, config: await configIn(dir) });
  const url = await thread.begin();
  const spool = join(dir, 'spool');
  const failed = await fabricateRecording(spool, { state: 'failed', reason: 'no_store', chunks: 0 });
  const { manifest } = failed;
  const folder = relative(spool, failed.folder);
  thread.announce({ type: 'started', folder, manifest: { ...manifest, endTime: null } });
  // As a recorder does that was killed before it had noted the end.
  for (let time = 0; time < 2; time++) thread.announce({ type: 'ended', folder, manifest });
  const last: Manifest = { ...manifest, recordingId: 'last', reason: 'account_mismatch' };
  thread.announce({ type: 'ended', folder: `${folder}-last`, manifest: last });
  const metrics = await until(
    async () => await (await fetch(`${url}/metrics`)).text(),
    (text) => text.includes('{reason="account_mismatch"} 1'),
  );
  t.match(metrics, /^reelay_recordings_failed_total\{reason="no_store"\} 1$/m);
  t.match(metrics, /^reelay_unstored_recordings 0$/m, 'nothing of it waits');
  const audio = await fetch(`${url}/v1/recordings/${manifest.recordingId}/audio.wav`);
  t.equal(audio.status, 409);
  t.match(await audio.json(), { code: 'recording_failed', message: String });
});

await t.test('when the spool is full main is told, and told again when there is room', async (t) => {
  const dir = t.testdir({ 'no-folder': 'in the way' });
  const config = join(dir, 'reelay.yaml');
  await writeFile(
    config,
    `spool: { maxBytes: 16MiB, minFreeBytes: 0 }
accounts: [{ id: AC1, store: { type: file, dir: no-folder } }]`,
  );
  const spool = join(dir, 'spool');
  const recording = await fabricateRecording(spool, {
    state: 'uploading',
    accountId: 'AC1',
    samplesPerChunk: 80,
  });
  const big = join(recording.folder, 'big');
  await writeFile(big, '');
  await truncate(big, 17 * 2 ** 20);
  const thread = new Thread(t, { ...ports, config });
  const url = await thread.begin();
  t.strictSame(await thread.next('spool'), { type: 'spool', full: true });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  t.match(metrics, /^reelay_spool_free_bytes 0$/m);
  t.match(metrics, /^reelay_alerts_total\{alert="spool_full"\} 1$/m);
  await truncate(big, 10 * 2 ** 20);
  const folder = relative(spool, recording.folder);
  // Anything that is announced of a folder has it measured.
  thread.announce({ type: 'started', folder, manifest: recording.manifest });
  t.strictSame(await thread.next('spool'), { type: 'spool', full: false });
  t.ok(existsSync(join(recording.folder, '0-audio.wav')), 'nothing was deleted');
  thread.post({ type: 'stop', patienceMs: 5000 });
  t.equal((await thread.next('stopped')).unstored, 1);
});

await t.test(
  'a store that refuses its keys parks the account until a reload brings better ones',
  async (t) => {
    const dir = folderOf(t);
    const server = await S3Server.start({
      buckets: [{ name: 'calls', accessKeyId: 'KEY', secretAccessKey: 'right' }],
    });
    t.teardown(() => server.close());
    const config = join(dir, 'reelay.json');
    const configure = async (secretAccessKey: string) => {
      const bucket = {
        type: 's3',
        bucket: 'calls',
        endpoint: server.endpoint,
        accessKeyId: 'KEY',
        secretAccessKey,
      };
      const accounts = [
        { id: 'AC1', store: bucket },
        { id: 'AC2', store: { type: 'file', dir: 'recordings' } },
      ];
      await writeFile(config, JSON.stringify({ accounts }));
    };
    await configure('wrong');
    const spool = join(dir, 'spool');
    const mine = await fabricateRecording(spool, {
      state: 'uploading',
      accountId: 'AC1',
      samplesPerChunk: 80,
    });
    const other = await fabricateRecording(spool, {
      state: 'uploading',
      accountId: 'AC2',
      samplesPerChunk: 80,
    });
    const thread = new Thread(t, { ...ports, config });
    const url = await thread.begin();
    const path = `${url}/v1/recordings/${mine.manifest.recordingId}`;
    const shown = async () => (await (await fetch(path)).json()) as Manifest;
    const parked = await until(shown, ({ state }) => state === 'failed');
    t.equal(parked.reason, 'store_denied');
    const list = async (state: string) =>
      await (await fetch(`${url}/v1/recordings?account=AC1&state=${state}`)).json();
    t.match(await list('failed'), {
      recordings: [{ recordingId: mine.manifest.recordingId, reason: 'store_denied' }],
    });
    t.strictSame(await list('uploading'), { recordings: [], next: null });
    const audio = await fetch(`${path}/audio.wav`);
    t.equal(audio.status, 200);
    t.ok((await bytesOf(audio)).equals(wavOf(mine.pcm, 8000, 2)), 'its audio is played from the spool');
    t.match(JSON.parse(await readFile(join(mine.folder, 'manifest.json'), 'utf8')), { state: 'uploading' });
    await until(
      () => Promise.resolve(existsSync(other.folder)),
      (exists) => !exists,
    );
    const metric = async () => await (await fetch(`${url}/metrics`)).text();
    t.match(await metric(), /^reelay_parked_accounts 1$/m);
    t.match(await metric(), /^reelay_alerts_total\{alert="store_denied"\} 1$/m);
    thread.post({ type: 'reload' });
    await until(metric, (text) => /^reelay_upload_failures_total\{blame="account"\} 2$/m.test(text));
    await until(shown, ({ state }) => state === 'failed');
    t.match(await metric(), /^reelay_alerts_total\{alert="store_denied"\} 1$/m, 'not again for a reload');
    await configure('right');
    thread.post({ type: 'reload' });
    t.equal((await until(shown, ({ state }) => state === 'complete')).reason, null);
    await until(
      () => Promise.resolve(existsSync(mine.folder)),
      (exists) => !exists,
    );
    t.ok(
      (await bytesOf(await fetch(`${path}/audio.wav`))).equals(wavOf(mine.pcm, 8000, 2)),
      'and from the bucket',
    );
    t.strictSame(await list('failed'), { recordings: [], next: null });
    t.match(await metric(), /^reelay_parked_accounts 0$/m);
    t.match(await metric(), /^reelay_alerts_total\{alert="store_denied"\} 1$/m, 'told once');
  },
);

/** A thread that hangs says nothing; only its heartbeat tells. */
async function stopsBeating(thread: Thread): Promise<void> {
  const beat = new Int32Array(thread.heartbeat);
  for (let last = Atomics.load(beat, 0); ;) {
    if (Atomics.wait(beat, 0, last, 0) === 'not-equal') last = Atomics.load(beat, 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (Atomics.load(beat, 0) === last) return;
    last = Atomics.load(beat, 0);
  }
}

/** Int32 cell 0: whether everything in the spool is this daemon's. */
function shared(isAlone: boolean): { alone: SharedArrayBuffer; set(isAlone: boolean): void } {
  const alone = new SharedArrayBuffer(4);
  const set = (value: boolean): void => void Atomics.store(new Int32Array(alone), 0, value ? 1 : 0);
  set(isAlone);
  return { alone, set };
}

await t.test(
  'beside another daemon it stores what its recorder announces, and the rest when alone',
  async (t) => {
    const dir = folderOf(t);
    const spool = join(dir, 'spool');
    const fabricate = () => fabricateRecording(spool, { state: 'uploading', samplesPerChunk: 80 });
    const [foreign, predecessors, own] = [await fabricate(), await fabricate(), await fabricate()];
    const cell = shared(false);
    const more = { alone: cell.alone, own: [predecessors.manifest.recordingId], listens: false };
    const thread = new Thread(t, { ...ports, config: await configIn(dir) }, more);
    thread.post({ type: 'begin', listens: false });
    await thread.next('begun');
    thread.post({ type: 'listen' });
    const url = `http://127.0.0.1:${(await thread.next('ready')).port}`;
    const gone = (folder: string) =>
      until(
        () => Promise.resolve(existsSync(folder)),
        (exists) => !exists,
      );
    await gone(predecessors.folder);
    const announced = { folder: relative(spool, own.folder), manifest: own.manifest };
    thread.announce({ type: 'ended', ...announced });
    await gone(own.folder);
    const listed = (await (await fetch(`${url}/v1/recordings`)).json()) as { recordings: unknown[] };
    t.equal(listed.recordings.length, 3, 'all are shown');
    t.ok(existsSync(join(foreign.folder, '0-audio.wav')), 'the other daemon’s was not touched');
    cell.set(true);
    thread.post({ type: 'alone' });
    await gone(foreign.folder);
  },
);

await t.test('when another daemon takes over it gives the port back and takes up nothing new', async (t) => {
  const dir = t.testdir({ recordings: 'in the way' });
  const spool = join(dir, 'spool');
  const fabricate = () => fabricateRecording(spool, { state: 'uploading', samplesPerChunk: 80 });
  const known = await fabricate();
  const cell = shared(true);
  const thread = new Thread(t, { ...ports, config: await configIn(dir) }, { alone: cell.alone });
  const url = await thread.begin();
  cell.set(false);
  const foreign = await fabricate();
  thread.post({ type: 'handOver' });
  t.strictSame((await thread.next('handedOver')).own, [known.manifest.recordingId]);
  await t.rejects(fetch(`${url}/healthz`), 'nobody listens there any more');
  await unlink(join(dir, 'recordings'));
  thread.post({ type: 'reload' });
  await until(
    () => Promise.resolve(existsSync(known.folder)),
    (exists) => !exists,
  );
  thread.post({ type: 'stop', patienceMs: 5000 });
  t.strictSame(await thread.next('stopped'), { type: 'stopped', unstored: 0 });
  t.ok(existsSync(foreign.folder));
});
