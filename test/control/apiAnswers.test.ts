import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import t, { type Test } from 'tap';
import { FileStore } from '../../src/storage/FileStore.js';
import { ApiBench, livekitServer } from '../fixtures/ApiBench.js';
import { fabricateRecording } from '../fixtures/recording.js';
import { wholeList } from '../fixtures/wholeList.js';

/* The description is a document that tools can read, and what it says of answers is so. */

interface Response {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}
interface Document {
  readonly paths: Record<string, Record<string, { readonly responses: Record<string, Response> }>>;
}

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);

async function documentOf(bench: ApiBench): Promise<Document> {
  return (await (await bench.get('/openapi.json')).json()) as Document;
}

await t.test('the description is OpenAPI 3.1 and leaves no route out', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { adminKeys: ['admin'], faults: true });
  const document = await documentOf(bench);
  const validator = new Validator();
  const { valid, errors } = await validator.validate(
    structuredClone(document) as unknown as Record<string, unknown>,
  );
  t.match({ valid, errors }, { valid: true });
  t.equal(validator.version, '3.1');
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const registered = bench.routes.map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`);
  // Links are no part of the API: whoever has one has all of its path. Nor are the page's own files.
  const hidden = registered.filter((route) => !described.includes(route) && !/ \/(page\/.*)?$/.test(route));
  t.same([...new Set(hidden.map((route) => route.split(' ')[1]))], ['/shared/*']);
  t.same(
    described.filter((route) => !registered.includes(route)),
    [],
  );
});

/** Asks, and holds the answer against what the description says of its status. @returns the answer's ETag */
type Asker = (
  method: string,
  path: string,
  more?: { body?: unknown; headers?: Record<string, string> },
) => Promise<string>;

await t.test('every answer is of a status, a type and a shape that the description names', async (t) => {
  const { bench, ids } = await filledBench(t);
  const document = await documentOf(bench);
  const seen = new Set<string>();
  const ask: Asker = async (method, path, { body, headers = {} } = {}) => {
    const template = templateOf(document, path);
    const operation = document.paths[template]?.[method.toLowerCase()];
    const response = await fetch(bench.url + path, {
      method,
      headers: {
        authorization: 'Bearer admin',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
      redirect: 'manual',
    });
    const status = String(response.status);
    const said = operation?.responses[status] ?? operation?.responses['default'];
    seen.add(`${method} ${template} ${operation?.responses[status] === undefined ? 'default' : status}`);
    const problem = await problemOf(response, said);
    t.equal(problem, null, `${method} ${path} ${status}`);
    return response.headers.get('etag') ?? '';
  };
  await askEverything(bench, ask, ids);
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { responses }]) =>
      Object.keys(responses).map((status) => `${method.toUpperCase()} ${path} ${status}`),
    ),
  );
  // What is open to anybody and takes nothing has nothing to refuse.
  const never = ['/healthz', '/readyz', '/openapi.json'].map((path) => `GET ${path} default`);
  t.same(
    documented.filter(
      (each) => !seen.has(each) && !never.includes(each) && each !== 'DELETE /v1/session default',
    ),
    [],
    'every status that is documented was met',
  );
});

function templateOf({ paths }: Document, path: string): string {
  const [bare = ''] = path.split('?');
  const fits = Object.keys(paths).filter((each) =>
    new RegExp(`^${each.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(bare),
  );
  // The one with the fewest parameters is met first.
  return fits.sort((a, b) => a.split('{').length - b.split('{').length)[0] ?? '';
}

/** @returns null where nothing is wrong */
async function problemOf(response: globalThis.Response, said: Response | undefined): Promise<string | null> {
  if (said === undefined) return 'a status that nobody mentions';
  const text = await response.text();
  if (said.content === undefined) return text === '' ? null : `a body: ${text.slice(0, 100)}`;
  const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
  const content = said.content[type];
  if (content === undefined) return `of type ${type}`;
  // To HEAD there is no body, and no part of a schema.
  if (type !== 'application/json' || text === '') return null;
  const isRight = ajv.validate(content.schema, JSON.parse(text));
  return isRight ? null : ajv.errorsText();
}

interface Ids {
  readonly stored: string;
  readonly live: string;
  readonly begun: string;
  readonly failed: string;
  readonly event: string;
}

/** Signs as a bucket would. */
function signing(dir: string): FileStore {
  const presign = (key: string): Promise<string> =>
    Promise.resolve(`https://store.example/${key}?signature=1`);
  return Object.assign(new FileStore(dir), { presign });
}

async function filledBench(t: Test): Promise<{ bench: ApiBench; ids: Ids }> {
  const dir = t.testdir({});
  const gaps = [{ channel: 1, startSample: 100, samples: 50, cause: 'lost_by_provider' }] as const;
  const made = async (place: string, more: object) =>
    (await fabricateRecording(join(dir, place), { accountId: 'AC1', gaps, ...more })).manifest;
  const stored = await made('recordings', { layout: 'both' });
  await made('recordings', { state: 'interrupted', reason: 'process_lost' });
  const live = await made('spool', { state: 'recording', openSamples: 800 });
  const failed = await made('spool', { state: 'failed', reason: 'no_store', chunks: 0, gaps: [] });
  const bench = await ApiBench.start(t, dir, {
    accounts: [{ id: 'AC1', livekit: livekitServer, apiKeys: ['one', { key: 'reader', scopes: ['read'] }] }],
    adminKeys: ['admin'],
    faults: true,
    store: signing(join(dir, 'recordings')),
  });
  const call = (callId: string, recordingId: string | null) => ({
    recordingId,
    recording: recordingId === null ? ('awaited' as const) : ('running' as const),
    accountId: 'AC1',
    provider: 'twilio',
    callId,
    from: '+15550100',
    to: null,
    direction: 'inbound',
    startTime: new Date().toISOString(),
    streams: ['MZ1'],
    upstream: 'open' as const,
  });
  const calls = [call(live.callId, live.recordingId), call('CAbegun', 'begun'), call('CAwaiting', null)];
  bench.calls.take(wholeList(calls));
  bench.library.progressed({
    folder: `AC1/20261120/${live.callId}/${live.recordingId}`,
    recordingId: live.recordingId,
    samples: live.samples,
    peaks: [12, 32_768],
  });
  const event = `msg_${stored.recordingId}_completed`;
  const delivery = {
    endpoint: 'https://example.com/hook',
    accountId: 'AC1',
    recordingId: stored.recordingId,
  };
  for (const [eventId, state] of [
    [event, 'delivered'],
    [`${event}2`, 'waiting'],
  ] as const)
    await bench.catalogue.outbox.post([
      {
        ...delivery,
        eventId,
        state,
        type: 'recording.completed',
        sequence: 1,
        body: '{}',
        createdMs: 1,
        tries: 1,
        dueMs: 1,
        problem: null,
        isKept: false,
      },
    ]);
  const { recordingId } = stored;
  return {
    bench,
    ids: { stored: recordingId, live: live.recordingId, begun: 'begun', failed: failed.recordingId, event },
  };
}

async function askEverything(bench: ApiBench, ask: Asker, ids: Ids): Promise<void> {
  const path = (id: string, rest = ''): string => `/v1/recordings/${id}${rest}`;
  await ask('GET', '/healthz');
  await ask('GET', '/readyz');
  bench.threads = { media: 'draining', recorder: 'blocked', control: 'ready' };
  await ask('GET', '/readyz');
  await ask('GET', '/openapi.json');
  for (const [where, query] of Object.entries({
    '/metrics': '',
    '/v1/calls': '',
    '/v1/recordings': '?limit=1',
    '/v1/session': '',
    '/v1/system': '',
    '/v1/audit': '?account=AC1&day=20261120',
  })) {
    await ask('GET', where + query);
    await ask('GET', where, { headers: { authorization: 'Bearer wrong' } });
  }
  await askAudio(ask, ids, path);
  await ask('GET', path(ids.stored, '/bundle'));
  await ask('GET', path('nothing', '/bundle'));
  for (const id of [ids.stored, ids.live, ids.begun, ids.failed, 'nothing'])
    for (const method of ['GET', 'HEAD']) await ask(method, path(id));
  for (const deed of ['pause', 'resume', 'stop']) {
    bench.answer = { recordingId: ids.live, recording: 'paused' };
    await ask('POST', path(ids.live, `/${deed}`));
    bench.answer = { code: 'recording_not_live', value: 'stopped' };
    await ask('POST', path(ids.live, `/${deed}`), { body: {} });
  }
  bench.answer = { recordingId: 'r9', recording: 'running' };
  await ask('POST', '/v1/calls/CAwaiting/record');
  await ask('POST', '/v1/calls/nothing/record');
  for (const isNew of [true, false]) {
    bench.rooms = () => Promise.resolve({ recordingId: 'r10', callId: 'RM_1', recording: 'running', isNew });
    await ask('POST', '/v1/livekit/rooms/support/record');
  }
  bench.rooms = null;
  await ask('POST', '/v1/livekit/rooms/support/record', { body: { account: 'AC1' } });
  await ask('POST', path(ids.stored, '/links'), { body: { seconds: 60 } });
  await ask('POST', path(ids.stored, '/links'), { body: { seconds: 0 } });
  await ask('GET', path(ids.stored, '/events'));
  await ask('GET', path('nothing', '/events'));
  await ask('POST', path(ids.stored, '/events/replay'));
  await ask('POST', path('nothing', '/events/replay'));
  await ask('POST', path(ids.stored, `/events/${ids.event}/replay`));
  await ask('POST', path(ids.stored, '/events/nothing/replay'));
  await ask('GET', path(ids.stored, '/hold'));
  await ask('PUT', path(ids.stored, '/hold'), { body: { note: 'case 12' } });
  await ask('PUT', path(ids.stored, '/hold'), { body: { note: 12 } });
  await ask('GET', path(ids.stored, '/hold'));
  await ask('DELETE', path(ids.stored));
  await ask('DELETE', path(ids.stored, '/hold'));
  await ask('DELETE', path('nothing', '/hold'));
  await ask('DELETE', path(ids.stored));
  await ask('GET', path(ids.stored));
  await bench.audit.store();
  const day = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  await ask('GET', `/v1/audit?account=AC1&day=${day}`);
  await ask('POST', '/v1/session', { body: { key: 'one' } });
  await ask('POST', '/v1/session', { body: { key: 'wrong too' } });
  await ask('DELETE', '/v1/session');
  await ask('POST', '/v1/faults', { body: { thread: 'recorder', fault: 'throw' } });
  await ask('POST', '/v1/faults', { body: {} });
}

async function askAudio(ask: Asker, ids: Ids, path: (id: string, rest: string) => string): Promise<void> {
  for (const method of ['GET', 'HEAD']) {
    for (const name of ['audio.wav', 'waveform.json', 'waveform.dat', 'segments.json']) {
      const etag = await ask(method, path(ids.stored, `/${name}`));
      await ask(method, path(ids.stored, `/${name}`), { headers: { 'if-none-match': etag } });
      for (const id of [ids.live, ids.begun, ids.failed, 'nothing']) await ask(method, path(id, `/${name}`));
    }
    for (const query of [
      'format=opus',
      'format=mp3',
      'channel=0&from=1s',
      'channel=7',
      'from=1e9',
      'from=99999s',
    ])
      await ask(method, path(ids.stored, `/audio.wav?${query}`));
    for (const name of ['audio.wav', 'chunks/0.wav'])
      await ask(method, path(ids.stored, `/${name}?direct=true`));
    const ranged = { headers: { range: 'bytes=0-43' } };
    await ask(method, path(ids.stored, '/audio.wav'), ranged);
    await ask(method, path(ids.live, '/audio.wav'), { headers: { range: 'bytes=99999999-' } });
    const etag = await ask(method, path(ids.stored, '/chunks/0.wav'));
    await ask(method, path(ids.stored, '/chunks/0.wav'), { headers: { 'if-none-match': etag } });
    await ask(method, path(ids.stored, '/chunks/0.wav'), ranged);
    for (const name of ['0.json', '99.wav', 'x']) await ask(method, path(ids.stored, `/chunks/${name}`));
    for (const id of [ids.live, ids.begun]) await ask(method, path(id, '/chunks/99.wav'));
  }
}
