import { spawnSync } from 'node:child_process';
import { cp, rm, truncate } from 'node:fs/promises';
import { join, relative } from 'node:path';
import t from 'tap';
import { runVerify, type Verdict, type VerifyOptions } from '../../src/cli/verify.js';
import { fabricateRecording } from '../fixtures/recording.js';

async function run(target: string, options: Partial<VerifyOptions> = {}) {
  let out = '';
  let err = '';
  const code = await runVerify(
    target,
    { store: '/nowhere', spool: '/nowhere', ...options },
    { write: (text) => (out += text) },
    { write: (text) => (err += text) },
  );
  return { code, out, err };
}

/** Runs the command in a process of its own, as the shell sees it. */
function shell(...args: string[]) {
  const module = new URL('../../src/cli/verify.js', import.meta.url).href;
  const script = `const { verifyCommand } = await import(${JSON.stringify(module)}); await verifyCommand().parseAsync();`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', script, '--', ...args], {
    encoding: 'utf8',
  });
}

await t.test('a whole recording gives 0 and one line', async (t) => {
  const { folder, manifest } = await fabricateRecording(t.testdir());
  const { code, out } = await run(folder);
  t.equal(code, 0);
  t.match(out, new RegExp(`${manifest.recordingId} +complete +3\\.000 +3 +100 % / 100 % +0 +whole\n$`));
});

await t.test('an interrupted recording is whole as far as it goes and says so', async (t) => {
  const { folder } = await fabricateRecording(t.testdir(), { state: 'interrupted', reason: 'process_lost' });
  const { code, out } = await run(folder);
  t.equal(code, 0);
  t.match(out, /interrupted .* whole as far as it goes/);
});

await t.test('a completeness below 100 % is never rounded up to it', async (t) => {
  const gaps = [{ channel: 1, startSample: 0, samples: 1, cause: 'lost_by_provider' }] as const;
  const { folder } = await fabricateRecording(t.testdir(), { samplesPerChunk: 480_000, gaps });
  const { code, out } = await run(folder);
  t.equal(code, 0);
  t.match(out, / 100 % \/ 99\.999 % +1 /);
});

await t.test('a damaged recording among others gives 1 and a table of findings', async (t) => {
  const dir = t.testdir();
  await fabricateRecording(dir);
  const { folder, manifest } = await fabricateRecording(dir);
  await truncate(join(folder, '1-audio.wav'), 100);
  await rm(join(folder, '2-metadata.json'));
  const { code, out } = await run(dir);
  t.equal(code, 1);
  t.match(out, /complete .* whole\n/);
  t.match(out, / 2 findings\n/);
  t.match(
    out,
    new RegExp(`${manifest.recordingId} +1-audio.wav +wav_truncated +.*100 bytes instead of 32044`),
  );
  t.match(out, / 2-metadata.json +sidecar_missing +A chunk has no sidecar\n/);
});

await t.test('an id is found in the store and in the spool', async (t) => {
  const store = t.testdir();
  const { manifest } = await fabricateRecording(store);
  t.equal((await run(manifest.recordingId, { store })).code, 0);
  t.equal((await run(manifest.callId, { spool: store })).code, 0);
});

await t.test(
  'a recording that is half uploaded is whole, from either side; a copy with half of it is not',
  async (t) => {
    const dir = t.testdir({ store: {}, spool: {}, copy: {} });
    const roots = { store: join(dir, 'store'), spool: join(dir, 'spool') };
    const { folder, manifest } = await fabricateRecording(roots.spool, { state: 'uploading' });
    await cp(roots.spool, roots.store, { recursive: true });
    const stored = join(roots.store, relative(roots.spool, folder));
    await rm(join(stored, 'manifest.json'));
    await rm(join(stored, '2-audio.wav'));
    await rm(join(folder, '0-audio.wav'));
    for (const target of [roots.store, roots.spool, folder, stored, dir, manifest.recordingId]) {
      const { code, out } = await run(target, roots);
      t.equal(code, 0, target);
      t.equal(out.split('\n').length, 3, 'one recording');
    }
    await cp(roots.spool, join(dir, 'copy'), { recursive: true });
    t.match(await run(join(dir, 'copy'), roots), { code: 1, out: /chunk_missing/ });
  },
);

await t.test('JSON holds the same verdicts', async (t) => {
  const { folder, manifest } = await fabricateRecording(t.testdir(), {
    state: 'failed',
    reason: 'no_store',
    chunks: 0,
  });
  const { code, out } = await run(folder, { json: true });
  const [verdict] = JSON.parse(out) as Verdict[];
  t.equal(code, 1);
  t.match(verdict, { recordingId: manifest.recordingId, state: 'failed', reason: 'no_store', whole: false });
  t.match(verdict?.findings, [{ code: 'failed', where: 'manifest.json', detail: 'no_store' }]);
});

await t.test('what cannot be looked at gives 2 and a line with a code', async (t) => {
  const unknown = await run('no-such-recording');
  t.equal(unknown.code, 2);
  t.match(unknown.err, /^recording_unknown: .*no-such-recording.*--store.*\n$/);
  const empty = await run(t.testdir());
  t.equal(empty.code, 2);
  t.match(empty.err, /No recording lies there/);
});

await t.test('the shell gets the exit codes', async (t) => {
  const { folder } = await fabricateRecording(t.testdir());
  t.equal(shell(folder).status, 0);
  await rm(join(folder, '0-audio.wav'));
  t.equal(shell(folder).status, 1);
  t.match(shell(), { status: 2, stderr: /missing required argument/ });
  t.match(shell('gs://bucket/prefix'), { status: 2, stderr: /^target_unsupported: .*Give a folder or s3:/ });
  t.match(shell(folder, '--store', 's3://B'), {
    status: 2,
    stderr: /its bucket must be the name of a bucket/,
  });
  t.equal(shell('--help').status, 0);
});
