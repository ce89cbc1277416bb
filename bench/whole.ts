/*
 * How soon after hang-up a call's one `audio.wav` lies in the bucket, against uploading that file after hang-up as others do:
 * same store, same link, in one run.
 *
 *     npm run bench:whole -- [minutes=60] [speed=60] [megabits=20] [short]
 *
 * Stereo at 8 kHz. Time is compressed: the caller speaks `speed` times faster than real time, so the link has to carry `speed`
 * times as much during the call as it would have to (256 kbit/s per call); after hang-up nothing is compressed. The link is a
 * proxy that lets through so many megabits per second. Exit 1 when the object isn't what was said, to the byte, or comes no sooner than
 * by uploading the file; `short`, which is CI's, tells the times and doesn't judge them.
 */
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { wholeHeaderBytes, wholeWavHeader } from '../src/audio/wav.js';
import { Bucket } from '../test/acceptance/Bucket.js';
import { FaultProxy } from '../test/acceptance/FaultProxy.js';
import { openBackend } from '../test/acceptance/openBackend.js';
import { StoreRun } from '../test/acceptance/StoreRun.js';
import { argument } from './argument.js';
import { usageOf } from './ProcessUsage.js';

const [minutes, speed, megabits] = [argument('minutes', 60), argument('speed', 60), argument('megabits', 20)];
const bytesPerSecond = (megabits * 1e6) / 8;
const sampleRate = 8000;
const run = promisify(execFile);

const dir = await mkdtemp(join(tmpdir(), 'reelay-whole-'));
const backend = await openBackend();
const store = await StoreRun.open({
  dir,
  backend,
  layout: 'single',
  chunkSeconds: 60,
  tenants: ['whole'],
  clockSpeed: 1,
  bytesPerSecond,
});
try {
  process.exitCode = (await compare()) ? 0 : 1;
} finally {
  await store.close();
  await backend.close();
  await rm(dir, { recursive: true, force: true });
}

async function compare(): Promise<boolean> {
  const [tenant] = store.tenants;
  if (tenant === undefined) throw new Error('there is no account');
  await store.live();
  await sleep(500);
  const before = usageOf(store.daemon.pid).rss;
  const call = store.call(tenant, { record: false, sampleRate, seconds: minutes * 60, speed });
  await store.hungUp();
  const hungUpMs = performance.now();
  const key = await found(tenant.bucket);
  const object = await tenant.bucket.read(key);
  const readMs = performance.now() - hungUpMs;
  const uploadedMs = (lastOf(store.proxy, key) ?? NaN) - hungUpMs;
  const { peakRss } = usageOf(store.daemon.pid);
  const samples = (object.length - wholeHeaderBytes) / 4;
  const isExact = object
    .subarray(0, wholeHeaderBytes)
    .equals(wholeWavHeader({ sampleRate, channels: 2, samples }));
  const file = join(dir, 'whole.wav');
  await writeFile(file, object);
  const { stdout } = await run('soxi', [file]);
  const { stderr } = await run('sox', [file, '-n', 'stat']);
  await store.settle();
  const problems = await store.judge();
  const afterwardsMs = await uploadAfterwards(file);
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  console.log(
    `a call of ${minutes} min in stereo at 8 kHz (${mib(object.length)} MiB, ${call.sent} samples), ${speed} times faster than real time, ` +
      `over ${megabits} Mbit/s to ${backend.name}`,
  );
  console.log(
    `from hang-up to the whole object: ${(uploadedMs / 1000).toFixed(2)} s, read back by ${(readMs / 1000).toFixed(2)} s; ` +
      `uploading the file after hang-up: ${(afterwardsMs / 1000).toFixed(2)} s`,
  );
  console.log(`daemon memory: ${mib(before)} MiB before the call, ${mib(peakRss)} at most`);
  console.log(
    `header exact: ${isExact}; sox: ${/Duration.*/.exec(stdout)?.[0] ?? '?'}; ${/Samples read.*/.exec(stderr)?.[0] ?? '?'}`,
  );
  for (const problem of problems) console.log(`PROBLEM ${problem}`);
  const isSooner = uploadedMs < afterwardsMs || process.argv.includes('short');
  return isExact && problems.length === 0 && isSooner;
}

/** The key of the one `audio.wav`, as soon as anybody can see it. */
async function found(bucket: Bucket): Promise<string> {
  for (let look = 0; look < 6000; look += 1) {
    const key = [...(await bucket.objects()).keys()].find((each) => each.endsWith('/audio.wav'));
    if (key !== undefined) return key;
    await sleep(50);
  }
  throw new Error('no audio.wav in the bucket');
}

/** When the store's answer to the object's last request had come back. */
function lastOf(proxy: FaultProxy, key: string): number | undefined {
  const done = proxy.journal.filter(
    (entry) => entry.key === key && (entry.kind === 'complete' || entry.kind === 'put'),
  );
  return done.at(-1)?.doneMs ?? undefined;
}

/** The file in one go, in parts of 5 MiB of which four are under way at a time, as the SDK does by itself. @returns ms */
async function uploadAfterwards(file: string): Promise<number> {
  const access = await backend.account('afterwards');
  const client = new S3Client({
    endpoint: store.proxy.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: access,
  });
  const fromMs = performance.now();
  const params = { Bucket: access.bucket, Key: 'audio.wav', Body: createReadStream(file) };
  await new Upload({ client, params }).done();
  client.destroy();
  return performance.now() - fromMs;
}
