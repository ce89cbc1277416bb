import { join } from 'node:path';
import t from 'tap';
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { judgeTenant } from './judgeTenant.js';
import { StoreRun, type Tenant } from './StoreRun.js';
import { TestServer } from './TestServer.js';

const server = await TestServer.open();
const run = await StoreRun.open({
  dir: join(t.testdir(), 'daemon'),
  backend: server,
  layout: 'both',
  chunkSeconds: 2,
  tenants: ['watched'],
  clockSpeed: 60,
});
t.teardown(async () => {
  await run.close();
  await server.close();
});
const [tenant] = run.tenants as [Tenant];
await run.live();
run.call(tenant, { record: false, sampleRate: 8000, seconds: 5, speed: 20 });
await run.settle();
const client = new S3Client({
  endpoint: server.endpoint,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: tenant.access,
});
t.teardown(() => client.destroy());
const Bucket = tenant.access.bucket;
const keys = [...(await tenant.bucket.objects()).keys()];
const keyOf = (name: string): string => keys.find((key) => key.endsWith(`/${name}`)) ?? name;

/** Puts an object in another one's place, looks what is found to be wrong, and puts things right again. */
async function spoiled(key: string, body: Buffer | null): Promise<string> {
  const before = keys.includes(key) ? await tenant.bucket.read(key) : null;
  const exchange = async (to: Buffer | null): Promise<void> => {
    if (to === null) await client.send(new DeleteObjectCommand({ Bucket, Key: key }));
    else await client.send(new PutObjectCommand({ Bucket, Key: key, Body: to }));
  };
  await exchange(body);
  const problems = await judgeTenant(tenant).catch((error: unknown) => [String(error)]);
  await exchange(before);
  return problems.join('; ');
}

async function withFlipped(name: string, at: number): Promise<Buffer> {
  const bytes = Buffer.from(await tenant.bucket.read(keyOf(name)));
  bytes[at] = (bytes[at] ?? 0) ^ 0x40;
  return bytes;
}

void t.test('a whole recording has no problems', async (t) => {
  t.same(await run.judge(), []);
});

void t.test('everything that may be off is seen', async (t) => {
  t.match(await spoiled(keyOf('1-audio.wav'), null), /missing|NoSuchKey/);
  t.match(await spoiled(keyOf('1-metadata.json'), null), /1-metadata\.json is missing/);
  t.match(await spoiled(keyOf('manifest.json'), null), /no recording, 40000 samples were taken/);
  t.match(
    await spoiled(keyOf('1-audio.wav').replace('1-', '7-'), Buffer.alloc(9)),
    /belongs to no recording/,
  );
  t.match(
    await spoiled(keyOf('1-audio.wav'), await withFlipped('1-audio.wav', 5001)),
    /not the one that was sealed/,
  );
  t.match(
    await spoiled(keyOf('1-audio.wav'), await tenant.bucket.read(keyOf('0-audio.wav'))),
    /samples of 40000/,
  );
  t.match(
    await spoiled(keyOf('audio.wav'), await withFlipped('audio.wav', 9001)),
    /not what the manifest says.*samples of/,
  );
  t.match(await spoiled(keyOf('audio.wav'), await withFlipped('audio.wav', 41)), /another header/);
});

void t.test('an upload that nobody ended is seen', async (t) => {
  await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'left/over' }));
  t.match(await judgeTenant(tenant), [/an upload of left\/over is still open/]);
});
