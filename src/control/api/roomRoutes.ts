import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AccountConfig } from '../../config/Config.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { RoomWatch } from '../rooms/RoomWatch.js';
import { answerSchemas } from './answerSchemas.js';
import { described } from './ApiDescription.js';
import { bodyAs } from './bodyAs.js';
import type { Scope } from './Keyring.js';
import { insistOn, notFound, type RecordingSources } from './RecordingSources.js';

type ByName = FastifyRequest<{ Params: { name: string } }>;

/** What the routes of rooms ask. */
export interface RoomSources {
  readonly watch: Pick<RoomWatch, 'record'>;
  /** Accounts that are configured. */
  readonly accounts: () => readonly AccountConfig[];
  /** Any account, also one that has to be looked up. @throws ReelayError `accounts_unavailable` */
  readonly findAccount: (accountId: string) => Promise<AccountConfig | undefined>;
}

const asked = z.strictObject({ account: z.string().optional(), create: z.boolean().default(false) });

/** LiveKit rooms: to have one recorded. Whatever else is to be done with its recording is done as with any other's. */
export function roomRoutes(app: FastifyInstance, sources: RecordingSources, rooms: RoomSources): void {
  const description = described({
    summary: 'Records a LiveKit room',
    tag: 'calls',
    params: { name: 'the room' },
    body: asked.optional(),
    answers: { 200: answerSchemas.roomTold, 201: answerSchemas.roomTold },
  });
  app.post('/v1/livekit/rooms/:name/record', description, async (request: ByName, reply) => {
    const scope = sources.scopeOf(request, null);
    const remedy =
      'Send { "account": "…", "create": true or false }, or nothing where one account alone has rooms.';
    const { account: named, create } = bodyAs(asked, request.body, remedy);
    const account = await accountFor(rooms, scope, named, remedy);
    sources.trail.found(scope, { accountId: account.id, recordingId: '' });
    insistOn(scope, 'control');
    const outcome = await rooms.watch.record(account, request.params.name, create);
    const { recordingId, callId, recording, isNew } = outcome;
    sources.trail.found(scope, { accountId: account.id, recordingId });
    return await reply.code(isNew ? 201 : 200).send({ recordingId, callId, recording });
  });
}

/** @throws ReelayError `not_found`, also for an account that somebody else may see; `request_invalid`, `accounts_unavailable` */
async function accountFor(
  { accounts, findAccount }: RoomSources,
  scope: Scope,
  named: string | undefined,
  remedy: string,
): Promise<AccountConfig> {
  if (named !== undefined) {
    const account = scope.sees(named) ? await findAccount(named) : undefined;
    if (account?.id !== named) throw notFound(named);
    return account;
  }
  const having = accounts().filter(({ id, livekit }) => livekit !== null && scope.sees(id));
  const [only, another] = having;
  if (only === undefined) throw new ReelayError('not_found', { value: 'an account with a LiveKit server' });
  if (another !== undefined)
    throw new ReelayError('request_invalid', { value: 'several accounts have rooms', remedy });
  return only;
}
