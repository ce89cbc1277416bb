import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import t from 'tap';
import { runVerify, type Verdict, type VerifyOptions } from '../../src/cli/verify.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { S3Store } from '../../src/storage/S3Store.js';
import { fabricateRecording, type FabricatedRecording } from '../fixtures/recording.js';
import { S3Server } from '../storage/fixtures/S3Server.js';

/* What `reelay verify` is for: each damage is found wherever the recording is looked at, and told to people and machines alike. */

const bucket = { name: 'acme-calls', accessKeyId: 'ACME', secretAccessKey: 'acme-secret' };
const server = await S3Server.start({ buckets: [bucket] });
t.teardown(() => server.close());
for (const name of Object.keys(process.env))
  if (name.startsWith('AWS_')) Reflect.deleteProperty(process.env, name);
Object.assign(process.env, {
  AWS_ENDPOINT_URL: server.endpoint,
  AWS_ACCESS_KEY_ID: bucket.accessKeyId,
  AWS_SECRET_ACCESS_KEY: bucket.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
});

type Damage = (made: FabricatedRecording) => Promise<void>;

const damages: Readonly<
  Record<string, { readonly finding: string; readonly where: string; readonly do: Damage }>
> = {
  'a flipped bit': {
    finding: 'chunk_hash_wrong',
    where: '1-audio.wav',
    do: async ({ folder }) => {
      const wav = await readFile(join(folder, '1-audio.wav'));
      wav[20_000] = (wav[20_000] ?? 0) ^ 1;
      await writeFile(join(folder, '1-audio.wav'), wav);
    },
  },
  'a missing chunk': {
    finding: 'chunk_missing',
    where: '1-audio.wav',
    do: async ({ folder }) => await rm(join(folder, '1-audio.wav')),
  },
  'a swapped chunk': {
    finding: 'chunk_swapped',
    where: '0-audio.wav',
    do: async ({ folder }) => {
      await rename(join(folder, '0-audio.wav'), join(folder, 'aside'));
      await rename(join(folder, '1-audio.wav'), join(folder, '0-audio.wav'));
      await rename(join(folder, 'aside'), join(folder, '1-audio.wav'));
    },
  },
  'a truncated WAV': {
    finding: 'wav_truncated',
    where: '2-audio.wav',
    do: async ({ folder }) => await truncate(join(folder, '2-audio.wav'), 20_000),
  },
  'an edited sidecar': {
    finding: 'sidecar_hash_wrong',
    where: '1-metadata.json',
    do: async ({ folder }) => {
      const file = join(folder, '1-metadata.json');
      await writeFile(file, (await readFile(file, 'utf8')).replace('"callId": "CA', '"callId": "CB'));
    },
  },
  // Its end is gone from every file, without a trace but the time at which the call ended.
  'a shortened call': {
    finding: 'duration_wrong',
    where: 'manifest.json',
    do: async ({ folder, manifest }) => {
      const chunks = manifest.chunks.slice(0, -1);
      const samples = chunks.reduce((sum, chunk) => sum + chunk.samples, 0);
      const shorter: Manifest = {
        ...manifest,
        chunks,
        samples,
        durationSeconds: samples / manifest.sampleRate,
      };
      await writeFile(join(folder, 'manifest.json'), JSON.stringify(shorter));
      for (const name of ['2-audio.wav', '2-metadata.json']) await rm(join(folder, name));
    },
  },
};

async function run(target: string, options: Partial<VerifyOptions>) {
  let out = '';
  const code = await runVerify(
    target,
    { store: '/nowhere', spool: '/nowhere', ...options },
    { write: (text) => (out += text) },
    { write: (text) => (out += text) },
  );
  return { code, out };
}

async function upload(dir: string, prefix: string): Promise<void> {
  const { name, accessKeyId, secretAccessKey } = bucket;
  const store = new S3Store({
    type: 's3',
    bucket: name,
    region: null,
    endpoint: server.endpoint,
    prefix,
    pathStyle: true,
    credentials: { accessKeyId, secretAccessKey, sessionToken: null },
    storageClass: null,
    encryption: null,
    tags: {},
  });
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

/** The same recording, wherever it may be looked at. */
async function placesOf(dir: string, name: string, { folder, manifest }: FabricatedRecording) {
  const prefix = name.replaceAll(' ', '-');
  await upload(dir, prefix);
  const spool = join(dirname(dir), 'spool');
  await cp(dir, spool, { recursive: true });
  const url = `s3://${bucket.name}/${prefix}`;
  return [
    { place: 'its folder', target: folder, options: {} },
    { place: 'a store’s folder', target: dir, options: {} },
    { place: 'its id, in a store', target: manifest.recordingId, options: { store: dir } },
    { place: 'its call’s id, in a spool', target: manifest.callId, options: { spool } },
    { place: 'a bucket', target: url, options: {} },
    { place: 'its id, in a bucket', target: manifest.recordingId, options: { store: url } },
  ];
}

await t.test('what nobody touched is whole, wherever it is looked at', async (t) => {
  const dir = join(t.testdir({}), 'store');
  const made = await fabricateRecording(dir);
  for (const { place, target, options } of await placesOf(dir, 'whole', made))
    t.match(await run(target, options), { code: 0, out: / whole\n/ }, place);
});

for (const [name, { finding, where, do: damage }] of Object.entries(damages))
  await t.test(`${name} is found`, async (t) => {
    const dir = join(t.testdir({}), 'store');
    const made = await fabricateRecording(dir);
    await damage(made);
    for (const { place, target, options } of await placesOf(dir, name, made)) {
      const table = await run(target, options);
      t.equal(table.code, 1, place);
      t.match(table.out, new RegExp(`${made.manifest.recordingId} +${where} +${finding} `), place);
      const { code, out } = await run(target, { ...options, json: true });
      t.equal(code, 1, place);
      const [verdict] = JSON.parse(out) as Verdict[];
      t.equal(verdict?.whole, false);
      t.ok(
        verdict?.findings.some((each) => each.code === finding && each.where === where),
        `${place}: ${JSON.stringify(verdict?.findings)}`,
      );
    }
  });
