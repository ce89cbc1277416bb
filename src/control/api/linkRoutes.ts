import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { answerSchemas } from './answerSchemas.js';
import { described } from './ApiDescription.js';
import { bodyAs } from './bodyAs.js';
import { deadLink, findRecording, notFound, type RecordingSources } from './RecordingSources.js';
import { mostLinkSeconds, type ShareLinks } from './ShareLinks.js';

type ById = FastifyRequest<{ Params: { id: string } }>;

const wanted = z.strictObject({ seconds: z.number().int().min(1).max(mostLinkSeconds).default(86_400) });

/** `POST /v1/recordings/:id/links` makes a link; `/shared/…` that isn't one, or not any more, is nothing. */
export function linkRoutes(app: FastifyInstance, sources: RecordingSources, links: ShareLinks): void {
  const about = described({
    summary: 'Makes a link for somebody without a key',
    tag: 'access',
    params: { id: 'the recording' },
    body: wanted.optional(),
    answers: { 201: answerSchemas.link },
  });
  app.post('/v1/recordings/:id/links', about, async (request: ById, reply) => {
    const { id: recordingId } = request.params;
    const scope = sources.scopeOf(request, null);
    const remedy = `Send { "seconds": 1 to ${mostLinkSeconds} }, or nothing for a day.`;
    const { seconds } = bodyAs(wanted, request.body, remedy);
    const entry = await findRecording(sources, scope, recordingId);
    const accountId = entry?.accountId ?? sources.calls.accountOfRecording(recordingId);
    if (accountId === undefined) throw notFound(recordingId);
    const expiresMs = Date.now() + seconds * 1000;
    const path = links.make({ recordingId, accountId }, expiresMs);
    return await reply.code(201).send({ path, expires: new Date(expiresMs).toISOString() });
  });
  app.all('/shared/*', { schema: { hide: true } }, () => {
    throw deadLink();
  });
}
