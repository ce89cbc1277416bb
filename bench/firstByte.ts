/*
 * How soon the first byte of a recording's audio comes, and what of its bucket is read for that:
 *
 *     npm run bench:first-byte -- [questions=200] [calls=20] [kib=256] [hours=2] [short]
 *
 * For calls that began a second ago; and for places in the last hour of a long recording that lies in a bucket, as chunks and as one
 * `audio.wav`, asked for with a Range of so many KiB. Against the gateway that REELAY_GATEWAY names, else the tests' S3 server. Exit 1 when an
 * answer isn't what was recorded, to the byte, or more of the audio is fetched from the bucket than was asked for. Times are told; `short`
 * asks fewer questions.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { Agent, get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { textTable } from '../src/cli/textTable.js';
import { latencyOf } from '../src/simulators/LatencyMeter.js';
import { TwilioCaller } from '../src/simulators/TwilioCaller.js';
import { S3Store } from '../src/storage/S3Store.js';
import type { BucketAccess } from '../test/acceptance/Bucket.js';
import { DaemonProcess } from '../test/acceptance/DaemonProcess.js';
import { eventually } from '../test/acceptance/eventually.js';
import { FaultProxy } from '../test/acceptance/FaultProxy.js';
import { openBackend } from '../test/acceptance/openBackend.js';
import { randomFrom } from '../test/acceptance/randomFrom.js';
import { fabricateRecording, wavOf, type FabricatedRecording } from '../test/fixtures/recording.js';
import { argument } from './argument.js';

const isShort = process.argv.includes('short');
const [questions, calls] = [argument('questions', isShort ? 30 : 200), argument('calls', isShort ? 5 : 20)];
const [kib, hours] = [argument('kib', 256), argument('hours', 2)];
const rate = 8000;
const headerBytes = 44;

/** An answer, and how long its first byte took, ms. */
interface Heard {
  readonly status: number;
  readonly firstMs: number;
  readonly body: Buffer;
}

const dir = await mkdtemp(join(tmpdir(), 'reelay-first-byte-'));
const agent = new Agent({ keepAlive: true });
const backend = await openBackend();
const access = await backend.account('acme');
const proxy = await FaultProxy.open(backend.endpoint);
const { bucket, accessKeyId, secretAccessKey } = access;
const store = { type: 's3', endpoint: proxy.endpoint, bucket, accessKeyId, secretAccessKey };
const problems: string[] = [];
const rows: string[][] = [
  ['', 'answers', 'p50 ms', 'p99 ms', 'max ms', 'asked for', 'fetched', 'most beyond'],
];
let daemon: DaemonProcess | null = null;
try {
  const long = [await laidDown('chunks'), await laidDown('single')] as const;
  const { manifest } = long[0];
  daemon = await DaemonProcess.start({
    dir: join(dir, 'daemon'),
    accounts: [{ id: manifest.accountId, resumeSeconds: 0, store }],
  });
  await began(daemon, manifest.accountId);
  for (const recording of long) await sought(daemon, recording);
  console.log(`${hours} h of stereo at 8 kHz in ${backend.name}; ranges of ${kib} KiB in its last hour`);
  console.log(textTable(rows));
  for (const problem of problems.slice(0, 10)) console.log(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await daemon?.kill();
  agent.destroy();
  await proxy.close();
  await backend.close();
  await rm(dir, { recursive: true, force: true });
}

async function asked(
  from: DaemonProcess,
  path: string,
  headers: Record<string, string> = {},
): Promise<Heard> {
  const startMs = performance.now();
  const sent = get({ host: '127.0.0.1', port: from.controlPort, path, headers, agent });
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const pieces: Buffer[] = [];
  let firstMs = NaN;
  for await (const piece of response) {
    if (pieces.length === 0) firstMs = performance.now() - startMs;
    pieces.push(piece as Buffer);
  }
  return { status: response.statusCode ?? 0, firstMs, body: Buffer.concat(pieces) };
}

/** A long recording, as the uploader would have left it in the bucket. */
async function laidDown(layout: 'chunks' | 'single'): Promise<FabricatedRecording> {
  const root = join(dir, layout);
  const made = await fabricateRecording(root, {
    layout,
    chunks: hours * 60,
    samplesPerChunk: 60 * rate,
    startMs: Date.now() - (hours + 1) * 3_600_000,
  });
  await uploaded(root, access);
  await rm(root, { recursive: true });
  return made;
}

async function uploaded(root: string, { endpoint }: BucketAccess): Promise<void> {
  const place = new S3Store({
    type: 's3',
    bucket,
    region: null,
    endpoint,
    prefix: '',
    pathStyle: true,
    credentials: { accessKeyId, secretAccessKey, sessionToken: null },
    storageClass: null,
    encryption: null,
    tags: {},
  });
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    await place.put(relative(root, file), file, { sha256: sha(await readFile(file)) });
  }
  place.close();
}

/** One call after another, each asked for when it is a second old. */
async function began(from: DaemonProcess, accountSid: string): Promise<void> {
  const times: number[] = [];
  for (let at = 0; at < calls; at++) {
    const callSid = `CAbegun${at}`;
    const caller = new TwilioCaller({ url: from.media('/twilio'), accountSid, callSid });
    const call = caller.call();
    const id = await eventually(
      'the call is up',
      async () => {
        const up = (await from.json<{ calls: { callId: string; recordingId: string }[] }>('/v1/calls')).calls;
        return up.find(({ callId }) => callId === callSid)?.recordingId;
      },
      { everyMs: 5 },
    );
    await sleep(1000);
    const { status, firstMs, body } = await asked(from, `/v1/recordings/${id}/audio.wav`);
    if (status !== 200 || body.length <= headerBytes)
      problems.push(`a call that began a second ago: ${status}, ${body.length} bytes`);
    times.push(firstMs);
    caller.hangUp();
    await call;
  }
  tell('a call that began 1 s ago', times, ['', '', '']);
}

async function sought(from: DaemonProcess, { manifest, pcm }: FabricatedRecording): Promise<void> {
  const { recordingId, layout = 'chunks' } = manifest;
  const path = `/v1/recordings/${recordingId}/audio.wav`;
  await eventually('it is listed', async () => (await from.get(`/v1/recordings/${recordingId}`)).ok);
  const whole = wavOf(pcm, rate, 2);
  const random = randomFrom(7);
  const first = Math.max(headerBytes, whole.length - 3600 * rate * 4);
  const [times, beyond]: [number[], number[]] = [[], []];
  let fetched = 0;
  for (let at = 0; at < questions; at++) {
    const start = Math.floor(first + random() * (whole.length - kib * 1024 - first));
    const end = start + kib * 1024 - 1;
    const before = proxy.journal.length;
    const { status, firstMs, body } = await asked(from, path, { range: `bytes=${start}-${end}` });
    if (status !== 206 || sha(body) !== sha(whole.subarray(start, end + 1)))
      problems.push(`${layout}: ${start} to ${end} gave ${status} and other bytes`);
    const given = proxy.journal
      .slice(before)
      .filter(({ kind, key }) => kind === 'get' && key.endsWith('audio.wav'))
      .reduce((sum, entry) => sum + entry.given, 0);
    fetched += given;
    beyond.push(given - body.length);
    times.push(firstMs);
  }
  const most = Math.max(...beyond);
  if (most > headerBytes) problems.push(`${layout}: ${most} bytes more than asked for were fetched`);
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  tell(`seek, ${layout}`, times, [mib(questions * kib * 1024), mib(fetched), `${most} bytes`]);
}

function tell(name: string, times: readonly number[], more: readonly string[]): void {
  const { samples, p50, p99, max } = latencyOf(times);
  rows.push([name, String(samples), p50.toFixed(1), p99.toFixed(1), max.toFixed(1), ...more]);
}

function sha(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
