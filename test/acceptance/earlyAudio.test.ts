import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Bucket } from './Bucket.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { judgeTenant } from './judgeTenant.js';
import { NumberedCall } from './NumberedCall.js';
import { TestServer } from './TestServer.js';

/** How long each account's record takes to be found, ms. The last one is longer than what a daemon waits for by default. */
const delaysMs = [0, 150, 500, 1000, 1500, 2000];
const seconds = 3;

const server = await TestServer.open();
const accesses = new Map<string, Awaited<ReturnType<TestServer['account']>>>();
for (const [index] of delaysMs.entries())
  accesses.set(`early-${index}`, await server.account(`early-${index}`));

/** The user's own endpoint, which knows every account and takes its time. */
const asked: string[] = [];
const accounts = createServer((request, response) => {
  const id = decodeURIComponent((request.url ?? '/').slice(1));
  asked.push(id);
  const access = accesses.get(id);
  void sleep(delaysMs[Number(id.split('-')[1])] ?? 0).then(() => {
    if (access === undefined) return response.writeHead(404).end();
    const { endpoint, bucket, accessKeyId, secretAccessKey } = access;
    const store = { type: 's3', endpoint, bucket, accessKeyId, secretAccessKey };
    response.writeHead(200, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ id, store, resumeSeconds: 0, jambonz: { recordFormat: 'wav' } }));
  });
});
accounts.listen(0, '127.0.0.1');
await once(accounts, 'listening');
const { port } = accounts.address() as AddressInfo;

const daemon = await DaemonProcess.start({
  dir: join(t.testdir(), 'daemon'),
  chunkSeconds: 2,
  accounts: [],
  config: {
    accountsUrl: `http://127.0.0.1:${port}/{account}`,
    accountLookup: { timeoutMs: 5000 },
  },
});
t.teardown(async () => {
  await daemon.kill();
  accounts.closeAllConnections();
  accounts.close();
  await server.close();
});

void t.test('audio that comes before its account is known is recorded from its first sample', async (t) => {
  const calls = [...accesses].map(([id, access], index) => {
    const call = new NumberedCall({
      url: daemon.media('/record/aws_s3'),
      accountSid: id,
      callSid: randomUUID(),
      seed: index,
      sampleRate: 8000,
      seconds,
      speed: 1,
    });
    return { id, access, call };
  });
  await Promise.all(calls.map(({ call }) => call.speak()));
  await eventually('everything is stored', async () => (await daemon.spooled()).length === 0);
  for (const [index, { id, access, call }] of calls.entries()) {
    const bucket = new Bucket(access);
    const one = { call, record: true, required: call.sent, whole: true, life: 1 };
    t.equal(call.sent, seconds * 8000);
    t.ok(call.ended, `asked for ${delaysMs[index]} ms: the caller's own close was answered`);
    t.same(await judgeTenant({ id, access, bucket, prefix: '', layout: 'chunks', calls: [one] }), []);
    t.equal((await bucket.objects()).size > 0, true);
    bucket.close();
  }
  t.same(asked.toSorted(), [...accesses.keys()], 'each account was asked for once');
});

void t.test('a short call may be over before its account is known', async (t) => {
  const access = await server.account('early-late');
  accesses.set('early-late', access);
  const call = new NumberedCall({
    url: daemon.media('/record/aws_s3'),
    accountSid: 'early-late',
    callSid: randomUUID(),
    seed: 77,
    sampleRate: 8000,
    seconds: 1,
    speed: 50,
  });
  await call.speak();
  const bucket = new Bucket(access);
  await eventually('the call is stored', async () => (await bucket.objects()).size > 0);
  await eventually('the spool is empty', async () => (await daemon.spooled()).length === 0);
  const one = { call, record: true, required: call.sent, whole: true, life: 1 };
  t.same(
    await judgeTenant({ id: 'early-late', access, bucket, prefix: '', layout: 'chunks', calls: [one] }),
    [],
  );
  bucket.close();
});
