import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { v7 as uuidv7 } from 'uuid';
import { OtlpTraces } from '../../src/control/monitoring/OtlpTraces.js';
import { spanIdOf, traceEvents, traceIdOf } from '../../src/control/monitoring/RecordingTrace.js';
import { tracesFor } from '../../src/control/monitoring/Tracing.js';
import type { Manifest } from '../../src/spool/Manifest.js';
import { ApiBench } from '../fixtures/ApiBench.js';
import { freePort } from '../fixtures/freePort.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { TraceReceiver } from '../fixtures/TraceReceiver.js';

interface Line {
  readonly level: number;
  readonly msg: string;
}

function tracesTo(endpoint: string, lines: Line[] = [], headers = {}): OtlpTraces {
  const log = pino({}, { write: (line) => void lines.push(JSON.parse(line) as Line) });
  return new OtlpTraces({ endpoint, headers, serviceName: 'calls', log });
}

const recordingId = '01a1fb21-1111-7222-8333-444455556666';
const folder = `AC1/20261120/CA1/${recordingId}`;

async function manifestIn(dir: string, more: Partial<Manifest> = {}): Promise<Manifest> {
  const made = await fabricateRecording(dir, { accountId: 'AC1', callId: 'CA1', recordingId });
  return { ...made.manifest, ...more };
}

await t.test('a recording is a span with its chunks below it, in the trace of its id', async (t) => {
  const receiver = await TraceReceiver.start(t);
  const traces = tracesTo(receiver.url, [], { 'x-key': 'hush' });
  const manifest = await manifestIn(t.testdir({}), {
    from: '+4930123456',
    parameters: { who: 'parameter-of-somebody' },
    events: [
      { type: 'dtmf', sample: 0, digit: '7' },
      { type: 'paused', sample: 4000, mode: 'silence' },
      { type: 'resumed', sample: 8000 },
      { type: 'mark', sample: 9000, name: 'name-of-a-mark' },
    ],
    gaps: [{ channel: 0, startSample: 4000, samples: 4000, cause: 'paused' }],
  });
  const sealedMs = Date.now() - 1500;
  const failed = { folder, delayMs: 250.4, blame: 'transient', code: 'store_unavailable' } as const;
  const error = new Error('https://bucket.example/?sig=hush');
  traces.retrying({ ...failed, name: '1-audio.wav', error });
  traces.retrying({ ...failed, name: null, error });
  for (const index of [0, 1]) {
    traces.stored({ folder, kind: 'chunk', name: `${index}-audio.wav`, bytes: 32_044, sealedMs });
    traces.stored({ folder, kind: 'sidecar', name: `${index}-metadata.json`, bytes: 500, sealedMs: null });
  }
  traces.finished(manifest);
  await traces.stop();
  t.strictSame(traces.spans, { taken: 3, lost: 0 });
  t.equal(receiver.headers[0]?.['x-key'], 'hush');
  t.match(receiver.resources[0], { 'service.name': 'calls', 'service.version': /^\d/ });
  const traceId = recordingId.replaceAll('-', '');
  const [whole] = receiver.named('recording');
  const start = Date.parse(manifest.startTime);
  t.match(whole, {
    traceId,
    parentSpanId: undefined,
    startTimeUnixNano: start,
    status: { code: 0 },
    attributes: {
      'reelay.recording_id': recordingId,
      'reelay.call_id': 'CA1',
      'reelay.account_id': 'AC1',
      'reelay.provider': 'twilio',
      'reelay.state': 'complete',
      'reelay.chunks': 3,
      'reelay.gaps': 1,
    },
    events: [
      { name: 'paused', timeUnixNano: start + 500, attributes: { mode: 'silence' } },
      { name: 'gap', timeUnixNano: start + 500, attributes: { cause: 'paused', channel: 0, ms: 500 } },
      { name: 'resumed', timeUnixNano: start + 1000 },
      { name: 'ended' },
      { name: 'retry', attributes: { object: '', code: 'store_unavailable' } },
    ],
  });
  t.equal(whole?.events.length, 5);
  const chunks = receiver.named('store chunk');
  t.strictSame(
    chunks.map((chunk) => [chunk.traceId, chunk.parentSpanId, chunk.attributes['reelay.chunk']]),
    [0, 1].map((index) => [traceId, whole?.spanId, index]),
  );
  t.match(chunks[1], {
    startTimeUnixNano: sealedMs,
    attributes: { 'reelay.bytes': 32_044 },
    events: [{ name: 'retry', attributes: { code: 'store_unavailable', blame: 'transient', delayMs: 250 } }],
  });
  t.ok((chunks[1]?.endTimeUnixNano ?? 0) >= sealedMs + 1500);
  t.strictSame(chunks[0]?.events, []);
  t.notMatch(
    receiver.text,
    /hush|4930123456|parameter-of|name-of-a-mark|digit/,
    'nothing of the parties is in it',
  );
});

await t.test('what is told twice, or by another process, is the same span', async (t) => {
  const receiver = await TraceReceiver.start(t);
  const manifest = await manifestIn(t.testdir({}));
  for (let life = 0; life < 2; life++) {
    const traces = tracesTo(receiver.url);
    traces.stored({ folder, kind: 'chunk', name: '0-audio.wav', bytes: 1, sealedMs: 1000 });
    traces.finished(manifest);
    await traces.stop();
  }
  const ids = receiver.spans.map((span) => `${span.traceId} ${span.spanId}`);
  t.equal(ids.length, 4);
  t.equal(new Set(ids).size, 2);
});

await t.test('one that failed is an error, told once', async (t) => {
  const receiver = await TraceReceiver.start(t);
  const traces = tracesTo(receiver.url);
  const manifest = await manifestIn(t.testdir({}), { state: 'failed', reason: 'spool_full', chunks: [] });
  traces.failed(manifest);
  traces.finished(manifest);
  await traces.stop();
  t.equal(receiver.spans.length, 1);
  t.match(receiver.spans[0], {
    status: { code: 2, message: 'spool_full' },
    attributes: { 'reelay.reason': 'spool_full', 'reelay.state': 'failed' },
  });
});

await t.test('requests are spans with their route, and never what was asked', async (t) => {
  const receiver = await TraceReceiver.start(t);
  const traces = tracesTo(receiver.url);
  const dir = t.testdir({});
  const { manifest } = await fabricateRecording(`${dir}/recordings`, { accountId: 'AC1', recordingId });
  const accounts = [{ id: 'AC1', apiKeys: ['key-hush'] }];
  const bench = await ApiBench.start(t, dir, { accounts, traces });
  for (const path of [
    `/v1/recordings/${manifest.recordingId}?q=hush`,
    '/v1/recordings/someone-elses',
    '/v1/recordings?search=hush',
    '/nowhere/hush?x=hush',
    '/healthz',
  ])
    await (await bench.ask('GET', path, 'key-hush')).arrayBuffer();
  await bench.close();
  await traces.stop();
  t.strictSame(
    receiver.spans.map(
      ({ name, attributes: { 'http.route': route, 'http.response.status_code': status } }) => [
        name,
        route,
        status,
      ],
    ),
    [
      ['GET /v1/recordings/:id', '/v1/recordings/:id', 200],
      ['GET /v1/recordings/:id', '/v1/recordings/:id', 404],
      ['GET /v1/recordings', '/v1/recordings', 200],
      ['GET', undefined, 404],
    ],
  );
  t.ok(receiver.spans.every(({ kind }) => kind === 2));
  t.match(receiver.spans[0]?.links, [{ traceId: traceIdOf(recordingId), spanId: spanIdOf(recordingId) }]);
  t.strictSame(receiver.spans[1]?.links, [], 'what wasn’t got is linked to nothing');
  t.notMatch(receiver.text, /hush|someone/);
});

for (const trouble of ['refuses', 'breaks', 'is not there'] as const) {
  await t.test(`an endpoint that ${trouble} holds nothing up`, async (t) => {
    const receiver = await TraceReceiver.start(t);
    receiver.answer = (response) => {
      if (trouble === 'refuses') response.writeHead(400).end('hush');
      else response.destroy();
    };
    const lines: Line[] = [];
    const port = await freePort();
    const traces = tracesTo(trouble === 'is not there' ? `http://127.0.0.1:${port}/` : receiver.url, lines);
    const manifest = await manifestIn(t.testdir({}));
    for (let count = 0; count < 300; count++) traces.failed(manifest);
    await traces.stop();
    t.equal(traces.spans.taken, 0);
    if (trouble === 'breaks') t.ok(receiver.requests > 0);
    // What may pass is tried again, for longer than the end waits.
    if (trouble !== 'refuses') return;
    t.equal(traces.spans.lost, 300);
    t.strictSame(
      lines.map(({ level, msg }) => [level, msg]),
      [[40, 'traces are not taken by their endpoint']],
    );
    t.notMatch(JSON.stringify(lines), /hush/);
  });
}

await t.test('an endpoint that never answers holds nothing up, and memory is bounded', async (t) => {
  const receiver = await TraceReceiver.start(t);
  receiver.answer = () => undefined;
  const traces = tracesTo(receiver.url);
  const manifest = await manifestIn(t.testdir({}));
  for (let count = 0; count < 5000; count++) traces.failed(manifest);
  t.strictSame(traces.spans, { taken: 0, lost: 5000 - 2048 });
  await traces.stop();
  t.ok(receiver.requests > 0, 'it was asked');
});

await t.test('without an endpoint nothing of OpenTelemetry’s SDK is loaded', (t) => {
  const control = JSON.stringify(new URL('../../src/control/Control.js', import.meta.url).href);
  const tracing = JSON.stringify(new URL('../../src/control/monitoring/Tracing.js', import.meta.url).href);
  const script = `
    import { createRequire } from 'node:module';
    const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((path) => /@opentelemetry\\/(?!api\\/)/.test(path));
    await import(${control});
    const { tracesFor } = await import(${tracing});
    const before = loaded();
    await tracesFor({ endpoint: null, headers: {}, serviceName: 'x' }).stop();
    const none = loaded();
    await tracesFor({ endpoint: 'http://127.0.0.1:9/', headers: {}, serviceName: 'x' }).stop();
    console.log(JSON.stringify([before, none, loaded()]));
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: undefined },
    cwd: process.cwd(),
  });
  t.equal(stdout.trim(), '[false,false,true]', stderr);
  t.end();
});

await t.test('what happens while it is being loaded is told when it is', async (t) => {
  const receiver = await TraceReceiver.start(t);
  const tracing = { endpoint: receiver.url, headers: {}, serviceName: 'reelay' };
  const traces = tracesFor(tracing, pino({ level: 'silent' }));
  traces.failed(await manifestIn(t.testdir({})));
  traces.answered({ method: 'GET', route: '/v1/calls', status: 200, tookMs: 1, recordingId: null });
  await traces.stop();
  t.strictSame(
    receiver.spans.map(({ name }) => name),
    ['recording', 'GET /v1/calls'],
  );
});

await t.test('ids are as the specification wants them, whatever a recording is called', (t) => {
  t.equal(traceIdOf('01A1FB21-1111-7222-8333-444455556666'), '01a1fb21111172228333444455556666');
  const ids = fc.oneof(fc.string(), fc.uuid(), fc.constant('0'.repeat(32)), fc.constant(uuidv7()));
  fc.assert(
    fc.property(ids, fc.nat(), (id, chunk) => {
      const spans = [spanIdOf(id), spanIdOf(id, chunk)];
      return (
        /^(?!0+$)[0-9a-f]{32}$/.test(traceIdOf(id)) && spans.every((each) => /^[0-9a-f]{16}$/.test(each))
      );
    }),
  );
  t.end();
});

await t.test('a recording with thousands of gaps has a bounded number of events', async (t) => {
  const gaps = Array.from({ length: 5000 }, (_, at) => ({
    channel: 0,
    startSample: at,
    samples: 1,
    cause: 'lost_by_provider' as const,
  }));
  const events = traceEvents(await manifestIn(t.testdir({}), { gaps }));
  t.equal(events.length, 101);
  t.equal(events.at(-1)?.name, 'ended');
});
