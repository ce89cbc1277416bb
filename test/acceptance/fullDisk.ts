import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { kernels } from '../../src/audio/kernels.js';
import { Bot } from '../../src/simulators/Bot.js';
import { CallerAudio } from '../../src/simulators/CallerAudio.js';
import type { CallResult } from '../../src/simulators/CallResult.js';
import { TwilioCaller } from '../../src/simulators/TwilioCaller.js';
import { recordingsById } from '../../src/spool/RecordingFolder.js';
import { Bucket } from './Bucket.js';
import { DaemonProcess } from './DaemonProcess.js';
import { eventually } from './eventually.js';
import { FaultProxy } from './FaultProxy.js';
import { readStoredCall, type StoredCall } from './StoredCall.js';
import { TestServer } from './TestServer.js';

/*
 * A disk that really fills up under calls. It takes a small file system of its own, which needs root, so this is not part of
 * `npm test`:
 *
 *     mount -t tmpfs -o size=96m tmpfs DIR && REELAY_SMALL_DISK=DIR npm run test:disk
 */
const disk = process.env['REELAY_SMALL_DISK'] ?? '';
if (disk === '') throw new Error('REELAY_SMALL_DISK must name a small file system that may be filled.');

// For all of them together: calls are as long as they are, and a machine with other work is slow between them.
t.setTimeout(600_000);

const ballast = join(disk, 'ballast');

/** Leaves so many bytes of the disk free. */
function fill(free: number): void {
  const { bavail, bsize } = statfsSync(disk);
  try {
    writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - free)));
  } catch (error) {
    // The daemon was quicker: all the better.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

/** Takes every block that is left, one by one. */
function fillRest(): void {
  try {
    for (;;) appendFileSync(ballast, Buffer.alloc(4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

function makeRoom(): void {
  rmSync(ballast, { force: true });
}

/** A daemon whose spool is the small disk, and an echoing bot. */
async function house(
  t: Test,
  env: Record<string, string>,
  store?: Readonly<Record<string, unknown>>,
): Promise<DaemonProcess> {
  const dir = join(t.testdir(), 'd');
  makeRoom();
  for (const name of readdirSync(disk)) rmSync(join(disk, name), { recursive: true });
  mkdirSync(dir, { recursive: true });
  symlinkSync(disk, join(dir, 'spool'));
  const bot = new Bot({ echo: true });
  const { url } = await bot.listen();
  const account = { id: '*', upstream: `${url}/twilio`, resumeSeconds: 0 };
  const accounts = [store === undefined ? account : { ...account, store }];
  // Without a floor, because it is the really full disk that is meant here, and the spool's budget would act before.
  const noFloor = { REELAY_SPOOL_MIN_FREE_BYTES: '0' };
  const daemon = await DaemonProcess.start({ dir, accounts, chunkSeconds: 5, env: { ...noFloor, ...env } });
  t.teardown(async () => {
    await daemon.kill();
    await bot.close();
  });
  return daemon;
}

const speech = new CallerAudio(
  Int16Array.from({ length: 80_000 }, (_, i) => Math.round(9000 * Math.sin(i / 7) * Math.sin(i / 1999))),
  { sampleRate: 8000, loop: true },
);

function callers(daemon: DaemonProcess, count: number, seconds: number): TwilioCaller[] {
  const url = daemon.media('/twilio');
  return Array.from({ length: count }, () => new TwilioCaller({ url, audio: speech, seconds }));
}

function complaint(daemon: DaemonProcess): boolean {
  return daemon.logs.some((line) => line['code'] === 'spool_unwritable');
}

/** Samples outside the gaps that are not what the caller said at that place. */
function wrongSamples(call: CallResult, { channels, manifest }: StoredCall): number {
  const gaps = manifest.gaps.filter((gap) => gap.channel === 0);
  let wrong = 0;
  for (const { payload, sampleStart } of call.streams[0]?.frames ?? []) {
    const pcm = new Int16Array(payload.length);
    kernels.decodeMulaw(payload, pcm);
    pcm.forEach((sample, i) => {
      const at = sampleStart + i;
      const isGap = gaps.some((gap) => at >= gap.startSample && at < gap.startSample + gap.samples);
      if (!isGap && channels[0]?.[at] !== sample) wrong++;
    });
  }
  return wrong;
}

void t.test('a disk that is full for a while costs nothing while the ring lasts', async (t) => {
  const daemon = await house(t, {});
  const [caller] = callers(daemon, 1, 14);
  if (caller === undefined) throw new Error('no caller');
  const call = caller.call();
  await eventually('the recording is known', async () => (await daemon.recordings()).length === 1);
  fill(60_000);
  await eventually('the daemon complains', () => complaint(daemon));
  makeRoom();
  const result = await call;
  const stored = await readStoredCall(await daemon.stored(caller.callSid));
  t.strictSame(stored.findings, []);
  t.equal(stored.manifest.state, 'complete');
  t.strictSame(stored.manifest.completeness, [1, 1]);
  t.equal(wrongSamples(result, stored), 0);
  t.ok(
    result.latency.samples >= result.framesSent - 25,
    'every frame came back but those on the way at the end',
  );
  t.strictSame(result.violations, []);
  t.equal((await daemon.kill('SIGTERM')).code, 0);
});

void t.test(
  'when the ring is full too, what is missing is a named gap, and callers notice nothing',
  async (t) => {
    const daemon = await house(t, { REELAY_LIMITS_RING_BYTES: '4MiB' });
    const all = callers(daemon, 40, 24);
    const calls = all.map((caller) => caller.call());
    await eventually('all are recorded', async () => (await daemon.recordings()).length === all.length);
    fill(200_000);
    await eventually(
      'the ring is full',
      async () => (await daemon.metric('reelay_tap_dropped_frames_total')) > 500,
    );
    makeRoom();
    const results = await Promise.all(calls);
    let dropped = 0;
    for (const [index, result] of results.entries()) {
      const stored = await readStoredCall(await daemon.stored(all[index]?.callSid ?? ''));
      const { manifest } = stored;
      t.strictSame(stored.findings, []);
      t.equal(wrongSamples(result, stored), 0);
      t.strictSame(result.violations, []);
      t.ok(
        result.latency.samples >= result.framesSent - 25,
        'every frame came back but those on the way at the end',
      );
      const lost = manifest.gaps.filter((gap) => gap.cause === 'dropped_by_reelay');
      t.equal(lost.length, manifest.gaps.length, 'no gap has another cause');
      if (lost.length > 0) t.match(manifest, { state: 'interrupted', reason: 'audio_dropped' });
      dropped += lost.length;
    }
    t.ok(dropped > 0, 'something was dropped at all');
    t.ok(daemon.logs.some((line) => line['code'] === 'tap_overflow'));
    t.equal((await daemon.kill('SIGTERM')).code, 0);
  },
);

void t.test(
  'a daemon that is stopped on a full disk ends, and its successor seals what the journal has',
  async (t) => {
    const daemon = await house(t, {});
    const [caller] = callers(daemon, 1, 60);
    if (caller === undefined) throw new Error('no caller');
    const call = caller.call();
    await eventually('a chunk is sealed', async () => {
      const [one] = await daemon.recordings();
      return one !== undefined && one.samples > 48_000;
    });
    fill(60_000);
    await eventually('the daemon complains', () => complaint(daemon));
    const { code } = await daemon.kill('SIGTERM');
    t.equal(code, 75, 'something is left for the next start');
    makeRoom();
    await daemon.restart();
    const result = await call;
    const stored = await readStoredCall(await daemon.stored(caller.callSid));
    t.strictSame(stored.findings, []);
    t.equal(stored.manifest.state, 'interrupted');
    t.ok(stored.manifest.samples > 48_000);
    const { samples } = stored.manifest;
    const [stream] = result.streams;
    if (stream === undefined) throw new Error('no stream');
    const kept = {
      ...result,
      streams: [{ ...stream, frames: stream.frames.filter((f) => f.sampleStart + 160 <= samples) }],
    };
    t.equal(wrongSamples(kept, stored), 0);
    t.equal((await daemon.kill('SIGTERM')).code, 0);
  },
);

void t.test(
  'a disk without a free block drains by itself when its store comes back, though nothing can be noted on it',
  async (t) => {
    const server = await TestServer.open();
    t.teardown(() => server.close());
    const store = await FaultProxy.open(server.endpoint);
    t.teardown(() => store.close());
    const { bucket, accessKeyId, secretAccessKey } = await server.account('full');
    const at = { type: 's3', endpoint: store.endpoint, bucket, accessKeyId, secretAccessKey };
    store.spoilAll(() => ({ type: 'reset' }));
    // The pauses between two tries are minutes otherwise.
    const hurry = { REELAY_FAULTS: '1', REELAY_CLOCK_SPEED: '20' };
    const daemon = await house(t, { REELAY_LIMITS_RING_BYTES: '4MiB', ...hurry }, at);
    // Most of the disk is the spool's own, and fills with what waits for the store.
    fill(70 * 2 ** 20);
    const all = callers(daemon, 40, 60);
    const calls = all.map((caller) => caller.call());
    await eventually('chunks wait for their store', async () => {
      const listed = await daemon.recordings();
      return listed.length === all.length && listed.every(({ samples }) => samples > 64_000);
    });
    await eventually(
      'disk and ring are full',
      async () => (await daemon.metric('reelay_tap_dropped_frames_total')) > 500,
    );
    // What the daemon gave back meanwhile, a journal's end for example.
    fillRest();
    t.equal(statfsSync(disk).bavail, 0, 'there is no free block');
    store.spoilAll(() => null);
    const results = await Promise.all(calls);
    await eventually('the spool is empty', async () => (await daemon.spooled()).length === 0);
    const fetched = join(t.testdirName, 'fetched');
    const access = new Bucket({ endpoint: server.endpoint, bucket, accessKeyId, secretAccessKey });
    t.teardown(() => access.close());
    await access.download((await access.objects()).keys(), fetched);
    for (const [index, result] of results.entries()) {
      const [folder] = await recordingsById(all[index]?.callSid ?? '', [fetched]);
      if (folder === undefined) throw new Error('a call has no recording');
      const stored = await readStoredCall(folder);
      t.strictSame(stored.findings, []);
      t.equal(wrongSamples(result, stored), 0);
      const causes = new Set(stored.manifest.gaps.map(({ cause }) => cause));
      causes.delete('dropped_by_reelay');
      t.strictSame([...causes], [], 'no gap has another cause');
    }
    t.equal((await daemon.kill('SIGTERM')).code, 0);
  },
);
