import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { WebSocketServer } from 'ws';
import { writeWav } from '../../src/audio/Speech.js';
import { runDoctor, type DoctorFlags } from '../../src/cli/doctor.js';
import type { Check } from '../../src/doctor/Check.js';
import { nodeCheck } from '../../src/doctor/machine.js';
import { TestServer } from '../acceptance/TestServer.js';

interface Report {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

async function doctor(
  file: string,
  flags: Partial<DoctorFlags> = {},
): Promise<Report & { readonly code: number }> {
  let said = '';
  const code = await runDoctor(
    { config: file, json: true, ...flags },
    { write: (text) => (said += text) },
    {},
  );
  return { code, ...(JSON.parse(said) as Report) };
}

function checkOf({ checks }: Report, name: Check['name'], subject = ''): Check {
  const check = checks.find((each) => each.name === name && each.subject.includes(subject));
  if (check === undefined) throw new Error(`nothing said of ${name}`);
  return check;
}

async function configured(dir: string, config: object): Promise<string> {
  const file = join(dir, 'reelay.json');
  await mkdir(dir, { recursive: true });
  await writeFile(file, JSON.stringify({ media: { port: 0 }, control: { port: 0 }, ...config }));
  return file;
}

async function bot(
  t: Test,
  refuses?: number,
): Promise<{ readonly url: string; readonly left: Promise<unknown> }> {
  const verifyClient = (_info: unknown, done: (takes: boolean, code?: number) => void): void =>
    done(refuses === undefined, refuses);
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, verifyClient });
  await once(server, 'listening');
  t.teardown(() => server.close());
  const left = new Promise((resolve) =>
    server.once('connection', (socket) => socket.once('close', (code: number) => resolve(code))),
  );
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/bot`, left };
}

await t.test('where everything is as it should be it says so and leaves nothing behind', async (t) => {
  const dir = t.testdir({});
  const backend = await TestServer.open();
  t.teardown(() => backend.close());
  const { endpoint, bucket, accessKeyId, secretAccessKey } = await backend.account('acme');
  const { url, left } = await bot(t);
  const file = await configured(dir, {
    recording: { layout: 'both' },
    accounts: [
      {
        id: 'AC1',
        upstream: { twilio: url },
        twilio: { authToken: 'secret-token' },
        store: { type: 's3', endpoint, bucket, region: 'us-east-1', accessKeyId, secretAccessKey },
      },
      { id: 'AC2', twilio: { authToken: 'other-token' }, store: { type: 'file', dir: join(dir, 'kept') } },
    ],
    control: { port: 0, adminKeys: ['admin-key'] },
  });
  const report = await doctor(file);
  for (const { status, name, detail } of report.checks)
    if (!['addon', 'memory', 'descriptors', 'spool'].includes(name))
      t.equal(status, 'ok', `${name}: ${detail}`);
  t.equal(report.code, 0);
  t.notOk(
    report.checks.some(({ name }) => name === 'realtime'),
    'nobody asked for it',
  );
  t.ok(report.ok);
  t.match(checkOf(report, 'upstream'), { subject: `twilio of AC1, ${url}`, detail: /connected in \d+ ms/ });
  t.equal(await left, 1000, 'the bot is left as a call leaves it');
  t.match(checkOf(report, 'store', 'AC1').detail, /put, read, listed and deleted/);
  t.match(checkOf(report, 'clock').detail, /^0\.\d s (?:behind|ahead of) the store's$/);
  t.match(checkOf(report, 'spool').detail, /room for [\d.]+ hours of 500 calls/);
  t.notMatch(JSON.stringify(report), /secret-token|other-token|admin-key|secret-of-acme/);
  t.strictSame((await readdir(dir)).sort(), ['kept', 'reelay.json']);
  t.strictSame(await readdir(join(dir, 'kept'), { recursive: true }), []);
});

await t.test('what hinders the daemon is named with its remedy, and gives 1', async (t) => {
  const dir = t.testdir({});
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const { url } = await bot(t, 403);
  await writeFile(join(dir, 'no-folder'), '');
  const file = await configured(dir, {
    media: { host: '127.0.0.1', port, realtime: true, fastPath: false },
    spool: { dir: join(dir, 'no-folder', 'spool') },
    catalogue: { url: `sqlite:${join(dir, 'nowhere', 'reelay.db')}` },
    accounts: [
      { id: 'AC1', upstream: { twilio: url, jambonz: 'ws://127.0.0.1:1/gone' } },
      {
        id: 'AC2',
        store: {
          type: 's3',
          endpoint: 'http://127.0.0.1:1',
          bucket: 'bucket',
          region: 'us-east-1',
          accessKeyId: 'a',
          secretAccessKey: 'hush',
        },
      },
    ],
  });
  const report = await doctor(file);
  t.equal(report.code, 1);
  t.match(checkOf(report, 'port', String(port)), {
    status: 'failed',
    remedy: /end it, or choose another port/,
  });
  t.match(checkOf(report, 'realtime'), { status: 'warning', remedy: /media\.fastPath/ });
  t.match(checkOf(report, 'upstream', 'twilio'), { status: 'failed', detail: /403/, remedy: /secret/ });
  t.match(checkOf(report, 'upstream', 'jambonz'), { status: 'failed', remedy: /Start the bot/ });
  t.match(checkOf(report, 'spool'), { status: 'failed', remedy: /local disk/ });
  t.match(checkOf(report, 'catalogue'), { status: 'failed', remedy: /may write to/ });
  t.match(checkOf(report, 'store', 'AC2'), { status: 'failed', detail: /^put: /, remedy: /credentials/ });
  t.match(checkOf(report, 'store', 'AC1'), { status: 'warning', detail: /no_store/ });
  t.match(checkOf(report, 'secrets', 'AC1'), { status: 'warning' });
  t.notMatch(JSON.stringify(report), /hush/);
});

await t.test('a configuration that cannot be read is all that is told', async (t) => {
  const file = await configured(t.testdir({}), { media: { port: -1 } });
  const { code, checks } = await doctor(file);
  t.equal(code, 1);
  t.match(checks, [{ name: 'config', status: 'failed', remedy: /media\.port/ }]);
});

await t.test('for people it is a table, with what to do below it', async (t) => {
  const file = await configured(t.testdir({}), { accounts: [{ id: 'AC1' }] });
  let said = '';
  await runDoctor({ config: file }, { write: (text) => (said += text) }, {});
  t.match(said, /^ok +config +\S+reelay\.json +1 accounts$/m);
  t.match(said, /^warning +store +AC1 +none: /m);
  t.match(said, /^warning store, AC1:\n {2}Give the account a store\.$/m);
  t.match(said, /\d+ ok, \d+ warnings, 0 failed\n$/);
});

await t.test('a Node that is too old is told', (t) => {
  t.equal(nodeCheck('20.18.3').status, 'failed');
  for (const version of ['20.19.0', '22.0.0', '24.1.0']) t.equal(nodeCheck(version).status, 'ok');
  t.end();
});

await t.test('what was set aside is told', async (t) => {
  const dir = t.testdir({ spool: { '.reelay': { quarantine: { '20261122T000000Z-abcdef': { x: 'y' } } } } });
  const file = await configured(dir, { spool: { dir: join(dir, 'spool') } });
  t.match(checkOf(await doctor(file), 'quarantine'), { status: 'warning', detail: /1 times/ });
});

await t.test('files that a daemon reads at its start are read', async (t) => {
  const dir = t.testdir({ 'consent.wav': 'no audio', 'key.pem': 'no key' });
  const right = join(dir, 'right.wav');
  await writeWav(right, { sampleRate: 8000, channels: [new Int16Array(12_000)] });
  const config = {
    prompts: { consent: 'consent.wav', right: 'right.wav' },
    recording: { signingKeyFile: 'key.pem' },
  };
  const report = await doctor(await configured(dir, config));
  t.match(checkOf(report, 'prompt', 'consent'), { status: 'failed', remedy: /consent\.wav/ });
  t.match(checkOf(report, 'prompt', 'right'), { status: 'ok', detail: '1.5 s' });
  t.match(checkOf(report, 'signing key'), { status: 'failed', remedy: /openssl/ });
  t.equal(report.code, 1);
});
