import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { ReelayError } from '../../config/ReelayError.js';
import { isObjectKey } from '../../storage/objectKey.js';
import type { AuditLog } from '../library/AuditLog.js';
import { auditOf } from '../library/auditOf.js';
import { answerSchemas } from './answerSchemas.js';
import { described } from './ApiDescription.js';
import type { AuditTrail } from './AuditTrail.js';
import { insistOn, type RecordingSources } from './RecordingSources.js';
import { Turnstile } from './Turnstile.js';
import { whenAnswered } from './whenAnswered.js';

/** Answers at once: each reads up to all that was noted on a day. */
const mostAudits = 4;

const asked = z.strictObject({
  account: z.string().min(1),
  day: z.string().regex(/^\d{8}$/),
  recordingId: z.string().optional(),
  from: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text).toISOString())
    .optional(),
});

/** Notes what is done with recordings, and tells it: `GET /v1/audit?account&day&recordingId&from`. */
export function auditRoutes(
  app: FastifyInstance,
  { library, scopeOf, trail }: RecordingSources,
  audit: Pick<AuditLog, 'note' | 'storeSoon'>,
): void {
  noteAnswers(app, trail, audit);
  const audits = new Turnstile(mostAudits);
  const about = described({
    summary: 'Who did what with recordings of an account on a day',
    tag: 'access',
    querystring: asked,
    answers: { 200: answerSchemas.audit },
  });
  app.get('/v1/audit', about, async (request, reply) => {
    const scope = scopeOf(request, null);
    const { success, data } = asked.safeParse(request.query);
    const remedy = 'The query takes account and day (YYYYMMDD), recordingId and from (ISO 8601).';
    if (!success) throw new ReelayError('request_invalid', { value: request.query, remedy });
    const { account, ...rest } = data;
    // No account has a name that no folder in a store can have.
    if (!scope.sees(account) || !isObjectKey(account)) throw new ReelayError('not_found', { value: account });
    insistOn(scope, 'read');
    const store = await library.storeOf(account);
    if (store === null) throw new ReelayError('no_store', { value: account });
    audits.enter(reply.raw);
    await audit.storeSoon();
    return await auditOf(store, { accountId: account, ...rest });
  });
}

function noteAnswers(app: FastifyInstance, trail: AuditTrail, audit: Pick<AuditLog, 'note'>): void {
  whenAnswered(app, (request, reply, { address, isWhole }) => {
    const asked = trail.of(request);
    if (asked === undefined) return;
    const noted = {
      time: new Date().toISOString(),
      who: asked.scope.name,
      address,
      deed: `${request.method} ${request.routeOptions.url ?? ''}`,
      status: reply.statusCode,
      ...(isWhole ? {} : { isBrokenOff: true as const }),
    };
    for (const subject of asked.subjects) audit.note({ ...noted, ...subject });
  });
}
