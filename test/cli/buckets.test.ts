import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { runMerge } from '../../src/cli/merge.js';
import { runVerify, type Verdict } from '../../src/cli/verify.js';
import type { S3StoreConfig } from '../../src/config/Config.js';
import { S3Store } from '../../src/storage/S3Store.js';
import { type Fabrication, fabricateRecording, wavOf } from '../fixtures/recording.js';
import { S3Server } from '../storage/fixtures/S3Server.js';

const acme = { name: 'acme-calls', accessKeyId: 'ACME', secretAccessKey: 'acme-secret' };
const other = { name: 'other-calls', accessKeyId: 'OTHER', secretAccessKey: 'other-secret' };
const server = await S3Server.start({ buckets: [acme, other], pageSize: 7 });
t.teardown(() => server.close());
const scratch = t.testdir();

// The AWS command line's own way of saying which store and whose keys.
for (const name of Object.keys(process.env))
  if (name.startsWith('AWS_')) Reflect.deleteProperty(process.env, name);
Object.assign(process.env, {
  AWS_ENDPOINT_URL: server.endpoint,
  AWS_ACCESS_KEY_ID: acme.accessKeyId,
  AWS_SECRET_ACCESS_KEY: acme.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
});

function storeOf(bucket: typeof acme, prefix: string): S3StoreConfig {
  const { accessKeyId, secretAccessKey } = bucket;
  return {
    type: 's3',
    bucket: bucket.name,
    region: null,
    endpoint: server.endpoint,
    prefix,
    pathStyle: true,
    credentials: { accessKeyId, secretAccessKey, sessionToken: null },
    storageClass: null,
    encryption: null,
    tags: {},
  };
}

/** Puts every file of a folder into a bucket under its own name. */
async function upload(dir: string, prefix: string, bucket = acme): Promise<void> {
  const store = new S3Store(storeOf(bucket, prefix));
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const sha256 = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    await store.put(relative(dir, file), file, { sha256 });
  }
  store.close();
}

async function stored(t: Pick<Test, 'testdir'>, prefix: string, shape: Fabrication = {}) {
  const dir = join(t.testdir(), 'store');
  const made = await fabricateRecording(dir, shape);
  await upload(dir, prefix);
  const key = relative(dir, made.folder);
  return { ...made, dir, key, url: `s3://${acme.name}/${prefix}/${key}` };
}

async function overwrite(key: string, content: Buffer | string): Promise<void> {
  const file = join(scratch, createHash('sha256').update(key).digest('hex'));
  await writeFile(file, content);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const store = new S3Store(storeOf(acme, ''));
  await store.put(key, file, { sha256 });
  store.close();
}

async function remove(key: string): Promise<void> {
  const store = new S3Store(storeOf(acme, ''));
  await store.delete(key);
  store.close();
}

async function verify(target: string, options: { store?: string; spool?: string; config?: string } = {}) {
  let out = '';
  let err = '';
  const code = await runVerify(
    target,
    { spool: '/nowhere', ...options, json: true },
    { write: (text) => (out += text) },
    { write: (text) => (err += text) },
  );
  const verdicts = out === '' ? [] : (JSON.parse(out) as Verdict[]);
  return {
    code,
    err,
    verdicts,
    codes: verdicts.flatMap(({ findings }) => findings.map((each) => each.code)),
  };
}

async function merge(target: string, output: string, options: { store?: string; force?: boolean } = {}) {
  let err = '';
  const code = await runMerge(
    target,
    { spool: '/nowhere', output, ...options },
    { write: () => true },
    { write: (text) => (err += text) },
  );
  return { code, err };
}

await t.test('recordings of every layout are whole in a bucket and merge to the same samples', async (t) => {
  const shapes: Record<string, Fabrication> = {
    chunks: { chunks: 5, samplesPerChunk: 800 },
    single: { layout: 'single', lastSamples: 77 },
    both: { layout: 'both', channels: 1 },
    mp3: { layout: 'jambonz' },
    wav: { layout: 'jambonz', portalFormat: 'wav' },
    failed: { chunks: 0, state: 'failed', reason: 'spool_full' },
  };
  for (const [name, shape] of Object.entries(shapes)) {
    const { url, dir, manifest, pcm } = await stored(t, `layouts/${name}`, shape);
    const expected = name === 'failed' ? { code: 1, codes: ['failed'] } : { code: 0, codes: [] };
    for (const target of [url, `${url}/`, `s3://${acme.name}/layouts/${name}`])
      t.match(await verify(target), { ...expected, verdicts: [{ folders: [url] }] }, target);
    const store = `s3://${acme.name}/layouts/${name}`;
    for (const id of [manifest.recordingId, manifest.callId])
      t.match(await verify(id, { store }), expected, `${name} by id`);
    if (name === 'failed') continue;
    const output = join(dir, 'merged.wav');
    t.same(await merge(url, output), { code: 0, err: '' });
    t.ok((await readFile(output)).equals(wavOf(pcm, manifest.sampleRate, manifest.channels.length)), name);
  }
  const all = await verify(`s3://${acme.name}/layouts`);
  t.equal(all.verdicts.length, Object.keys(shapes).length);
  t.same(all.codes, ['failed']);
  t.match(
    await verify(`s3://${acme.name}/lay`),
    { code: 2, err: /^recording_unknown: / },
    'half a name is none',
  );
});

await t.test('one audio.wav is read once', async (t) => {
  const { url, key } = await stored(t, 'once', { layout: 'single' });
  const before = server.requests.length;
  t.equal((await verify(url)).code, 0);
  const reads = server.requests.slice(before).filter((line) => line.includes(`${key}/audio.wav`));
  t.match(reads, [`GET /${acme.name}/once/${key}/audio.wav`]);
  t.equal(reads.length, 1);
});

await t.test('damage in a bucket is found', async (t) => {
  const damages: [string, string[], (key: string) => Promise<void>, Fabrication][] = [
    ['a garbage manifest', ['manifest_invalid'], (key) => overwrite(`${key}/manifest.json`, '{"a":'), {}],
    ['no manifest', ['manifest_missing'], (key) => remove(`${key}/manifest.json`), {}],
    ['no chunk', ['chunk_missing'], (key) => remove(`${key}/1-audio.wav`), {}],
    ['an empty chunk', ['wav_truncated'], (key) => overwrite(`${key}/1-audio.wav`, ''), {}],
    [
      'a chunk that is a film',
      ['wav_overlong'],
      (key) => overwrite(`${key}/1-audio.wav`, Buffer.alloc(4e6)),
      {},
    ],
    ['no sidecar', ['sidecar_missing'], (key) => remove(`${key}/0-metadata.json`), { layout: 'single' }],
    ['no audio', ['audio_missing'], (key) => remove(`${key}/audio.wav`), { layout: 'single' }],
    [
      'audio that ends early',
      ['audio_truncated'],
      async (key) => {
        const wav = await server.object(acme.name, key + '/audio.wav');
        await overwrite(`${key}/audio.wav`, wav.subarray(0, 50_000));
      },
      { layout: 'single' },
    ],
    [
      'a wrong slice',
      ['audio_chunk_wrong', 'audio_hash_wrong'],
      async (key) => {
        const wav = await server.object(acme.name, key + '/audio.wav');
        wav.fill(0, 80 + 33_000, 80 + 34_000);
        await overwrite(`${key}/audio.wav`, wav);
      },
      { layout: 'both' },
    ],
    [
      'audio that is a film',
      ['audio_overlong', 'audio_chunk_wrong', 'audio_chunk_wrong', 'audio_chunk_wrong'],
      (key) => overwrite(`${key}/audio.wav`, Buffer.alloc(4e6)),
      { layout: 'single' },
    ],
  ];
  for (const [name, codes, damage, shape] of damages)
    await t.test(name, async (t) => {
      const prefix = `damage/${name.replaceAll(' ', '-')}`;
      const { url, key } = await stored(t, prefix, shape);
      await damage(`${prefix}/${key}`);
      const { code, codes: found } = await verify(url);
      t.equal(code, 1);
      t.same(found.sort(), [...codes].sort());
      t.equal((await merge(url, join(t.testdirName, 'never.wav'))).code, 2);
    });
});

await t.test('audio that ends early can be forced into a file, with silence for the rest', async (t) => {
  const { key, dir, pcm, url } = await stored(t, 'forced', { layout: 'single' });
  const wav = await server.object(acme.name, `forced/${key}/audio.wav`);
  await overwrite(`forced/${key}/audio.wav`, wav.subarray(0, 80 + 50_000));
  const output = join(dir, '..', 'merged.wav');
  t.equal((await merge(url, output, { force: true })).code, 0);
  const expected = wavOf(pcm, 8000, 2);
  expected.fill(0, 44 + 50_000);
  t.ok((await readFile(output)).equals(expected));
});

await t.test('a recording that is half in the bucket and half in the spool is one', async (t) => {
  const dir = t.testdir();
  const spool = join(dir, 'spool');
  const { folder, manifest } = await fabricateRecording(spool, { state: 'uploading' });
  const half = join(dir, 'half');
  await cp(spool, half, { recursive: true });
  const key = relative(spool, folder);
  for (const name of ['manifest.json', '2-audio.wav']) await rm(join(half, key, name));
  await upload(half, 'half');
  for (const name of ['0-audio.wav', '0-metadata.json']) await rm(join(folder, name));
  const store = `s3://${acme.name}/half`;
  for (const target of [manifest.recordingId, folder, spool, `${store}/${key}`, store]) {
    const { code, verdicts, codes } = await verify(target, { store, spool });
    t.same(codes, [], target);
    t.match({ code, count: verdicts.length }, { code: 0, count: 1 }, target);
  }
  t.equal((await verify(folder, { spool })).code, 1, 'the spool alone has only its half');
});

await t.test('a store that is busy for a moment is asked again', async (t) => {
  const { url, dir, pcm } = await stored(t, 'busy', { layout: 'both' });
  let refusals = 0;
  let requests = 0;
  const busy = createServer((request, response) => {
    // Every fifth request, whatever it is: a listing, a manifest, audio.
    if (++requests % 5 === 0 && refusals < 4) {
      refusals++;
      response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>');
      return;
    }
    const { method, headers, url: path } = request;
    const forwarded = ask(server.endpoint + (path ?? ''), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(forwarded);
  });
  busy.listen(0, '127.0.0.1');
  await once(busy, 'listening');
  t.teardown(() => busy.close());
  process.env['AWS_ENDPOINT_URL_S3'] = `http://127.0.0.1:${(busy.address() as AddressInfo).port}`;
  t.teardown(() => Reflect.deleteProperty(process.env, 'AWS_ENDPOINT_URL_S3'));
  t.match(await verify(url), { code: 0, codes: [] });
  const output = join(dir, 'merged.wav');
  t.match(await merge(url, output), { code: 0 });
  t.ok((await readFile(output)).equals(wavOf(pcm, 8000, 2)));
  t.equal(refusals, 4);
});

await t.test('a bucket that does not let one in, or is not there, gives 2 and its reason', async (t) => {
  const { url, manifest } = await stored(t, 'locked');
  t.match(await verify(`s3://${other.name}/x`), { code: 2, err: /^store_denied: / });
  t.match(await verify('s3://no-such-bucket'), { code: 2, err: /^store_denied: / });
  t.match(await verify(manifest.recordingId, { store: `s3://${other.name}` }), {
    code: 2,
    err: /^store_denied: /,
  });
  t.match(await verify(`s3://${acme.name}/nothing`), {
    code: 2,
    err: /^recording_unknown: .*No recording lies there/,
  });
  t.match(await verify('s3://Acme/x'), { code: 2, err: /^target_unsupported: .*name of a bucket/ });
  t.match(await verify('https://u:hush@x.example/?sig=hush'), { code: 2, err: /^target_unsupported: / });
  t.notMatch((await verify('https://u:hush@x.example/?sig=hush')).err, 'hush');
  t.equal((await verify(url)).code, 0);
});

await t.test('a configuration names the stores, and has the keys of its buckets', async (t) => {
  const { manifest, url } = await stored(t, 'known', { accountId: 'AC1' });
  const dir = t.testdir();
  const second = await fabricateRecording(join(dir, 'theirs'), { accountId: 'AC2', layout: 'single' });
  await upload(join(dir, 'theirs'), 'calls', other);
  const third = await fabricateRecording(join(dir, 'files'), { accountId: 'AC3' });
  const config = join(dir, 'reelay.json');
  const accounts = [
    { id: 'AC1', store: configured(acme, 'known') },
    { id: 'AC2', store: configured(other, 'calls') },
    { id: 'AC3', store: { type: 'file', dir: join(dir, 'files') } },
  ];
  await writeFile(config, JSON.stringify({ spool: { dir: join(dir, 'spool') }, accounts }));
  for (const { recordingId } of [manifest, second.manifest, third.manifest])
    t.match(await verify(recordingId, { config }), { code: 0, verdicts: [{ recordingId }] });
  t.match(await verify(`s3://${other.name}`, { config }), { code: 0, verdicts: [{ layout: 'single' }] });
  t.equal((await verify(url, { config })).code, 0);
  t.match(await verify('no-such-id', { config }), {
    code: 2,
    err: /^recording_unknown: .*acme-calls\/known.*other-calls/,
  });
  t.notMatch((await verify('no-such-id', { config })).err, 'secret');
  t.match(await verify('x', { config: join(dir, 'none.yaml') }), { code: 2, err: /^config_unreadable: / });
});

function configured(bucket: typeof acme, prefix: string) {
  const { type, bucket: name, endpoint } = storeOf(bucket, prefix);
  const { accessKeyId, secretAccessKey } = bucket;
  return { type, bucket: name, endpoint, prefix, accessKeyId, secretAccessKey };
}
