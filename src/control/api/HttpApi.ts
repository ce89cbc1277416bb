import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Outbox } from '../../catalogue/Delivery.js';
import type { KeyScope } from '../../config/ApiKey.js';
import { isFromHere } from '../../config/isFromHere.js';
import { readinessOf, type WorkerName } from '../../config/readiness.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { FaultKind, ThreadStates } from '../ControlMessage.js';
import { httpErrorOf } from './HttpError.js';
import { keyIn, type Keyring, type Scope } from './Keyring.js';
import { answerSchemas } from './answerSchemas.js';
import { describeApi, described } from './ApiDescription.js';
import type { AuditLog } from '../library/AuditLog.js';
import { auditRoutes } from './auditRoutes.js';
import { AuditTrail } from './AuditTrail.js';
import { bundleRoutes } from './bundleRoutes.js';
import { deedRoutes } from './deedRoutes.js';
import { linkRoutes } from './linkRoutes.js';
import { pageRoutes } from './pageRoutes.js';
import type { Library } from '../library/Library.js';
import type { LiveCalls } from '../library/LiveCalls.js';
import type { CallLog } from '../monitoring/CallLog.js';
import type { Metrics } from '../monitoring/Metrics.js';
import type { Traces } from '../monitoring/Tracing.js';
import type { RecordingRequests } from '../RecordingRequests.js';
import { recordingRoutes } from './recordingRoutes.js';
import { roomRoutes, type RoomSources } from './roomRoutes.js';
import { insistOn } from './RecordingSources.js';
import type { Removal } from '../library/Removal.js';
import { removalRoutes } from './removalRoutes.js';
import { SupportBundle } from '../library/SupportBundle.js';
import { sessionRoutes } from './sessionRoutes.js';
import { systemRoute } from './systemRoute.js';
import type { SystemReport } from '../monitoring/SystemReport.js';
import { type SessionRequest, Sessions } from './Sessions.js';
import { ShareLinks, type Shared } from './ShareLinks.js';
import { Throttle } from './Throttle.js';
import { webhookRoutes } from './webhookRoutes.js';
import { whenAnswered } from './whenAnswered.js';
import type { Webhooks } from '../events/Webhooks.js';
import { WrongKeys } from './WrongKeys.js';

export interface HttpApiOptions {
  readonly library: Library;
  readonly calls: LiveCalls;
  readonly metrics: Metrics;
  readonly system: Pick<SystemReport, 'read'>;
  /** The keys that hold now. */
  readonly keyring: () => Keyring;
  readonly threads: () => ThreadStates;
  /** Of the recordings of calls that are up. */
  readonly requests: RecordingRequests;
  readonly rooms: RoomSources;
  readonly removal: Removal;
  readonly audit: Pick<AuditLog, 'note' | 'storeSoon'>;
  readonly outbox: Outbox;
  readonly traces: Pick<Traces, 'answered'>;
  readonly callLog: Pick<CallLog, 'linesOf' | 'lost'>;
  readonly webhooks: Pick<Webhooks, 'replay'>;
  /** Signs the links by which recordings are shared, at least 32 bytes. */
  readonly linkKey: () => Buffer;
  /** Signs the cookies of browsers that are signed in, at least 32 bytes. */
  readonly sessionKey: () => Buffer;
  /** Audio that is given out, of all answers together. */
  readonly bytesPerSecond: () => number;
  /** Breaks a thread on purpose; null where that isn't allowed, and the route doesn't exist then. */
  readonly fault: ((thread: WorkerName, fault: FaultKind) => void) | null;
  readonly log: Logger;
}

/** Sockets at once; what comes beyond is closed unanswered. Downloads, pages that poll and what keeps idle connections share them. */
const mostConnections = 512;
/** A request has this long to come in, its head this long, ms. */
const requestMs = 30_000;
const headersMs = 10_000;
/** A connection may rest this long between two requests, and make no progress for this long within one, ms. */
const idleMs = 15_000;
const stalledMs = 60_000;

/** Characters of a part of a path, as it is written. */
const longestName = 1000;
const limits = {
  logger: false,
  exposeHeadRoutes: false,
  forceCloseConnections: true,
  bodyLimit: 64 * 1024,
  routerOptions: { maxParamLength: longestName },
  // For a request to come in, not for its answer to go out.
  requestTimeout: requestMs,
  keepAliveTimeout: idleMs,
  // A client that neither sends nor takes anything for so long has gone; it would keep its place among the downloads.
  connectionTimeout: stalledMs,
  http: { headersTimeout: headersMs, connectionsCheckingInterval: 1000 },
} as const;

/** The control port's server, not listening yet. Errors are `{ code, message, remedy }`. */
export function httpApi(options: HttpApiOptions): FastifyInstance {
  const links = new ShareLinks(options.linkKey);
  const app = Fastify({
    rewriteUrl: (request) => links.routed(request),
    // A path that can't be read, or that nothing can have.
    frameworkErrors: (_error, request, reply) => void refuse(nowhere(request), request, reply),
    ...limits,
  });
  app.server.maxConnections = mostConnections;
  const wrongKeys = new WrongKeys();
  const sessions = new Sessions(options.sessionKey);
  const whoAsks = (request: FastifyRequest): Scope => {
    const digest =
      request.headers.authorization === undefined ? sessions.keyOf(request.raw as SessionRequest) : undefined;
    const scope = digest === undefined ? null : options.keyring().openDigest(digest);
    return scope ?? authenticate(options.keyring(), wrongKeys, request, request.headers.authorization);
  };
  const trail = new AuditTrail();
  const scopeOf = (request: FastifyRequest, deed: KeyScope | null = 'read'): Scope => {
    const shared = links.openedBy(request.raw);
    const scope = trail.begin(request, shared === undefined ? whoAsks(request) : scopeOfLink(shared));
    if (deed !== null) insistOn(scope, deed);
    return scope;
  };
  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { status, headers, body } = httpErrorOf(error);
    if (status === 500)
      options.log.error({ err: error, method: request.method, ...askedFor(request) }, 'request failed');
    return reply.code(status).headers(headers).type('application/json; charset=utf-8').send(body);
  };
  const nowhere = (request: FastifyRequest): unknown => {
    try {
      scopeOf(request, null);
      return new ReelayError('not_found', { value: `${request.method} ${request.url}` });
    } catch (error) {
      return error;
    }
  };
  app.setErrorHandler(refuse);
  app.setNotFoundHandler((request, reply) => refuse(nowhere(request), request, reply));
  traceAnswers(app, options.traces);
  const { library, calls, bytesPerSecond } = options;
  const sources = { library, calls, scopeOf, trail, throttle: new Throttle(bytesPerSecond) };
  describeApi(app);
  // The description is of routes that come behind it, and so are hooks.
  void app.register((api, _options, done) => {
    auditRoutes(api, sources, options.audit);
    recordingRoutes(api, sources);
    bundleRoutes(api, sources, new SupportBundle(options));
    linkRoutes(api, sources, links);
    deedRoutes(api, sources, options.requests);
    roomRoutes(api, sources, options.rooms);
    removalRoutes(api, sources, options.removal);
    webhookRoutes(api, sources, options.outbox, options.webhooks);
    sessionRoutes(api, sessions, {
      of: whoAsks,
      ofKey: (request, key) => authenticate(options.keyring(), wrongKeys, request, `Bearer ${key}`),
    });
    healthRoutes(api, options);
    metricsRoute(api, options.metrics, scopeOf);
    pageRoutes(api);
    systemRoute(api, options.system, (request) => insistOnAdmin(scopeOf(request, null), request, 'read'));
    if (options.fault !== null) faultRoute(api, options.fault, scopeOf);
    const description = described({
      summary: 'This description',
      tag: 'system',
      isOpen: true,
      answers: { 200: answerSchemas.description },
    });
    api.get('/openapi.json', description, () => api.swagger());
    done();
  });
  return app;
}

function traceAnswers(app: FastifyInstance, traces: Pick<Traces, 'answered'>): void {
  whenAnswered(app, (request, { statusCode: status }, { tookMs }) => {
    const recordingId = status < 400 ? (askedFor(request).recordingId ?? null) : null;
    const route = request.routeOptions.url ?? null;
    traces.answered({ method: request.method, route, status, tookMs, recordingId });
  });
}

function healthRoutes(app: FastifyInstance, { threads }: HttpApiOptions): void {
  const open = { tag: 'system', isOpen: true } as const;
  const { readiness } = answerSchemas;
  app.get(
    '/healthz',
    described({
      ...open,
      summary: 'Whether the control port answers',
      answers: { 200: answerSchemas.health },
    }),
    () => ({
      status: 'ok',
    }),
  );
  app.get(
    '/readyz',
    described({
      ...open,
      summary: 'Whether calls are taken, and recorded',
      answers: { 200: readiness, 503: readiness },
    }),
    (_request, reply) => {
      const { status, body } = readinessOf(threads());
      return reply.code(status).send(body);
    },
  );
}

function metricsRoute(
  app: FastifyInstance,
  { registry }: Metrics,
  scopeOf: (request: FastifyRequest, deed: null) => Scope,
): void {
  const answers = { 200: 'text/plain: metrics' };
  app.get(
    '/metrics',
    described({ summary: 'Prometheus', tag: 'system', answers }),
    async (request, reply) => {
      insistOnAdmin(scopeOf(request, null), request, 'read');
      return await reply.type(registry.contentType).send(await registry.metrics());
    },
  );
}

const faultRequest = z.strictObject({
  thread: z.enum(['recorder', 'control', 'rooms']),
  fault: z.enum(['throw', 'hang', 'exit', 'heap']),
});

function faultRoute(
  app: FastifyInstance,
  fault: (thread: WorkerName, fault: FaultKind) => void,
  scopeOf: (request: FastifyRequest, deed: KeyScope | null) => Scope,
): void {
  app.post(
    '/v1/faults',
    described({
      summary: 'Breaks a thread',
      tag: 'system',
      body: faultRequest,
      answers: { 202: z.object({ accepted: faultRequest }) },
    }),
    async (request, reply) => {
      insistOnAdmin(scopeOf(request, null), request, 'control');
      const { success, data } = faultRequest.safeParse(request.body);
      if (!success) {
        const remedy =
          'Send { "thread": "recorder", "control" or "rooms", "fault": "throw", "hang", "exit" or "heap" }.';
        throw new ReelayError('request_invalid', { value: request.body, remedy });
      }
      // Only once the answer has left, because the thread that is to fail is the one that answers.
      reply.raw.once('close', () => fault(data.thread, data.fault));
      return await reply.code(202).header('connection', 'close').send({ accepted: data });
    },
  );
}

/** @throws ReelayError `unauthorized`, `too_many_attempts` */
function authenticate(
  keyring: Keyring,
  wrongKeys: WrongKeys,
  { headers, socket }: FastifyRequest,
  authorization: string | undefined,
): Scope {
  const address = socket.remoteAddress ?? '';
  if (wrongKeys.isBarred(address))
    throw new ReelayError('too_many_attempts', { remedy: 'Wait a minute, then send the right key.' });
  const scope = keyring.open({
    authorization,
    isFromHere: isFromHere({ remoteAddress: socket.remoteAddress, headers }),
  });
  if (scope !== null) return scope;
  const key = keyIn(authorization);
  if (key !== undefined) wrongKeys.note(address, key);
  const remedy =
    'Send "Authorization: Bearer KEY"; without configured keys only this machine itself is answered.';
  throw new ReelayError('unauthorized', { remedy });
}

/** Whoever has a link reads that one recording, which its route names; the account keeps another's of the same id out. */
function scopeOfLink({ accountId }: Shared): Scope {
  return {
    name: 'a link',
    isAdmin: false,
    isOfLink: true,
    may: (deed) => deed === 'read',
    sees: (id) => id === accountId,
    visible: { only: accountId },
  };
}

/** The query may hold what is nobody's business. */
function askedFor({ url, routeOptions, params }: FastifyRequest): {
  path: string;
  recordingId: string | undefined;
} {
  const isOfRecording = routeOptions.url?.startsWith('/v1/recordings/:id') === true;
  const recordingId = isOfRecording ? (params as { readonly id?: string }).id : undefined;
  return { path: url.split('?')[0] ?? '', recordingId };
}

/** An account's key doesn't learn that there is anything beyond its account. @throws ReelayError `not_found`, `forbidden` */
function insistOnAdmin(scope: Scope, request: FastifyRequest, deed: KeyScope): void {
  if (!scope.isAdmin) throw new ReelayError('not_found', { value: `${request.method} ${request.url}` });
  insistOn(scope, deed);
}
