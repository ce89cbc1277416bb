import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import { documentSchemas } from '../../spool/documentSchemas.js';
import { chunkName } from '../../spool/layout.js';
import { answerSchemas } from './answerSchemas.js';
import { described, type RouteDescription } from './ApiDescription.js';
import { sendBytes, sendElsewhere, sendNotYet, statusOf } from './AudioAnswer.js';
import { audioRoutes } from './audioRoutes.js';
import { AudioSnapshot } from '../rendition/AudioSnapshot.js';
import type { Scope } from './Keyring.js';
import type { LiveCall } from '../ControlMessage.js';
import type { Library } from '../library/Library.js';
import { readSidecar } from '../library/readSidecar.js';
import { findRecording, notFound, type RecordingSources } from './RecordingSources.js';
import { direct, objectUrl } from './objectUrl.js';
import { queryAs } from './queryAs.js';
import { Turnstile } from './Turnstile.js';

/** Audio that is sent at once. Each answer holds some 200 kB while its client reads slowly, and an open file. */
const mostDownloads = 128;
/** Manifests and sidecars that are sent at once. A sidecar has a megabyte at most; a manifest is long after hours of call, and then parsed whole. */
const mostDocuments = 64;

type ById = FastifyRequest<{ Params: { id: string } }>;
type ByFile = FastifyRequest<{ Params: { id: string; file: string } }>;

const time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const query = z.strictObject({
  account: z.string().optional(),
  callId: z.string().optional(),
  state: z.enum(['recording', 'uploading', 'complete', 'interrupted', 'failed']).optional(),
  from: time.optional(),
  to: time.optional(),
  search: z.string().max(100).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: z.string().optional(),
});

const chunkQuery = z.object({ direct, lane: z.string().optional() });

const aboutCalls: RouteDescription = {
  summary: 'Calls that are up',
  tag: 'calls',
  answers: { 200: answerSchemas.calls },
};
const aboutList: RouteDescription = {
  summary: 'Recordings, the newest first',
  tag: 'recordings',
  querystring: query,
  answers: { 200: answerSchemas.recordings },
};
const aboutOne: RouteDescription = {
  summary: 'The manifest of a recording',
  tag: 'recordings',
  params: { id: 'the recording' },
  answers: { 200: answerSchemas.manifest, 202: answerSchemas.notYet },
};
const aboutChunk: RouteDescription = {
  summary: 'A sealed chunk, or its sidecar',
  tag: 'audio',
  params: { id: 'the recording', file: 'its index and .wav or .json' },
  querystring: chunkQuery,
  answers: {
    200: ['audio/wav: the chunk', answerSchemas.sidecar],
    202: answerSchemas.notYet,
    206: 'audio/wav: a range of it',
    302: 'With direct=true: where the store has it.',
    304: 'The client has it.',
  },
};

/** Calls that are up, and everything under `/v1/recordings`. */
export function recordingRoutes(app: FastifyInstance, sources: RecordingSources): void {
  const { scopeOf } = sources;
  const downloads = new Turnstile(mostDownloads);
  const documents = new Turnstile(mostDocuments);
  app.get('/v1/calls', described(aboutCalls), async (request) => {
    const scope = scopeOf(request);
    const calls = await liveCalls(sources, scope);
    sources.trail.showed(
      scope,
      'calls',
      calls.map(({ accountId }) => accountId),
    );
    return { calls };
  });
  app.get(
    '/v1/recordings',
    described(aboutList),
    async (request) => await list(sources, scopeOf(request), request.query),
  );
  app.route({
    ...described(aboutOne),
    method: ['GET', 'HEAD'],
    url: '/v1/recordings/:id',
    handler: async (request: ById, reply) => {
      const entry = await findRecording(sources, scopeOf(request, null), request.params.id);
      if (entry === null)
        return await sendNotYet(reply, { recordingId: request.params.id, state: 'recording' });
      documents.enter(reply.raw, entry.accountId);
      const manifest = await sources.library.manifest(entry);
      return manifest ?? (await sendNotYet(reply, statusOf(entry)));
    },
  });
  audioRoutes(app, sources, downloads);
  app.route({
    ...described(aboutChunk),
    method: ['GET', 'HEAD'],
    url: '/v1/recordings/:id/chunks/:file',
    handler: async (request: ByFile, reply) => {
      const { id, file } = request.params;
      const scope = scopeOf(request, null);
      const remedy = 'The query of a chunk takes direct (true or false), and in a room lane.';
      const { direct, lane } = queryAs(chunkQuery, request.query, remedy);
      const entry = await findRecording(sources, scope, id);
      const [, digits, kind] = /^(0|[1-9]\d{0,8})\.(wav|json)$/.exec(file) ?? [];
      if (digits === undefined) throw notFound(request.url);
      if (entry === null) return await sendNotYet(reply, { recordingId: id, state: 'recording' });
      const index = Number(digits);
      (kind === 'wav' ? downloads : documents).enter(reply.raw, entry.accountId);
      const sidecar = await readSidecar(sources.library.whereabouts(entry), index);
      if (sidecar === null) return await sendNoChunk(sources, entry, index, request, reply);
      if (kind === 'wav')
        return await sendChunk(sources, entry, { index, sidecar, direct, lane }, request, reply);
      const isHead = request.method === 'HEAD';
      return await reply.type('application/json; charset=utf-8').send(isHead ? '' : sidecar);
    },
  });
}

async function liveCalls({ calls, library }: RecordingSources, scope: Scope): Promise<LiveCall[]> {
  const seen = calls.all.filter(({ accountId }) => scope.sees(accountId));
  return await Promise.all(
    seen.map(async (call) => {
      const entry = call.recordingId === null ? undefined : await library.known(call.recordingId);
      const progress = call.recordingId === null ? undefined : library.progress(call.recordingId);
      const samples = progress?.samples ?? 0;
      const seconds = entry === undefined ? 0 : samples / entry.sampleRate;
      return { ...call, samples, seconds, peaks: progress?.peaks ?? [] };
    }),
  );
}

async function list({ library, trail }: RecordingSources, scope: Scope, asked: unknown): Promise<object> {
  const remedy =
    'The query takes account, callId, from, to (ISO 8601), state, search, limit (1 to 1000) and cursor.';
  const { from, to, ...rest } = queryAs(query, asked, remedy);
  if (rest.account !== undefined && !scope.sees(rest.account)) throw notFound(rest.account);
  const page = await library.list({ ...rest, fromMs: from, toMs: to, visible: scope.visible });
  trail.showed(
    scope,
    'recordings',
    page.entries.map(({ accountId }) => accountId),
  );
  return { recordings: page.entries.map((entry) => shown(library, entry)), next: page.next };
}

/** An entry as lists show it: a live recording with what has come in so far. */
function shown(library: Library, entry: CatalogueEntry): object {
  const progress = library.progress(entry.recordingId);
  if (entry.state !== 'recording' || progress === undefined) return entry;
  return { ...entry, samples: progress.samples, durationSeconds: progress.samples / entry.sampleRate };
}

async function sendChunk(
  { library, throttle }: RecordingSources,
  entry: CatalogueEntry,
  {
    index,
    sidecar,
    direct,
    lane,
  }: { readonly index: number; readonly sidecar: string } & z.infer<typeof chunkQuery>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const where = library.whereabouts(entry);
  const { success, data } = documentSchemas.sidecar.safeParse(parsed(sidecar));
  if (!success || data.index !== index) throw notFound(request.url);
  const said = lane === undefined ? data : data.lanes?.find((each) => each.lane === lane);
  if (said === undefined) throw notFound(request.url);
  const { bytes, sha256 } = said;
  const chunk = AudioSnapshot.ofChunk(where, data, lane);
  if (chunk.bytes !== bytes) throw notFound(request.url);
  if (direct === 'true') {
    const key = `${entry.folder}/${chunkName(index, lane)}`;
    const url = await objectUrl(await where.store(), { key, bytes });
    if (url !== null) return await sendElsewhere(reply, url);
  }
  return await sendBytes(request, reply, {
    type: 'audio/wav',
    bytes: chunk.bytes,
    etag: `"${sha256}"`,
    read: (start, end) => throttle.through(chunk.read({ start, end })),
  });
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** A chunk that wasn't there may come as long as the call is up, in this daemon or in another. @throws ReelayError `not_found` */
async function sendNoChunk(
  { library }: RecordingSources,
  entry: CatalogueEntry,
  index: number,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const manifest = await library.manifest(entry);
  // Without one it lies in another daemon's spool, and the catalogue knows how far it is.
  const { state } = manifest ?? entry;
  // Or it was sealed a moment ago, with the end of its call.
  const isComing = manifest === null || manifest.chunks.some((chunk) => chunk.index === index);
  if (state === 'recording' || (state === 'uploading' && isComing))
    return await sendNotYet(reply, { ...statusOf(entry), state });
  throw notFound(request.url);
}
