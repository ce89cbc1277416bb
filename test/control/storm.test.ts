import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { ApiBench, bytesOf } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';

const most = 128;
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of the buffers that somebody still holds. */
function buffers(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** An answer of which nothing is read beyond what comes with its head. */
async function unread(url: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage];
  return response;
}

function openFiles(below: string): number {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return targets.filter((target) => target.startsWith(below)).length;
}

void t.test('more downloads than there is room for are told to come again, and cost no memory', async (t) => {
  const dir = t.testdir({});
  // 16 MB, so that no socket's buffers take all of it.
  const shape = { chunks: 5, samplesPerChunk: 800_000 };
  const made = async (accountId: string) =>
    (await fabricateRecording(join(dir, 'recordings'), { ...shape, accountId })).manifest;
  const [manifest, other] = [await made('AC1'), await made('AC2')];
  const bench = await ApiBench.start(t, dir);
  const before = buffers();
  const half = async ({ recordingId }: { readonly recordingId: string }) => {
    const url = `${bench.url}/v1/recordings/${recordingId}/audio.wav`;
    return await Promise.all(Array.from({ length: most / 2 }, () => unread(url)));
  };
  const under = await half(manifest);
  const more = await bench.audio(manifest.recordingId);
  t.equal(more.status, 503, 'one account has half of the room');
  await more.arrayBuffer();
  under.push(...(await half(other)));
  for (const { statusCode } of under) t.equal(statusCode, 200);
  const beyond = await bench.audio(manifest.recordingId);
  t.equal(beyond.status, 503);
  t.equal(beyond.headers.get('retry-after'), '2');
  t.match(await beyond.json(), { code: 'too_many_downloads', remedy: String });
  const health = await bench.get('/healthz');
  t.equal(health.status, 200, 'what is no audio is answered');
  const held = buffers() - before;
  // Both ends are in this process: what the server holds, and what came in with the heads.
  t.ok(held < most * 512 * 1024, `${(held / most / 1024).toFixed(0)} KiB for each answer`);
  t.ok(openFiles(dir) > 0);
  const gone = under.map(async (response) => {
    response.destroy();
    await once(response, 'close');
  });
  await Promise.all(gone);
  for (let look = 0; ; look++) {
    const again = await bench.audio(manifest.recordingId);
    if (again.status === 503) {
      await again.arrayBuffer();
      continue;
    }
    t.equal(again.status, 200, 'when they are gone there is room again');
    t.equal((await bytesOf(again)).length, 44 + manifest.durationSeconds * 8000 * 4);
    break;
  }
  while (openFiles(dir) > 0) await new Promise((resolve) => setImmediate(resolve));
  t.pass('no file stays open');
});

void t.test('sockets beyond what the control port holds are closed', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}));
  const port = Number(new URL(bench.url).port);
  const sockets = await Promise.all(
    Array.from({ length: 512 }, async () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    }),
  );
  // One after the other has been taken when the last one has an answer.
  const last = sockets.at(-1);
  if (last === undefined) throw new Error('no socket');
  last.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const [head] = (await once(last, 'data')) as [Buffer];
  t.match(head.toString(), /^HTTP\/1.1 200/);
  const extra = connect(port, '127.0.0.1');
  extra.on('error', () => undefined);
  await once(extra, 'close');
  t.pass('one more is closed');
  for (const socket of sockets) socket.destroy();
});

void t.test('heads and bodies beyond their size are refused', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { faults: true });
  const head = await bench.get('/healthz', { 'x-long': 'x'.repeat(64 * 1024) });
  t.equal(head.status, 431);
  const body = await fetch(`${bench.url}/v1/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ thread: 'x'.repeat(1024 * 1024) }),
  });
  t.equal(body.status, 400);
  t.match(await body.json(), { code: 'request_invalid' });
  t.strictSame(bench.faults, []);
});
