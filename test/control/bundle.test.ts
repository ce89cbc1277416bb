import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Delivery } from '../../src/catalogue/Delivery.js';
import { ApiBench } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { wholeList } from '../fixtures/wholeList.js';
import { MemoryStore } from '../storage/fixtures/MemoryStore.js';

const accounts = [
  { id: 'AC1', apiKeys: ['one', { key: 'deleter', scopes: ['delete'] }] },
  { id: 'AC2', apiKeys: ['two'] },
];

interface Bundle {
  readonly recordingId: string;
  readonly manifest: Record<string, unknown> | null;
  readonly findings: { code: string; where: string }[] | null;
  readonly problems: { part: string; code: string }[];
  readonly sidecars: { index: number }[] | null;
  readonly lines: Record<string, unknown>[] | null;
  readonly [part: string]: unknown;
}

async function bundleOf(t: Test, bench: ApiBench, recordingId: string, key = 'one'): Promise<Bundle> {
  const response = await bench.ask('GET', `/v1/recordings/${recordingId}/bundle`, key);
  t.equal(response.status, 200);
  return (await response.json()) as Bundle;
}

function delivery(recordingId: string): Delivery {
  return {
    eventId: `msg_${recordingId}_started`,
    endpoint: 'https://user.example/path-hush?key=hush',
    accountId: 'AC1',
    recordingId,
    type: 'recording.started',
    sequence: 0,
    body: '{"type":"recording.started","data":{"from":"+15550199"}}',
    createdMs: 1000,
    state: 'givenUp',
    tries: 7,
    dueMs: 2000,
    problem: 'it answered 500',
    isKept: true,
  };
}

await t.test('a bundle is everything that is known of a recording, in one document', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const { recordingId, callId } = manifest;
  const bench = await ApiBench.start(t, dir, { accounts, adminKeys: ['admin'] });
  await bench.catalogue.outbox.post([delivery(recordingId), { ...delivery('r9'), recordingId: 'r9' }]);
  const said = (thread: string, more = {}): string =>
    `${JSON.stringify({ level: 40, time: 5000, thread, callId, recordingId, provider: 'twilio', ...more })}\n`;
  const err = { type: 'Error', message: 'at https://s3.example/x?sig=hush', stack: 'Error\n at x.js:1' };
  bench.callLog.take([said('media'), said('recorder'), said('control', { err })]);
  await bench.ask('PUT', `/v1/recordings/${recordingId}/hold`, 'one', { note: 'a trial' });
  const response = await bench.ask('GET', `/v1/recordings/${recordingId}/bundle`, 'one');
  t.equal(response.headers.get('content-disposition'), `attachment; filename="reelay-${recordingId}.json"`);
  const text = await response.text();
  t.notMatch(text, /hush/, 'no secret is in it');
  t.notMatch(text, /15550199/);
  const bundle = JSON.parse(text) as Bundle;
  t.match(bundle, {
    schema: 1,
    recordingId,
    daemon: { version: /^\d+\./, readiness: { ready: true, threads: { recorder: 'ready' } } },
    recording: { callId, state: 'complete' },
    call: null,
    tombstone: null,
    hold: { note: 'a trial' },
    findings: [],
    problems: [],
    log: { lines: 3, leftOut: 0, lost: { media: 0 }, keptSince: '1970-01-01T00:00:05.000Z' },
    deliveries: [{ endpoint: 'user.example', state: 'givenUp', tries: 7, problem: 'it answered 500' }],
  });
  t.strictSame(bundle.manifest, JSON.parse(JSON.stringify(manifest)));
  t.strictSame(
    bundle.sidecars?.map(({ index }) => index),
    [0, 1, 2],
  );
  t.strictSame(
    bundle.lines?.map(({ thread }) => thread),
    ['media', 'recorder', 'control'],
  );
  t.match(bundle.lines?.at(-1), { err: { message: 'at https://s3.example/x?…', stack: undefined } });
  t.equal(text.split('\n').filter((each) => each.includes('"thread":"')).length, 3, 'a line each');
  t.match((await bundleOf(t, bench, recordingId, 'admin')).lines?.at(-1), { err: { stack: String } });
});

await t.test('it is its account’s alone', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const bench = await ApiBench.start(t, dir, { accounts, adminKeys: ['admin'] });
  const path = `/v1/recordings/${manifest.recordingId}`;
  for (const [key, status] of [
    ['two', 404],
    ['deleter', 403],
    ['wrong', 401],
    ['one', 200],
    ['admin', 200],
  ] as const)
    t.equal((await bench.ask('GET', `${path}/bundle`, key)).status, status, key);
  t.equal((await bench.ask('GET', '/v1/recordings/nothing/bundle', 'one')).status, 404);
  const link = await bench.ask('POST', `${path}/links`, 'one');
  const shared = ((await link.json()) as { path: string }).path.replace('audio.wav', 'bundle');
  t.equal((await bench.ask('GET', shared)).status, 404);
});

await t.test('of a recording that was deleted there is what is left', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const { recordingId } = manifest;
  const bench = await ApiBench.start(t, dir, { accounts });
  bench.callLog.take([`${JSON.stringify({ time: 1, recordingId, msg: 'recording stored' })}\n`]);
  await bench.ask('DELETE', `/v1/recordings/${recordingId}`, 'one');
  t.match(await bundleOf(t, bench, recordingId), {
    recording: null,
    manifest: null,
    sidecars: null,
    tombstone: { recordingId, cause: 'request' },
    lines: [{ msg: 'recording stored' }],
    problems: [],
  });
  t.equal((await bench.ask('GET', `/v1/recordings/${recordingId}/bundle`, 'two')).status, 404);
});

await t.test('a call that is up, and one of which nothing is kept, have one', async (t) => {
  const dir = t.testdir({});
  const live = await fabricateRecording(join(dir, 'spool'), {
    accountId: 'AC1',
    state: 'recording',
    chunks: 2,
    openSamples: 4000,
  });
  const failed = await fabricateRecording(join(dir, 'spool'), {
    accountId: 'AC1',
    state: 'failed',
    reason: 'no_store',
    chunks: 0,
  });
  const bench = await ApiBench.start(t, dir, { accounts });
  const { recordingId, callId, accountId, startTime } = live.manifest;
  const nobody = { from: null, to: null, direction: null, startTime, streams: [], upstream: 'open' as const };
  const call = { recording: 'running' as const, accountId, provider: 'twilio', callId, ...nobody };
  bench.calls.take(
    wholeList([
      { ...call, recordingId },
      { ...call, recordingId: 'r1' },
    ]),
  );
  const bundle = await bundleOf(t, bench, recordingId);
  t.match(bundle, { call: { callId, upstream: 'open' }, manifest: { state: 'recording' } });
  t.match(bundle.findings, [{ code: 'not_finished' }]);
  t.match(bundle['files'], [{ place: 'spool', name: '0-audio.wav', bytes: 32_044 }]);
  t.match(await bundleOf(t, bench, failed.manifest.recordingId), {
    manifest: { state: 'failed', reason: 'no_store' },
    findings: [{ code: 'failed' }],
  });
  t.match(
    await bundleOf(t, bench, 'r1'),
    { recording: null, manifest: null, call: { callId } },
    'not yet begun',
  );
});

await t.test('what is wrong with the files is found without reading audio', async (t) => {
  const dir = t.testdir({});
  const { manifest, folder } = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const whole = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1', layout: 'single' });
  const bench = await ApiBench.start(t, dir, { accounts });
  t.strictSame((await bundleOf(t, bench, whole.manifest.recordingId)).findings, []);
  await rm(join(folder, '0-audio.wav'));
  await truncate(join(folder, '1-audio.wav'), 100);
  await rm(join(folder, '2-metadata.json'));
  await truncate(join(whole.folder, 'audio.wav'), 100);
  const found = async (recordingId: string): Promise<string[] | undefined> =>
    (await bundleOf(t, bench, recordingId)).findings?.map(({ code, where }) => `${code} ${where}`);
  t.strictSame(await found(manifest.recordingId), [
    'chunk_missing 0-audio.wav',
    'wav_truncated 1-audio.wav',
    'sidecar_missing 2-metadata.json',
  ]);
  t.strictSame(await found(whole.manifest.recordingId), ['audio_truncated audio.wav']);
});

await t.test('what can’t be had now is named, and the rest is there', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'spool'), { accountId: 'AC1', state: 'uploading' });
  const store = new MemoryStore();
  // eslint-disable-next-line require-yield
  store.list = async function* () {
    await Promise.resolve();
    throw new Error('hush');
  };
  const bench = await ApiBench.start(t, dir, { accounts: [], store });
  const bundle = await bundleOf(t, bench, manifest.recordingId);
  t.match(bundle.problems, [{ part: 'files', code: 'internal' }]);
  t.notMatch(JSON.stringify(bundle), /hush/);
  t.match(bundle, { files: null, findings: null, manifest: { state: 'uploading' } });
  t.equal(bundle.sidecars?.length, 3);
});

await t.test(
  'a tombstone that another account has made up opens nothing of the one whose it is',
  async (t) => {
    const dir = t.testdir({});
    const bench = await ApiBench.start(t, dir, { accounts });
    const startTime = '2026-11-20T12:00:00.000Z';
    const of = { accountId: 'AC2', provider: 'twilio', from: null, to: '+15550199', direction: null };
    const state = { recording: 'running', upstream: 'open', streams: [] } as const;
    bench.calls.take(wholeList([{ ...of, ...state, recordingId: 'r1', callId: 'CA1', startTime }]));
    await bench.catalogue.outbox.post([{ ...delivery('r1'), accountId: 'AC2' }]);
    const line = {
      level: 40,
      time: 5000,
      thread: 'media',
      callId: 'CA1',
      recordingId: 'r1',
      provider: 'twilio',
    };
    bench.callLog.take([`${JSON.stringify({ ...line, accountId: 'AC2', msg: 'theirs' })}\n`]);
    const said = { recordingId: 'r1', accountId: 'AC1', callId: 'CA1', startTime, deletedTime: startTime };
    await bench.catalogue.bury({ ...said, cause: 'request', by: 'AC1' });
    const bundle = await bundleOf(t, bench, 'r1');
    t.match(bundle, { tombstone: { accountId: 'AC1' }, call: null });
    t.same([bundle['deliveries'], bundle.lines, bundle.problems], [[], [], []]);
    t.notMatch(JSON.stringify(bundle), /AC2|15550199|theirs/);
    t.match(await bundleOf(t, bench, 'r1', 'two'), {
      tombstone: null,
      call: { callId: 'CA1' },
      deliveries: [{ state: 'givenUp' }],
      lines: [{ msg: 'theirs' }],
    });
    t.equal(
      (await bench.ask('GET', '/v1/recordings/r1', 'two')).status,
      202,
      'nor is it told that it was deleted',
    );
  },
);
