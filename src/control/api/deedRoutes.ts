import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ReelayError } from '../../config/ReelayError.js';
import { answerSchemas } from './answerSchemas.js';
import { described } from './ApiDescription.js';
import { bodyAs } from './bodyAs.js';
import type { RecordingRequests } from '../RecordingRequests.js';
import { findRecording, insistOn, notFound, type RecordingSources } from './RecordingSources.js';

type ById = FastifyRequest<{ Params: { id: string } }>;
type ByCall = FastifyRequest<{ Params: { callId: string } }>;

const pausing = z.strictObject({ mode: z.enum(['silence', 'skip']).default('silence') });
const starting = z.strictObject({ account: z.string().optional() });
const nothing = z.strictObject({});
const { told: done } = answerSchemas;

/** What may be done with the recording of a call that is up: begin it, pause it, go on with it, end it. */
export function deedRoutes(
  app: FastifyInstance,
  sources: RecordingSources,
  requests: RecordingRequests,
): void {
  app.post(
    '/v1/recordings/:id/pause',
    about('Pauses the recording of a call that is up', pausing),
    async (request: ById) => {
      const scope = sources.scopeOf(request, null);
      const { mode } = bodyAs(pausing, request.body, 'Send { "mode": "silence" or "skip" }, or nothing.');
      const { id: recordingId } = request.params;
      await findRecording(sources, scope, recordingId, 'control');
      return await requests.ask({ deed: 'pause', recordingId, mode });
    },
  );
  for (const deed of ['resume', 'stop'] as const) {
    app.post(`/v1/recordings/:id/${deed}`, about(`Has it ${deed}`, nothing), async (request: ById) => {
      const scope = sources.scopeOf(request, null);
      bodyAs(nothing, request.body, 'Send no body.');
      const { id: recordingId } = request.params;
      await findRecording(sources, scope, recordingId, 'control');
      return await requests.ask({ deed, recordingId });
    });
  }
  const beginning = described({
    summary: 'Begins the recording of a call that waits for it',
    tag: 'calls',
    params: { callId: 'the call, as its provider names it' },
    body: starting.optional(),
    answers: { 201: done },
  });
  app.post('/v1/calls/:callId/record', beginning, async (request: ByCall, reply) => {
    const scope = sources.scopeOf(request, null);
    const { callId } = request.params;
    const remedy = 'Send { "account": "…" } where several accounts have a call of this id, else nothing.';
    const { account } = bodyAs(starting, request.body, remedy);
    const calls = sources.calls.all.filter((call) => call.callId === callId && scope.sees(call.accountId));
    const accounts = new Set(calls.map(({ accountId }) => accountId));
    const accountId = account ?? [...accounts][0];
    if (accountId === undefined || !accounts.has(accountId)) throw notFound(callId);
    if (account !== undefined || accounts.size === 1)
      sources.trail.found(scope, { accountId, recordingId: '' });
    insistOn(scope, 'control');
    if (account === undefined && accounts.size > 1)
      throw new ReelayError('request_invalid', { value: callId, remedy });
    const begun = await requests.ask({ deed: 'start', accountId, callId });
    sources.trail.found(scope, { accountId, recordingId: begun.recordingId });
    return await reply.code(201).send(begun);
  });
}

function about(summary: string, body: z.ZodType): ReturnType<typeof described> {
  const params = { id: 'the recording' };
  return described({ summary, tag: 'calls', params, body: body.optional(), answers: { 200: done } });
}
