import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { once } from 'node:events';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { entryOf } from '../../src/catalogue/Catalogue.js';
import { wholeList } from '../fixtures/wholeList.js';
import { readWavHeader, wavHeaderBytes, wholeHeaderBytes } from '../../src/audio/wav.js';
import { FileStore } from '../../src/storage/FileStore.js';
import { S3Store } from '../../src/storage/S3Store.js';
import { Uploader } from '../../src/storage/Uploader.js';
import { S3Server } from '../storage/fixtures/S3Server.js';
import { ApiBench, bytesOf } from '../fixtures/ApiBench.js';
import {
  fabricateRecording,
  type FabricatedRecording,
  type Fabrication,
  wavOf,
} from '../fixtures/recording.js';

const idle = {
  stored: () => undefined,
  retrying: () => undefined,
  stuck: ({ error }: { error: Error }) => {
    throw error;
  },
  finished: () => Promise.resolve(),
  parked: ({ error }: { error: Error }) => {
    throw error;
  },
  unparked: () => undefined,
  held: ({ error }: { error: Error }) => {
    throw error;
  },
  released: () => undefined,
};

/** Moves what can be moved into the store, as the daemon would by now. */
async function upload(spoolDir: string, kept: string): Promise<void> {
  const store = new FileStore(kept);
  const uploader = new Uploader({ spoolDir, storeOf: () => Promise.resolve(store), observer: idle });
  await uploader.wakeAll();
  await uploader.idle();
}

/** A store in a bucket of a server of its own. */
async function bucketOf(t: Test): Promise<S3Store> {
  const keys = { accessKeyId: 'K', secretAccessKey: 'S' };
  const server = await S3Server.start({ buckets: [{ name: 'b', ...keys }], minPartBytes: 1000 });
  t.teardown(() => server.close());
  const store = new S3Store({
    type: 's3',
    bucket: 'b',
    region: null,
    endpoint: server.endpoint,
    prefix: 'p',
    pathStyle: true,
    credentials: { ...keys, sessionToken: null },
    storageClass: null,
    encryption: null,
    tags: {},
  });
  t.teardown(() => store.close());
  return store;
}

/** The file that the whole recording is, by the fixture's own header. */
function wholeOf({ manifest, pcm }: FabricatedRecording): Buffer {
  return wavOf(pcm, manifest.sampleRate, manifest.channels.length);
}

await t.test('a finished recording is one WAV, from the spool and from the store', async (t) => {
  const dir = t.testdir({});
  const spooled = await fabricateRecording(join(dir, 'spool'), {
    state: 'uploading',
    samplesPerChunk: 800,
    lastSamples: 300,
  });
  const stored = await fabricateRecording(join(dir, 'recordings'), {
    samplesPerChunk: 800,
    channels: 1,
    rate: 16_000,
  });
  const bench = await ApiBench.start(t, dir);
  for (const recording of [spooled, stored]) {
    const whole = wholeOf(recording);
    const response = await bench.audio(recording.manifest.recordingId);
    t.equal(response.status, 200);
    t.equal(response.headers.get('content-type'), 'audio/wav');
    t.equal(response.headers.get('accept-ranges'), 'bytes');
    t.equal(Number(response.headers.get('content-length')), whole.length);
    t.ok((await bytesOf(response)).equals(whole));
  }
});

await t.test('whatever objects a recording became, its WAV and its chunks are the same bytes', async (t) => {
  const dir = t.testdir({});
  const shape = { chunks: 4, samplesPerChunk: 800, lastSamples: 333 };
  const plain = await fabricateRecording(join(dir, 'recordings'), shape);
  const whole = wholeOf(plain);
  const layouts: Fabrication[] = [
    { layout: 'chunks' },
    { layout: 'single' },
    { layout: 'both' },
    { layout: 'jambonz', portalFormat: 'mp3' },
    { layout: 'jambonz', portalFormat: 'wav' },
  ];
  const recordings = await Promise.all(
    layouts.map((layout) => fabricateRecording(join(dir, 'recordings'), { ...shape, ...layout })),
  );
  const bench = await ApiBench.start(t, dir);
  for (const { manifest } of [plain, ...recordings]) {
    const { recordingId, layout = 'none', audio = [] } = manifest;
    const name = `${layout} with ${audio.map(({ format }) => format).join(' and ')}`;
    const response = await bench.audio(recordingId);
    t.equal(response.status, 200, name);
    t.ok((await bytesOf(response)).equals(whole), name);
    const range = await bench.audio(recordingId, { range: 'bytes=3190-9800' });
    t.equal(range.headers.get('etag'), response.headers.get('etag'));
    t.ok((await bytesOf(range)).equals(whole.subarray(3190, 9801)), `${name}: over three chunks`);
    for (const { index, bytes, sha256 } of manifest.chunks) {
      const answer = await bench.get(`/v1/recordings/${recordingId}/chunks/${index}.wav`);
      const chunk = await bytesOf(answer);
      t.equal(chunk.length, bytes);
      t.equal(createHash('sha256').update(chunk).digest('hex'), sha256, `${name}: chunk ${index}`);
      t.equal(answer.headers.get('etag'), `"${sha256}"`);
    }
  }
});

await t.test('an object over the whole call that is too short breaks the answer off', async (t) => {
  const dir = t.testdir({});
  const { folder, manifest } = await fabricateRecording(join(dir, 'recordings'), { layout: 'single' });
  const bench = await ApiBench.start(t, dir);
  await truncate(join(folder, 'audio.wav'), 50_000);
  await t.rejects(bench.audio(manifest.recordingId).then(bytesOf));
  await unlink(join(folder, 'audio.wav'));
  await t.rejects(bench.audio(manifest.recordingId).then(bytesOf));
  t.equal((await bench.get('/healthz')).status, 200);
});

await t.test('a read that is under way goes on when its chunks become one object', async (t) => {
  const dir = t.testdir({});
  const shape = { chunks: 8, rate: 48_000, samplesPerChunk: 480_000, recordingId: 'r1', callId: 'CA1' };
  const recording = await fabricateRecording(join(dir, 'spool'), { state: 'uploading', ...shape });
  const bench = await ApiBench.start(t, dir);
  const asked = request(`${bench.url}/v1/recordings/r1/audio.wav`).end();
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
  const first = ((await once(response, 'data')) as [Buffer])[0];
  response.pause();
  await fabricateRecording(join(dir, 'recordings'), { layout: 'single', ...shape });
  await rm(recording.folder, { recursive: true });
  const pieces = [first];
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece);
  t.ok(Buffer.concat(pieces).equals(wholeOf(recording)));
});

await t.test(
  'a bucket’s recording plays as the spool’s did, before, while and after it is stored',
  async (t) => {
    const dir = t.testdir({ spool: {} });
    const store = await bucketOf(t);
    const spool = join(dir, 'spool');
    const bench = await ApiBench.start(t, dir, { store });
    for (const layout of ['chunks', 'single', 'both'] as const) {
      const recording = await fabricateRecording(spool, {
        state: 'uploading',
        chunks: 4,
        samplesPerChunk: 3000,
      });
      const { recordingId } = recording.manifest;
      await writeFile(
        join(recording.folder, 'manifest.json'),
        JSON.stringify({ ...recording.manifest, layout }),
      );
      await bench.library.scanSpool();
      const whole = wholeOf(recording);
      const check = async (when: string) => {
        const answer = await bench.audio(recordingId);
        t.ok((await bytesOf(answer)).equals(whole), `${layout}, ${when}`);
        const part = await bench.audio(recordingId, { range: 'bytes=40-30000' });
        t.ok((await bytesOf(part)).equals(whole.subarray(40, 30_001)), `${layout}, ${when}: a part`);
        const chunk = await bytesOf(await bench.get(`/v1/recordings/${recordingId}/chunks/2.wav`));
        const sha256 = createHash('sha256').update(chunk).digest('hex');
        t.equal(sha256, recording.manifest.chunks[2]?.sha256, `${layout}, ${when}: a chunk`);
      };
      await check('before');
      const checks: Promise<void>[] = [];
      const stored = ({ name }: { readonly name: string }) => void checks.push(check(`after ${name}`));
      const uploader = new Uploader({
        spoolDir: spool,
        storeOf: () => Promise.resolve(store),
        observer: { ...idle, stored, retrying: ({ error }) => void t.error(error) },
        leastPartBytes: 20_000,
      });
      await uploader.wakeAll();
      await uploader.idle();
      await Promise.all(checks);
      t.ok(checks.length >= 4, `asked ${checks.length} times while it was being stored`);
      await t.rejects(readFile(join(recording.folder, 'manifest.json')), { code: 'ENOENT' });
      await check('after');
      await uploader.stop();
    }
  },
);

await t.test('who asks for it is sent to the store itself, where one object has just that', async (t) => {
  const dir = t.testdir({ spool: {} });
  const store = await bucketOf(t);
  const spool = join(dir, 'spool');
  const bench = await ApiBench.start(t, dir, { store });
  for (const layout of ['chunks', 'both'] as const) {
    const recording = await fabricateRecording(spool, {
      state: 'uploading',
      chunks: 2,
      samplesPerChunk: 3000,
    });
    const { recordingId } = recording.manifest;
    await writeFile(
      join(recording.folder, 'manifest.json'),
      JSON.stringify({ ...recording.manifest, layout }),
    );
    await bench.library.scanSpool();
    const ask = async (path: string) =>
      await fetch(`${bench.url}/v1/recordings/${recordingId}/${path}`, { redirect: 'manual' });
    const here = await ask('audio.wav?direct=true');
    t.equal(here.status, 200, 'what is in the spool is given here');
    await here.body?.cancel();
    const uploader = new Uploader({ spoolDir: spool, storeOf: () => Promise.resolve(store), observer: idle });
    await uploader.wakeAll();
    await uploader.idle();
    await uploader.stop();
    const whole = await ask('audio.wav?direct=true');
    t.equal(whole.status, layout === 'both' ? 302 : 200, `${layout}: audio.wav`);
    if (layout === 'both') {
      t.equal(whole.headers.get('cache-control'), 'no-store');
      const audio = await fetch(whole.headers.get('location') ?? '');
      const pcm = (await bytesOf(audio)).subarray(wholeHeaderBytes);
      t.ok(pcm.equals(wholeOf(recording).subarray(wavHeaderBytes)));
    } else t.ok((await bytesOf(whole)).equals(wholeOf(recording)));
    const part = await ask('audio.wav?direct=true&from=10&to=20');
    t.equal(part.status, 200, 'a part is nobody else’s');
    await part.body?.cancel();
    const chunk = await ask('chunks/1.wav?direct=true');
    t.equal(chunk.status, 302);
    const { sha256 } = recording.manifest.chunks[1] ?? {};
    const bytes = await bytesOf(await fetch(chunk.headers.get('location') ?? ''));
    t.equal(createHash('sha256').update(bytes).digest('hex'), sha256);
    const plain = await ask('chunks/1.wav');
    t.equal(plain.status, 200);
    await plain.body?.cancel();
  }
});

await t.test('a recording that waits for its account’s store to let it in can be heard', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { state: 'uploading', samplesPerChunk: 80 });
  const { recordingId, accountId } = recording.manifest;
  const bench = await ApiBench.start(t, dir);
  await bench.library.park(accountId, 'store_denied');
  const shown = (await (await bench.get(`/v1/recordings/${recordingId}`)).json()) as object;
  t.match(shown, { state: 'failed', reason: 'store_denied' });
  const response = await bench.audio(recordingId);
  t.equal(response.status, 200);
  t.equal(response.headers.get('x-reelay-state'), 'failed');
  t.ok((await bytesOf(response)).equals(wholeOf(recording)));
});

await t.test('a recording past 4 GiB is RF64, and any part of it can be had', async (t) => {
  const dir = t.testdir({});
  const shape = { chunks: 2, samplesPerChunk: 8000, callId: 'CA1', recordingId: 'r1' };
  const { folder, manifest } = await fabricateRecording(join(dir, 'recordings'), shape);
  const samples = 540_000_000;
  const chunks = manifest.chunks.map((chunk, index) => ({
    ...chunk,
    samples,
    startSample: index * samples,
    bytes: 44 + samples * 4,
  }));
  // Files with holes: nothing of them but their beginning takes room.
  for (const index of [0, 1]) await truncate(join(folder, `${index}-audio.wav`), 44 + samples * 4);
  const durationSeconds = (2 * samples) / 8000;
  const long = { ...manifest, chunks, samples: 2 * samples, chunkSeconds: samples / 8000, durationSeconds };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(long));
  const bench = await ApiBench.start(t, dir);
  const head = await bench.audio('r1', {}, 'HEAD');
  const bytes = 80 + 2 * samples * 4;
  t.equal(Number(head.headers.get('content-length')), bytes);
  const beginning = await bytesOf(await bench.audio('r1', { range: 'bytes=0-79' }));
  t.match(readWavHeader(beginning), { channels: 2, dataOffset: 80, dataBytes: 2 * samples * 4 });
  t.equal(beginning.toString('latin1', 0, 4), 'RF64');
  const seam = 80 + samples * 4;
  const around = await bytesOf(await bench.audio('r1', { range: `bytes=${seam - 8}-${seam + 799}` }));
  t.equal(around.length, 808);
  t.equal(around.readInt32LE(0), 0);
  t.notOk(
    around.subarray(8).every((byte) => byte === 0),
    'the second chunk begins where it should',
  );
  const end = await bytesOf(await bench.audio('r1', { range: 'bytes=-4' }));
  t.equal(end.length, 4);
});

await t.test('while the call is up the answer grows, and each part fits the one before', async (t) => {
  const dir = t.testdir({});
  const wanted: Fabrication = { state: 'recording', chunks: 2, samplesPerChunk: 800, openSamples: 160 };
  const recording = await fabricateRecording(join(dir, 'spool'), wanted);
  const whole = wholeOf(recording);
  const bench = await ApiBench.start(t, dir);
  const { recordingId } = recording.manifest;
  const before = await bench.audio(recordingId);
  const seen = await bytesOf(before);
  t.ok(seen.equals(whole));
  await upload(bench.spoolDir, bench.kept);
  t.ok(
    (await bytesOf(await bench.audio(recordingId))).equals(whole),
    'also when the first chunks are stored',
  );
  const more = Int16Array.from({ length: 700 }, (_, index) => index);
  const grown = new Int16Array([...recording.pcm.subarray(3200), ...more]);
  await writeFile(join(recording.folder, '2-audio.wav.open'), wavOf(grown, 8000, 2));
  const after = await bench.audio(recordingId, { range: `bytes=${seen.length}-` });
  t.equal(after.status, 206);
  t.not(after.headers.get('etag'), before.headers.get('etag'), 'another length, another tag');
  t.ok((await bytesOf(after)).equals(Buffer.from(more.buffer)));
  const etag = before.headers.get('etag') ?? '';
  const stale = await bench.audio(recordingId, { range: 'bytes=0-9', 'if-range': etag });
  t.equal(stale.status, 200, 'a part of what has grown since is not given as a part of what it was');
  await stale.body?.cancel();
});

await t.test('a chunk that is full and may still be amended is followed by the one that grows', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), {
    state: 'recording',
    chunks: 1,
    samplesPerChunk: 800,
    openSamples: 800,
  });
  const more = Int16Array.from({ length: 50 }, (_, index) => index);
  await writeFile(join(recording.folder, '2-audio.wav.open'), wavOf(more, 8000, 2));
  const bench = await ApiBench.start(t, dir);
  const whole = wavOf(new Int16Array([...recording.pcm, ...more]), 8000, 2);
  t.ok((await bytesOf(await bench.audio(recording.manifest.recordingId))).equals(whole));
  // At the moment between a chunk's renaming and its sidecar nothing of it is missing either.
  await rename(join(recording.folder, '1-audio.wav.open'), join(recording.folder, '1-audio.wav'));
  t.ok((await bytesOf(await bench.audio(recording.manifest.recordingId))).equals(whole));
});

await t.test('bytes behind what the growing header says are not given out', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), {
    state: 'recording',
    chunks: 0,
    samplesPerChunk: 800,
    openSamples: 20,
  });
  const path = join(recording.folder, '0-audio.wav.open');
  await writeFile(path, Buffer.concat([await readFile(path), Buffer.alloc(33, 1)]));
  const bench = await ApiBench.start(t, dir);
  t.ok((await bytesOf(await bench.audio(recording.manifest.recordingId))).equals(wholeOf(recording)));
});

await t.test('any range of any layout is that slice of the whole file', async (t) => {
  const root = t.testdir({});
  let runs = 0;
  const layout = fc.record({
    chunks: fc.integer({ min: 0, max: 4 }),
    samplesPerChunk: fc.integer({ min: 1, max: 40 }),
    openSamples: fc.nat(30),
    channels: fc.constantFrom<1 | 2>(1, 2),
    stored: fc.boolean(),
    ranges: fc.array(fc.tuple(fc.nat(500), fc.option(fc.nat(500))), { minLength: 1, maxLength: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(layout, async ({ stored, ranges, ...shape }) => {
      if (shape.chunks === 0 && shape.openSamples === 0) return;
      const dir = join(root, `${runs++}`);
      const wanted = { ...shape, openSamples: Math.min(shape.openSamples, shape.samplesPerChunk) };
      const recording = await fabricateRecording(join(dir, 'spool'), { state: 'recording', ...wanted });
      const bench = await ApiBench.start(t, dir);
      if (stored) await upload(bench.spoolDir, bench.kept);
      const whole = wholeOf(recording);
      for (const [start, length] of ranges) {
        const range = length === null ? `bytes=${start}-` : `bytes=${start}-${start + length}`;
        const response = await bench.audio(recording.manifest.recordingId, { range });
        const body = await bytesOf(response);
        const slice = whole.subarray(start, length === null ? undefined : start + length + 1);
        const fits =
          start >= whole.length ? response.status === 416 : response.status === 206 && body.equals(slice);
        if (!fits) throw new Error(`${range} of ${whole.length}: ${response.status}, ${body.length} bytes`);
      }
    }),
    { numRuns: 40 },
  );
  t.ok(runs > 20);
});

await t.test('ranges, conditions and HEAD answer as RFC 9110 has it', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'recordings'), { samplesPerChunk: 80 });
  const bench = await ApiBench.start(t, dir);
  const whole = wholeOf(recording);
  const { recordingId } = recording.manifest;
  const suffix = await bench.audio(recordingId, { range: 'bytes=-10' });
  t.equal(
    suffix.headers.get('content-range'),
    `bytes ${whole.length - 10}-${whole.length - 1}/${whole.length}`,
  );
  t.ok((await bytesOf(suffix)).equals(whole.subarray(-10)));
  const beyond = await bench.audio(recordingId, { range: `bytes=${whole.length}-` });
  t.equal(beyond.status, 416);
  t.equal(beyond.headers.get('content-range'), `bytes */${whole.length}`);
  t.match(await beyond.json(), { code: 'range_unsatisfiable', remedy: `There are ${whole.length} bytes.` });
  for (const range of ['bytes=9-2', 'bytes=a-b', 'bytes=0-1,4-5', 'lines=0-1', 'bytes=-']) {
    const response = await bench.audio(recordingId, { range });
    t.equal(response.status, 200, `${range} counts as no range`);
    t.equal((await bytesOf(response)).length, whole.length);
  }
  const head = await bench.audio(recordingId, {}, 'HEAD');
  t.equal(head.status, 200);
  t.equal(Number(head.headers.get('content-length')), whole.length);
  const etag = head.headers.get('etag') ?? '';
  const part = await bench.audio(recordingId, { range: 'bytes=1-1', 'if-range': etag }, 'HEAD');
  t.equal(part.status, 206);
  t.equal(part.headers.get('content-length'), '1');
  t.equal((await bench.audio(recordingId, { 'if-none-match': `"x", W/${etag}` })).status, 304);
});

await t.test(
  'a read that is under way goes on while its chunks move from the spool to the store',
  async (t) => {
    const dir = t.testdir({});
    // More than what the sockets between us hold, so that the answer can't be under way already when the chunks move.
    const recording = await fabricateRecording(join(dir, 'spool'), {
      state: 'uploading',
      chunks: 8,
      rate: 48_000,
      samplesPerChunk: 480_000,
    });
    const bench = await ApiBench.start(t, dir);
    const asked = request(`${bench.url}/v1/recordings/${recording.manifest.recordingId}/audio.wav`).end();
    const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
    const first = ((await once(response, 'data')) as [Buffer])[0];
    response.pause();
    await upload(bench.spoolDir, bench.kept);
    const pieces = [first];
    for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece);
    t.ok(Buffer.concat(pieces).equals(wholeOf(recording)));
  },
);

await t.test(
  'an answer whose audio has vanished breaks off; it is never filled up or cut short',
  async (t) => {
    const dir = t.testdir({});
    const recording = await fabricateRecording(join(dir, 'recordings'), { samplesPerChunk: 80 });
    const bench = await ApiBench.start(t, dir);
    await unlink(join(recording.folder, '1-audio.wav'));
    await t.rejects(bench.audio(recording.manifest.recordingId).then(bytesOf));
    t.equal((await bench.get('/healthz')).status, 200);
  },
);

await t.test('chunks and their sidecars are given one by one, wherever they lie', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), {
    state: 'recording',
    chunks: 2,
    samplesPerChunk: 80,
    openSamples: 8,
  });
  const names = ['0-audio.wav', '0-metadata.json', '1-audio.wav', '1-metadata.json'];
  const files = await Promise.all(names.map((name) => readFile(join(recording.folder, name))));
  const bench = await ApiBench.start(t, dir);
  const base = `/v1/recordings/${recording.manifest.recordingId}/chunks`;
  for (const place of ['spool', 'store']) {
    if (place === 'store') await upload(bench.spoolDir, bench.kept);
    for (const [at, path] of ['0.wav', '0.json', '1.wav', '1.json'].entries()) {
      const response = await bench.get(`${base}/${path}`);
      t.ok((await bytesOf(response)).equals(files[at] ?? Buffer.alloc(0)), `${path} from the ${place}`);
    }
  }
  const range = await bench.get(`${base}/1.wav`, { range: 'bytes=40-49' });
  t.ok((await bytesOf(range)).equals(files[2]?.subarray(40, 50) ?? Buffer.alloc(0)));
  for (const path of ['2.wav', '2.json', '99.wav']) {
    const response = await bench.get(`${base}/${path}`);
    t.equal(response.status, 202, `${path} may come`);
    t.equal(response.headers.get('retry-after'), '1');
    t.match(await response.json(), { recordingId: recording.manifest.recordingId, state: 'recording' });
    t.equal((await bench.get(`${base}/${path}`, {}, 'HEAD')).status, 202);
  }
  for (const path of ['..%2F..%2Fmanifest.json', '0.txt', '00.wav', '-1.wav'])
    t.equal((await bench.get(`${base}/${path}`)).status, 404, path);
});

await t.test('behind the end of a recording that is over there is no chunk', async (t) => {
  const dir = t.testdir({});
  const shape = { chunks: 2, samplesPerChunk: 80 };
  const [waiting, stored] = [
    await fabricateRecording(join(dir, 'spool'), { ...shape, state: 'uploading' }),
    await fabricateRecording(join(dir, 'recordings'), shape),
  ];
  const bench = await ApiBench.start(t, dir);
  for (const { manifest } of [waiting, stored])
    for (const path of ['2.wav', '2.json'])
      t.equal((await bench.get(`/v1/recordings/${manifest.recordingId}/chunks/${path}`)).status, 404);
});

await t.test('a chunk of a call that is up in another daemon may come', async (t) => {
  const dir = t.testdir({});
  const elsewhere = await fabricateRecording(join(dir, 'elsewhere'), { state: 'recording', chunks: 1 });
  const bench = await ApiBench.start(t, dir);
  const folder = relative(join(dir, 'elsewhere'), elsewhere.folder);
  // As in a catalogue that both have.
  await bench.catalogue.write([{ entry: entryOf(elsewhere.manifest, folder) }]);
  for (const path of ['chunks/0.wav', 'chunks/0.json', 'audio.wav']) {
    const response = await bench.get(`/v1/recordings/${elsewhere.manifest.recordingId}/${path}`);
    t.equal(response.status, 202, path);
    t.match(await response.json(), { state: 'recording' });
  }
});

await t.test('before there is audio the answer is the state and when to ask again', async (t) => {
  const dir = t.testdir({});
  const recording = await fabricateRecording(join(dir, 'spool'), { state: 'recording', chunks: 0 });
  const failed = await fabricateRecording(join(dir, 'spool'), {
    state: 'failed',
    reason: 'no_store',
    chunks: 0,
  });
  const silent = await fabricateRecording(join(dir, 'recordings'), { chunks: 0 });
  const bench = await ApiBench.start(t, dir);
  const waiting = await bench.audio(recording.manifest.recordingId);
  t.equal(waiting.status, 202);
  t.equal(waiting.headers.get('retry-after'), '1');
  t.match(await waiting.json(), { recordingId: recording.manifest.recordingId, state: 'recording' });
  const refused = await bench.audio(failed.manifest.recordingId);
  t.equal(refused.status, 409);
  t.match(await refused.json(), { code: 'recording_failed', message: /no_store/ });
  const empty = await bench.audio(silent.manifest.recordingId);
  t.equal(empty.status, 200, 'a call without audio has a WAV without samples');
  t.equal((await bytesOf(empty)).length, 44);
});

await t.test('the recording of a call is known before the recorder says so', async (t) => {
  const dir = t.testdir({});
  await mkdir(join(dir, 'spool'));
  const bench = await ApiBench.start(t, dir);
  const call = {
    recordingId: 'r1',
    accountId: 'AC1',
    provider: 'twilio',
    callId: 'CA1',
    from: null,
    to: null,
    direction: null,
    startTime: new Date().toISOString(),
    streams: ['MZ1'],
    recording: 'running' as const,
    upstream: 'open' as const,
  };
  bench.calls.take(wholeList([call]));
  for (const path of ['', '/audio.wav', '/chunks/0.wav', '/chunks/0.json'])
    t.equal((await bench.get(`/v1/recordings/r1${path}`)).status, 202, path);
  t.equal((await bench.get('/v1/recordings/r1/chunks/x')).status, 404);
  bench.calls.take(wholeList([]));
  t.equal((await bench.audio('r1')).status, 202, 'nor is it forgotten when the call ends first');
  t.equal((await bench.audio('r2')).status, 404);
});

await t.test(
  'a manifest is the recorder’s while the call is up, and the stored one when all is over',
  async (t) => {
    const dir = t.testdir({});
    const recording = await fabricateRecording(join(dir, 'spool'), {
      state: 'uploading',
      samplesPerChunk: 80,
    });
    const bench = await ApiBench.start(t, dir);
    const path = `/v1/recordings/${recording.manifest.recordingId}`;
    t.strictSame(await (await bench.get(path)).json(), recording.manifest);
    await upload(bench.spoolDir, bench.kept);
    t.strictSame(await (await bench.get(path)).json(), { ...recording.manifest, state: 'complete' });
    await rm(join(bench.kept, relative(bench.spoolDir, recording.folder)), { recursive: true });
    t.equal((await bench.get(path)).status, 202, 'and a store that has lost it makes no error of the server');
  },
);
