import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'node:http';
import { once } from 'node:events';
import t from 'tap';
import { wholeList } from '../fixtures/wholeList.js';
import { ApiBench } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';

const accounts = [
  { id: 'AC1', apiKeys: ['key-one'] },
  { id: 'AC2', apiKeys: ['key-two'] },
  { id: '*', apiKeys: ['key-any'] },
];

function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` };
}

await t.test('every key sees its own recordings on every route, and no other', async (t) => {
  const dir = t.testdir({});
  const recordings = new Map<string, string>();
  for (const accountId of ['AC1', 'AC2', 'AC9']) {
    const { manifest } = await fabricateRecording(join(dir, accountId === 'AC1' ? 'spool' : 'recordings'), {
      accountId,
      state: accountId === 'AC1' ? 'uploading' : 'complete',
      samplesPerChunk: 80,
    });
    recordings.set(accountId, manifest.recordingId);
  }
  const bench = await ApiBench.start(t, dir, { accounts, adminKeys: ['admin'] });
  bench.calls.take(
    wholeList(
      ['AC1', 'AC2', 'AC9'].map((accountId) => ({
        recordingId: recordings.get(accountId) ?? null,
        recording: 'running' as const,
        accountId,
        provider: 'twilio',
        callId: 'CA1',
        from: null,
        to: null,
        direction: null,
        startTime: new Date().toISOString(),
        streams: [],
        upstream: 'open' as const,
      })),
    ),
  );
  const owners = { 'key-one': ['AC1'], 'key-two': ['AC2'], 'key-any': ['AC9'], admin: ['AC1', 'AC2', 'AC9'] };
  for (const [key, mine] of Object.entries(owners)) {
    for (const [accountId, id] of recordings) {
      const expected = mine.includes(accountId) ? 200 : 404;
      for (const path of ['', '/audio.wav', '/chunks/0.wav', '/chunks/0.json']) {
        const response = await bench.get(`/v1/recordings/${id}${path}`, bearer(key));
        t.equal(response.status, expected, `${key} asks for ${accountId}${path}`);
        const body = await response.text();
        if (expected === 404) t.notMatch(body, new RegExp(accountId), 'the refusal tells nothing');
      }
    }
    const page = (await (await bench.get('/v1/recordings', bearer(key))).json()) as {
      recordings: { accountId: string }[];
    };
    t.strictSame(page.recordings.map(({ accountId }) => accountId).sort(), mine);
    const foreign = await bench.get('/v1/recordings?account=AC2', bearer(key));
    t.equal(foreign.status, mine.includes('AC2') ? 200 : 404);
    if (foreign.status === 200)
      t.equal(((await foreign.json()) as { recordings: unknown[] }).recordings.length, 1);
    const live = (await (await bench.get('/v1/calls', bearer(key))).json()) as {
      calls: { accountId: string }[];
    };
    t.strictSame(
      live.calls.map(({ accountId }) => accountId),
      mine,
    );
    t.equal((await bench.get('/metrics', bearer(key))).status, key === 'admin' ? 200 : 404);
  }
});

await t.test('without a key, or with a wrong one, nothing is told but health', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { accounts, adminKeys: ['admin'] });
  for (const path of [
    '/v1/calls',
    '/v1/recordings',
    '/v1/recordings/x',
    '/v1/recordings/x/audio.wav',
    '/metrics',
    '/nothing',
  ]) {
    for (const headers of [
      {},
      bearer('wrong'),
      bearer('admin2'),
      { authorization: 'Basic YWRtaW46YWRtaW4=' },
    ]) {
      const response = await bench.get(path, headers);
      t.equal(response.status, 401, path);
      t.equal(response.headers.get('www-authenticate'), 'Bearer realm="reelay"');
      t.match(await response.json(), { code: 'unauthorized', message: String, remedy: String });
    }
  }
  for (const path of ['/healthz', '/readyz']) t.equal((await bench.get(path)).status, 200);
});

await t.test(
  'without any configured key this machine is answered, and nobody who only seems to be on it',
  async (t) => {
    const bench = await ApiBench.start(t, t.testdir({}));
    const ask = async (headers: Record<string, string>) => {
      const asked = request(`${bench.url}/v1/calls`, { headers }).end();
      const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    const { port } = new URL(bench.url);
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`])
      t.equal(await ask({ host }), 200, host);
    for (const host of ['evil.example.com', `127.0.0.1.example.com:${port}`, '10.0.0.1'])
      t.equal(await ask({ host }), 401, host);
    for (const header of ['x-forwarded-for', 'x-real-ip', 'via'])
      t.equal(await ask({ [header]: '203.0.113.5' }), 401, 'a proxy’s guest is not this machine');
    t.equal(await ask({ origin: 'https://evil.example.com' }), 401, 'nor is a page from elsewhere');
    t.equal(await ask({ origin: `http://localhost:${port}` }), 200);
  },
);

await t.test('lists filter, turn pages and refuse what they do not understand', async (t) => {
  const dir = t.testdir({});
  const base = Date.UTC(2026, 10, 20);
  for (let hour = 0; hour < 5; hour++)
    await fabricateRecording(join(dir, 'recordings'), {
      chunks: 0,
      startMs: base + hour * 3_600_000,
      recordingId: `r${hour}`,
      callId: `CA${hour}`,
    });
  const bench = await ApiBench.start(t, dir);
  const ids = async (query: string) => {
    const page = (await (await bench.get(`/v1/recordings?${query}`)).json()) as {
      recordings: { recordingId: string }[];
      next: string | null;
    };
    return { ids: page.recordings.map(({ recordingId }) => recordingId), next: page.next };
  };
  t.strictSame(await ids(''), { ids: ['r4', 'r3', 'r2', 'r1', 'r0'], next: null });
  t.strictSame((await ids('callId=CA3')).ids, ['r3']);
  t.strictSame((await ids('state=failed')).ids, []);
  t.strictSame((await ids('from=2026-11-20T02:00:00Z&to=2026-11-20T05:00:00%2B01:00')).ids, ['r3', 'r2']);
  const first = await ids('limit=3');
  t.strictSame(first.ids, ['r4', 'r3', 'r2']);
  t.strictSame(await ids(`limit=3&cursor=${first.next ?? ''}`), { ids: ['r1', 'r0'], next: null });
  for (const query of ['limit=0', 'limit=1001', 'state=gone', 'from=yesterday', 'cursor=x', 'color=red']) {
    const response = await bench.get(`/v1/recordings?${query}`);
    t.equal(response.status, 400, query);
    t.match(await response.json(), { code: 'request_invalid', remedy: String });
  }
});

await t.test('live calls show how far their recording is', async (t) => {
  const dir = t.testdir({});
  const { manifest, folder } = await fabricateRecording(join(dir, 'spool'), {
    state: 'recording',
    chunks: 0,
  });
  const bench = await ApiBench.start(t, dir);
  const { recordingId, accountId, callId, startTime } = manifest;
  const about = {
    recordingId,
    accountId,
    provider: 'twilio',
    callId,
    from: null,
    to: null,
    direction: null,
    startTime,
  };
  bench.calls.take(wholeList([{ ...about, recording: 'running', streams: ['MZ1'], upstream: 'open' }]));
  bench.library.progressed({ recordingId, folder, samples: 12_000, peaks: [100, 32_768] });
  const answer = await (await bench.get('/v1/calls')).json();
  t.match(answer, {
    calls: [{ callId, samples: 12_000, seconds: 1.5, peaks: [100, 32_768], upstream: 'open' }],
  });
  const page = await (await bench.get('/v1/recordings')).json();
  t.match(page, { recordings: [{ recordingId, state: 'recording', samples: 12_000, durationSeconds: 1.5 }] });
});

await t.test('what a bucket says about another account’s recordings is not believed', async (t) => {
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(join(dir, 'one'), { accountId: 'AC2', samplesPerChunk: 80 });
  const bench = await ApiBench.start(t, dir, {
    accounts: [
      { id: 'AC1', store: { type: 'file', dir: join(dir, 'one') } },
      { id: 'AC2', store: { type: 'file', dir: join(dir, 'two') } },
    ],
  });
  t.equal((await bench.get(`/v1/recordings/${manifest.recordingId}`)).status, 404);
});

await t.test('metrics have names, kinds and what the media thread counted', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}));
  bench.counters.add('calls', 3);
  bench.counters.latency.to_bot.observe(0.07);
  bench.counters.latency.to_bot.observe(3000);
  bench.counters.addRefusal('overloaded');
  const text = await (await bench.get('/metrics')).text();
  for (const line of [
    'reelay_calls 3',
    '# TYPE reelay_calls gauge',
    '# TYPE reelay_tap_dropped_frames_total counter',
    '# TYPE reelay_relay_latency_seconds histogram',
    'reelay_relay_latency_seconds_bucket{direction="to_bot",le="0.000064"} 0',
    'reelay_relay_latency_seconds_bucket{direction="to_bot",le="0.00008"} 1',
    'reelay_relay_latency_seconds_bucket{direction="to_bot",le="1.048576"} 1',
    'reelay_relay_latency_seconds_bucket{direction="to_bot",le="+Inf"} 2',
    'reelay_relay_latency_seconds_sum{direction="to_bot"} 3.00007',
    'reelay_relay_latency_seconds_count{direction="to_bot"} 2',
    'reelay_relay_latency_seconds_count{direction="to_provider"} 0',
    'reelay_event_loop_delay_seconds_count{thread="media"} 0',
    'reelay_event_loop_delay_seconds_count{thread="frames"} 0',
    'reelay_gc_pause_seconds_count{thread="media",kind="major"} 0',
    'reelay_process_heap_bytes{thread="recorder"} 0',
    'reelay_overload_level 0',
    'reelay_refused_upgrades_total{reason="overloaded"} 1',
    'reelay_refused_upgrades_total{reason="draining"} 0',
    'reelay_tap_ring_capacity_bytes 0',
    'reelay_spool_bytes 12',
    'reelay_spool_free_bytes 64000',
    'reelay_spool_seconds_left +Inf',
    'reelay_unstored_recordings 0',
    'reelay_parked_accounts 0',
    'reelay_alerts_total{alert="spool_full"} 0',
    'reelay_recordings_failed_total{reason="no_store"} 0',
    'reelay_upload_failures_total{blame="account"} 0',
    'reelay_chunk_stored_seconds_count 0',
    'reelay_chunks_stored_total 0',
    'reelay_upload_retries_total 0',
    'reelay_oldest_unstored_chunk_seconds 0',
    'reelay_thread_ready{thread="recorder"} 1',
  ])
    t.ok(text.split('\n').includes(line), line);
  t.match(text, /^reelay_process_open_fds [1-9]/m);
  bench.spool = { ...bench.spool, rate: 32_000 };
  t.match(await (await bench.get('/metrics')).text(), /^reelay_spool_seconds_left 2$/m);
});

await t.test(
  'the daemon is ready when calls can be taken, and says what becomes of their recordings',
  async (t) => {
    const bench = await ApiBench.start(t, t.testdir({}), { adminKeys: ['admin'] });
    const ready = async () => {
      const answer = await bench.get('/readyz');
      return { status: answer.status, body: await answer.json() };
    };
    t.match(await ready(), { status: 200, body: { ready: true, recording: 'ready' } });
    for (const recorder of ['starting', 'restarting', 'blocked', 'stuck'] as const) {
      bench.threads = { ...bench.threads, recorder };
      t.match(await ready(), {
        status: 200,
        body: { ready: true, recording: recorder, threads: { recorder } },
      });
      t.match(
        await (await bench.get('/metrics', bearer('admin'))).text(),
        /^reelay_thread_ready{thread="recorder"} 0$/m,
      );
    }
    for (const media of ['draining', 'overloaded'] as const) {
      bench.threads = { media, recorder: 'ready', control: 'ready' };
      t.match(await ready(), { status: 503, body: { ready: false, status: media, recording: 'ready' } });
    }
  },
);

await t.test('faults exist only where they were allowed, and for admins alone', async (t) => {
  const post = (bench: ApiBench, key: string, body: unknown) =>
    fetch(`${bench.url}/v1/faults`, {
      method: 'POST',
      headers: { ...bearer(key), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const options = { accounts, adminKeys: ['admin'] };
  const closed = await ApiBench.start(t, t.testdir({}), options);
  t.equal((await post(closed, 'admin', { thread: 'control', fault: 'throw' })).status, 404);
  const open = await ApiBench.start(t, t.testdir({}), { ...options, faults: true });
  t.equal((await post(open, 'key-one', { thread: 'control', fault: 'throw' })).status, 404);
  t.equal((await post(open, 'admin', { thread: 'media', fault: 'throw' })).status, 400);
  t.strictSame(open.faults, []);
  t.equal((await post(open, 'admin', { thread: 'recorder', fault: 'hang' })).status, 202);
  await open.get('/healthz');
  t.strictSame(open.faults, [['recorder', 'hang']]);
});

await t.test('what is not a request of this API is refused in JSON', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { faults: true });
  t.match(await (await bench.get('/v2/nothing')).json(), { code: 'not_found', message: /GET \/v2\/nothing/ });
  t.equal((await bench.get('/v1/recordings', {}, 'DELETE')).status, 404);
  const broken = await fetch(`${bench.url}/v1/faults`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{',
  });
  t.equal(broken.status, 400);
  t.match(await broken.json(), { code: 'request_invalid' });
});

await t.test('the documentation lists exactly the metrics that exist', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}));
  const text = await (await bench.get('/metrics')).text();
  const shown = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  const listed = new Set((await readFile('docs/control-api.md', 'utf8')).match(/reelay_[a-z_]*[a-z]/g));
  t.strictSame([...listed].sort(), [...shown].sort());
});

await t.test('a key is good for what its scopes name', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), {
    faults: true,
    accounts: [{ id: 'AC1', apiKeys: [{ key: 'steers', scopes: ['control'] }] }],
    adminKeys: [
      { key: 'reads', scopes: ['read'] },
      { key: 'controls', scopes: ['control'] },
    ],
  });
  const fault = (key: string) =>
    fetch(`${bench.url}/v1/faults`, {
      method: 'POST',
      headers: { ...bearer(key), 'content-type': 'application/json' },
      body: JSON.stringify({ thread: 'recorder', fault: 'throw' }),
    });
  t.equal((await bench.get('/v1/recordings', bearer('reads'))).status, 200);
  const refused = await bench.get('/v1/recordings', bearer('controls'));
  t.equal(refused.status, 403);
  t.match(await refused.json(), { code: 'forbidden', remedy: /scopes have read/ });
  t.equal((await bench.get('/v1/calls', bearer('steers'))).status, 403);
  t.equal((await fault('reads')).status, 403);
  t.equal((await fault('steers')).status, 404, 'an account never learns of it');
  t.equal((await fault('controls')).status, 202);
});

await t.test('whoever tries keys is told to wait, and heard again only afterwards', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { adminKeys: ['admin'] });
  const statusFor = async (key: string) => (await bench.get('/v1/calls', bearer(key))).status;
  for (let at = 0; at < 19; at++) t.equal(await statusFor(`guess-${at}`), 401);
  for (let at = 0; at < 5; at++) t.equal(await statusFor('guess-1'), 401, 'the same one again');
  t.equal((await bench.get('/v1/calls')).status, 401, 'one without a key tries none');
  t.equal(await statusFor('admin'), 200);
  t.equal(await statusFor('guess-19'), 401);
  const barred = await bench.get('/v1/calls', bearer('admin'));
  t.equal(barred.status, 429, 'or guessing would go on');
  t.equal(barred.headers.get('retry-after'), '60');
  t.equal((await bench.get('/healthz')).status, 200);
});

await t.test('a link plays one recording to whoever has it, and nothing else', async (t) => {
  const dir = t.testdir({});
  const mine = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC1' });
  const other = await fabricateRecording(join(dir, 'recordings'), { accountId: 'AC2' });
  const bench = await ApiBench.start(t, dir, { accounts, adminKeys: ['admin'] });
  const linkOf = async (recordingId: string, key: string, body: object = {}) =>
    await fetch(`${bench.url}/v1/recordings/${recordingId}/links`, {
      method: 'POST',
      headers: { ...bearer(key), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  const { recordingId } = mine.manifest;
  t.equal((await linkOf(other.manifest.recordingId, 'key-one')).status, 404);
  t.equal((await linkOf(recordingId, 'key-one', { seconds: 0 })).status, 400);
  t.equal((await linkOf(recordingId, 'wrong')).status, 401);
  const made = await linkOf(recordingId, 'key-one', { seconds: 60 });
  t.equal(made.status, 201);
  const { path, expires } = (await made.json()) as { path: string; expires: string };
  t.ok(Math.abs(Date.parse(expires) - Date.now() - 60_000) < 10_000);
  const heard = await bench.get(path);
  t.equal(heard.status, 200);
  const own = await bench.get(`/v1/recordings/${recordingId}/audio.wav`, bearer('key-one'));
  t.ok(Buffer.from(await heard.arrayBuffer()).equals(Buffer.from(await own.arrayBuffer())));
  t.equal(
    (await bench.get(`${path}?channel=0&format=opus`)).headers.get('content-type'),
    'audio/ogg; codecs=opus',
  );
  t.equal((await bench.get(path.replace('audio.wav', 'waveform.json'))).status, 200);
  for (const name of ['', 'manifest.json', 'links', 'chunks/0.wav', 'chunks/0.json'])
    t.equal((await bench.get(path.replace('audio.wav', name))).status, 404, name);
  t.equal((await bench.get(path, {}, 'POST')).status, 404);
  t.equal((await bench.get('/v1/recordings')).status, 401);
});
