import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { BundleDocument, SupportBundle } from '../library/SupportBundle.js';
import { described } from './ApiDescription.js';
import type { Scope } from './Keyring.js';
import { findRecording, notFound, type RecordingSources } from './RecordingSources.js';
import { Turnstile } from './Turnstile.js';

type ById = FastifyRequest<{ Params: { id: string } }>;

/** Bundles that are made at once: each reads through the log that is kept, and may ask a store for thousands of sidecars. */
const mostBundles = 2;

const aboutBundle = {
  summary: 'All that is known about a recording, for support: one file to attach',
  tag: 'recordings',
  params: { id: 'the recording' },
  answers: {
    200: z.looseObject({
      schema: z.literal(1),
      recordingId: z.string(),
      manifest: z.looseObject({}).nullable(),
      tombstone: z.looseObject({}).nullable(),
      deliveries: z.array(z.looseObject({ eventId: z.string() })).nullable(),
      lines: z.array(z.looseObject({})).nullable(),
    }),
  },
} as const;

/** `GET /v1/recordings/:id/bundle`, also of a recording that was deleted, as far as something is left of it. */
export function bundleRoutes(app: FastifyInstance, sources: RecordingSources, bundle: SupportBundle): void {
  const bundles = new Turnstile(mostBundles);
  app.get('/v1/recordings/:id/bundle', described(aboutBundle), async (request: ById, reply) => {
    const scope = sources.scopeOf(request, null);
    const { id } = request.params;
    const entry = await findOrBuried(sources, scope, id);
    const [found] = sources.trail.of(request)?.subjects ?? [];
    if (found === undefined) throw notFound(id);
    bundles.enter(reply.raw);
    const document = await bundle.of({ ...found, entry }, scope.isAdmin);
    return await reply
      .type('application/json; charset=utf-8')
      .header('cache-control', 'no-store')
      .header('content-disposition', `attachment; filename="reelay-${id.replace(/[^\w.-]/g, '_')}.json"`)
      .send(textOf(document));
  });
}

/** Null also for one that was deleted. @throws ReelayError `not_found` */
async function findOrBuried(
  sources: RecordingSources,
  scope: Scope,
  id: string,
): Promise<CatalogueEntry | null> {
  try {
    return await findRecording(sources, scope, id);
  } catch (error) {
    if (error instanceof ReelayError && error.code === 'recording_deleted') return null;
    throw error;
  }
}

/** For people: what is a list has a line for each of its entries, so that lines of the log stay lines. */
function textOf(document: BundleDocument): string {
  const members = Object.entries(document).map(([key, value]) => {
    const isList = Array.isArray(value) && value.length > 0;
    const list = (): string =>
      `[\n${(value as unknown[]).map((each) => `    ${JSON.stringify(each)}`).join(',\n')}\n  ]`;
    const text = isList ? list() : JSON.stringify(value, null, 2).replaceAll('\n', '\n  ');
    return `  ${JSON.stringify(key)}: ${text}`;
  });
  return `{\n${members.join(',\n')}\n}\n`;
}
