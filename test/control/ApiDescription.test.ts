import t from 'tap';
import { ApiBench } from '../fixtures/ApiBench.js';

interface Operation {
  readonly summary?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly schema: { readonly type?: string };
  }[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Record<string, { readonly schema: Record<string, unknown> }>;
  };
  readonly responses: Record<string, unknown>;
  readonly security?: readonly unknown[];
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Record<string, Record<string, Operation>>;
}

await t.test('the description has every route, with what it takes and gives', async (t) => {
  const bench = await ApiBench.start(t, t.testdir({}), { adminKeys: ['admin'], faults: true });
  const answer = await bench.get('/openapi.json');
  t.equal(answer.status, 200, 'anybody may read it');
  const { openapi, paths } = (await answer.json()) as Document;
  t.equal(openapi, '3.1.0');
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
  );
  t.same(
    operations
      .filter(({ name }) => !name.startsWith('head '))
      .map(({ name }) => name)
      .sort(),
    [
      'delete /v1/recordings/{id}',
      'delete /v1/recordings/{id}/hold',
      'delete /v1/session',
      'get /healthz',
      'get /metrics',
      'get /openapi.json',
      'get /readyz',
      'get /v1/audit',
      'get /v1/calls',
      'get /v1/recordings',
      'get /v1/recordings/{id}',
      'get /v1/recordings/{id}/audio.wav',
      'get /v1/recordings/{id}/bundle',
      'get /v1/recordings/{id}/chunks/{file}',
      'get /v1/recordings/{id}/events',
      'get /v1/recordings/{id}/hold',
      'get /v1/recordings/{id}/segments.json',
      'get /v1/recordings/{id}/waveform.dat',
      'get /v1/recordings/{id}/waveform.json',
      'get /v1/session',
      'get /v1/system',
      'post /v1/calls/{callId}/record',
      'post /v1/faults',
      'post /v1/livekit/rooms/{name}/record',
      'post /v1/recordings/{id}/events/replay',
      'post /v1/recordings/{id}/events/{eventId}/replay',
      'post /v1/recordings/{id}/links',
      'post /v1/recordings/{id}/pause',
      'post /v1/recordings/{id}/resume',
      'post /v1/recordings/{id}/stop',
      'post /v1/session',
      'put /v1/recordings/{id}/hold',
    ],
  );
  for (const { name, operation } of operations) {
    t.ok((operation.summary ?? '').length > 5, name);
    t.ok(Object.keys(operation.responses).length > 0, name);
    const named = [...name.matchAll(/\{(\w+)\}/g)].map(([, each]) => each);
    const given = (operation.parameters ?? []).filter((each) => each.in === 'path').map((each) => each.name);
    t.same(given.sort(), named.sort(), name);
  }
  const list = paths['/v1/recordings']?.['get'];
  const limit = list?.parameters?.find(({ name }) => name === 'limit');
  t.match(limit?.schema, { type: 'integer', minimum: 1, maximum: 1000 });
  const pause = paths['/v1/recordings/{id}/pause']?.['post'];
  t.match(JSON.stringify(pause?.requestBody), /"enum":\["silence","skip"\]/);
  t.equal(pause?.requestBody?.required, false, 'it goes without');
  t.equal(paths['/v1/session']?.['post']?.requestBody?.required, true);
  t.notMatch(JSON.stringify(paths), /"x-/);
});
