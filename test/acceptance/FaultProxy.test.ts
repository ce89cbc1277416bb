import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Bucket } from './Bucket.js';
import { FaultProxy, type Fault } from './FaultProxy.js';
import { TestServer } from './TestServer.js';

const server = await TestServer.open();
t.teardown(() => server.close());

/** A client that tries once, and what it met. */
async function met(t: Test, fault: Fault): Promise<{ error: unknown; stored: boolean; proxy: FaultProxy }> {
  const id = createHash('sha256').update(t.name).digest('hex').slice(0, 12);
  const access = await server.account(id);
  const proxy = await FaultProxy.open(server.endpoint);
  const bucket = new Bucket(access);
  const client = new S3Client({
    endpoint: proxy.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    requestHandler: { requestTimeout: 300, throwOnRequestTimeout: true },
    credentials: access,
  });
  t.teardown(async () => {
    client.destroy();
    bucket.close();
    await proxy.close();
  });
  proxy.spoil(access.bucket, ({ kind }) => (kind === 'put' ? fault : null));
  const put = new PutObjectCommand({ Bucket: access.bucket, Key: 'a/b c', Body: Buffer.alloc(300_000, 7) });
  const error: unknown = await client.send(put).then(
    () => null,
    (cause: unknown) => cause,
  );
  const objects = await bucket.objects();
  return { error, stored: objects.get('a/b c') === 300_000, proxy };
}

void t.test('what is refused does not reach the store', async (t) => {
  for (const fault of [
    { type: 'answer', status: 503, code: 'SlowDown', retryAfter: 1 },
    { type: 'answer', status: 403, code: 'AccessDenied' },
    { type: 'reset' },
    { type: 'cut' },
    { type: 'stall' },
  ] as const) {
    await t.test(`${fault.type} ${'status' in fault ? fault.status : ''}`, async (t) => {
      const { error, stored, proxy } = await met(t, fault);
      t.ok(error instanceof Error);
      t.notOk(stored);
      const [entry] = proxy.journal;
      t.match(entry, { kind: 'put', key: 'a/b c', fault: fault.type, applied: null });
      if (fault.type === 'answer') t.match(error, { $metadata: { httpStatusCode: fault.status } });
    });
  }
});

void t.test('what is applied lies in the store though its answer is lost', async (t) => {
  for (const fault of [
    { type: 'reset_applied' },
    { type: 'stall_applied' },
    { type: 'answer_applied', status: 500, code: 'InternalError' },
  ] as const) {
    await t.test(fault.type, async (t) => {
      const { error, stored, proxy } = await met(t, fault);
      t.ok(error instanceof Error);
      t.ok(stored);
      t.match(proxy.journal, [{ applied: 200, fault: fault.type }]);
    });
  }
});

void t.test('what comes slowly comes whole, and signatures hold', async (t) => {
  const { error, stored, proxy } = await met(t, { type: 'trickle', ms: 100 });
  t.equal(error, null);
  t.ok(stored);
  t.match(proxy.journal, [{ status: 200, bytes: 300_000 }]);
});

void t.test('a link of limited width takes its time', async (t) => {
  const access = await server.account('narrow');
  const proxy = await FaultProxy.open(server.endpoint, 1_000_000);
  const client = new S3Client({
    endpoint: proxy.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: access,
  });
  t.teardown(async () => {
    client.destroy();
    await proxy.close();
  });
  const fromMs = performance.now();
  await Promise.all(
    ['a', 'b'].map((Key) =>
      client.send(new PutObjectCommand({ Bucket: access.bucket, Key, Body: Buffer.alloc(200_000) })),
    ),
  );
  t.ok(performance.now() - fromMs >= 390, 'two streams share it');
});
