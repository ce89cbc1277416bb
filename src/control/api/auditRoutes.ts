import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ReelayError } from '../../config/ReelayError.js';
import { answerSchemas } from './answerSchemas.js';
import { described } from './ApiDescription.js';
import { auditOf, type AuditLog } from '../library/AuditLog.js';
import type { Scope } from './Keyring.js';
import type { Library } from '../library/Library.js';
import { isObjectKey } from '../../storage/objectKey.js';
import { insistOn, type RecordingSources } from './RecordingSources.js';

const asked = z.strictObject({
  account: z.string().min(1),
  day: z.string().regex(/^\d{8}$/),
  recordingId: z.string().optional(),
});

/** Notes what is done with recordings, and tells it: `GET /v1/audit?account&day&recordingId`. */
export function auditRoutes(
  app: FastifyInstance,
  { library, calls, scopeOf }: RecordingSources,
  audit: Pick<AuditLog, 'note' | 'store'>,
  whoAsked: (request: FastifyRequest) => Scope | undefined,
): void {
  app.addHook('onResponse', async (request, reply) => {
    const scope = whoAsked(request);
    const route = request.routeOptions.url ?? '';
    if (scope === undefined || !route.startsWith('/v1/recordings/:id')) return;
    const { id: recordingId } = request.params as { readonly id: string };
    const known = (await library.known(recordingId))?.accountId ?? calls.accountOfRecording(recordingId);
    const accountId = known ?? (await buried(library, recordingId));
    // Of what somebody may not see its account isn't told that somebody asked: anybody can guess ids.
    if (accountId === undefined || !scope.sees(accountId)) return;
    audit.note({
      time: new Date().toISOString(),
      accountId,
      recordingId,
      who: scope.name,
      address: request.socket.remoteAddress ?? '',
      deed: `${request.method} ${route}`,
      status: reply.statusCode,
    });
  });
  const about = described({
    summary: 'Who did what with recordings of an account on a day',
    tag: 'access',
    querystring: asked,
    answers: { 200: answerSchemas.audit },
  });
  app.get('/v1/audit', about, async (request) => {
    const scope = scopeOf(request, null);
    const { success, data } = asked.safeParse(request.query);
    const remedy = 'The query takes account and day (YYYYMMDD), and recordingId.';
    if (!success) throw new ReelayError('request_invalid', { value: request.query, remedy });
    const { account, day, recordingId } = data;
    // No account has a name that no folder in a store can have.
    if (!scope.sees(account) || !isObjectKey(account)) throw new ReelayError('not_found', { value: account });
    insistOn(scope, 'read');
    const store = await library.storeOf(account);
    if (store === null) throw new ReelayError('no_store', { value: account });
    await audit.store();
    const entries = await auditOf(store, account, day);
    return {
      entries: entries.filter((each) => recordingId === undefined || each.recordingId === recordingId),
    };
  });
}

/** Whose a recording was that was deleted; undefined also while the catalogue is away. */
async function buried(library: Library, recordingId: string): Promise<string | undefined> {
  const tombstone = await library.tombstone(recordingId).catch(() => undefined);
  return tombstone?.accountId;
}
