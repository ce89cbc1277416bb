import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import type { KeyScope } from '../../config/ApiKey.js';
import { ReelayError } from '../../config/ReelayError.js';
import { answerSchemas } from './answerSchemas.js';
import { type Answer, described } from './ApiDescription.js';
import type { Scope } from './Keyring.js';
import { bodyAs } from './bodyAs.js';
import { findRecording, type RecordingSources } from './RecordingSources.js';
import type { Removal } from '../library/Removal.js';

type ById = FastifyRequest<{ Params: { id: string } }>;

const holding = z.strictObject({ note: z.string().max(1000).nullable().default(null) });

/** `DELETE /v1/recordings/:id`, and what keeps somebody from it: `…/hold`. */
export function removalRoutes(app: FastifyInstance, sources: RecordingSources, removal: Removal): void {
  const params = { id: 'the recording' };
  const { gone, hold: held } = answerSchemas;
  const about = (summary: string, answers: Record<number, Answer>, body?: z.ZodType) =>
    described({ summary, tag: 'recordings', params, answers, ...(body === undefined ? {} : { body }) });
  app.delete(
    '/v1/recordings/:id',
    about('Deletes a recording for good', { 200: gone }),
    async (request: ById) => {
      const scope = sources.scopeOf(request, null);
      const entry = await restingFor('delete', scope, request, sources);
      const { deletedTime, cause } = await removal.remove(entry, { cause: 'request', by: scope.name });
      return { recordingId: entry.recordingId, deletedTime, cause };
    },
  );
  app.get(
    '/v1/recordings/:id/hold',
    about('Who keeps it from being deleted', { 200: held }),
    async (request: ById) => {
      const entry = await restingFor('read', sources.scopeOf(request, null), request, sources);
      const found = await removal.held(entry);
      if (found === null) throw new ReelayError('not_found', { value: `a hold on ${entry.recordingId}` });
      return found;
    },
  );
  const keeping = about('Keeps it from being deleted', { 200: held }, holding.optional());
  app.put('/v1/recordings/:id/hold', keeping, async (request: ById) => {
    const scope = sources.scopeOf(request, null);
    const remedy = 'Send { "note": "…" } of at most 1000 characters, or nothing.';
    const { note } = bodyAs(holding, request.body, remedy);
    const entry = await restingFor('delete', scope, request, sources);
    return await removal.hold(entry, scope.name, note);
  });
  app.delete(
    '/v1/recordings/:id/hold',
    about('Lets it be deleted again', { 204: 'It may be.' }),
    async (request: ById, reply) => {
      const entry = await restingFor('delete', sources.scopeOf(request, null), request, sources);
      await removal.release(entry);
      return await reply.code(204).send();
    },
  );
}

/** @throws ReelayError `recording_unstored` for one that only its call knows yet; what `findRecording` throws */
async function restingFor(
  deed: KeyScope,
  scope: Scope,
  request: ById,
  sources: RecordingSources,
): Promise<CatalogueEntry> {
  const entry = await findRecording(sources, scope, request.params.id, deed);
  if (entry !== null) return entry;
  const remedy = 'Its call has just begun; stop it, or ask again later.';
  throw new ReelayError('recording_unstored', { value: request.params.id, remedy });
}
