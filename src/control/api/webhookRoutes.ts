import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Delivery, Outbox } from '../../catalogue/Delivery.js';
import type { KeyScope } from '../../config/ApiKey.js';
import { answerSchemas } from './answerSchemas.js';
import { type Answer, described } from './ApiDescription.js';
import { findRecording, notFound, type RecordingSources } from './RecordingSources.js';
import { deliveryView } from '../events/deliveryView.js';
import type { Webhooks } from '../events/Webhooks.js';

type ById = FastifyRequest<{ Params: { id: string } }>;
type ByEvent = FastifyRequest<{ Params: { id: string; eventId: string } }>;

/** What an account was told of a recording, and what of that it shall be told again. */
export function webhookRoutes(
  app: FastifyInstance,
  sources: RecordingSources,
  outbox: Outbox,
  webhooks: Pick<Webhooks, 'replay'>,
): void {
  const deliveriesFor = async (request: ById, deed: KeyScope): Promise<readonly Delivery[]> => {
    const { id } = request.params;
    const entry = await findRecording(sources, sources.scopeOf(request, null), id, deed);
    // Without an entry its call is the scope's own.
    return await outbox.deliveriesOf(id, entry?.accountId ?? sources.calls.accountOfRecording(id));
  };
  const params = { id: 'the recording' };
  const some = { 202: answerSchemas.replayed };
  const about = (summary: string, answers: Record<number, Answer>, more = {}) =>
    described({ summary, tag: 'events', params: { ...params, ...more }, answers });
  app.get(
    '/v1/recordings/:id/events',
    about('What its account was told', { 200: answerSchemas.deliveries }),
    async (request: ById) => {
      const deliveries = await deliveriesFor(request, 'read');
      return { deliveries: deliveries.map(deliveryView) };
    },
  );
  app.post(
    '/v1/recordings/:id/events/replay',
    about('Tells all of it again', some),
    async (request: ById, reply) => {
      const deliveries = await deliveriesFor(request, 'control');
      await webhooks.replay(deliveries);
      return await reply.code(202).send({ deliveries: deliveries.length });
    },
  );
  const one = about('Tells one event again', some, { eventId: 'the event' });
  app.post('/v1/recordings/:id/events/:eventId/replay', one, async (request: ByEvent, reply) => {
    const { eventId } = request.params;
    const deliveries = (await deliveriesFor(request, 'control')).filter((each) => each.eventId === eventId);
    if (deliveries.length === 0) throw notFound(eventId);
    await webhooks.replay(deliveries);
    return await reply.code(202).send({ deliveries: deliveries.length });
  });
}
