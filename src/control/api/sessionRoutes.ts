import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { digestOfKey } from '../../config/ApiKey.js';
import { ReelayError } from '../../config/ReelayError.js';
import { answerSchemas } from './answerSchemas.js';
import { described } from './ApiDescription.js';
import { scopesOf, type Scope } from './Keyring.js';
import type { Sessions } from './Sessions.js';

const signingIn = z.strictObject({ key: z.string().min(1).max(1000) });

/** `/v1/session`: a browser signs in with a key, sees as whom, and signs out. */
export function sessionRoutes(
  app: FastifyInstance,
  sessions: Sessions,
  scopes: {
    /** Who asks. @throws ReelayError `unauthorized`, `too_many_attempts` */
    readonly of: (request: FastifyRequest) => Scope;
    /** Whom a key lets in, whatever else the request has. @throws the same */
    readonly ofKey: (request: FastifyRequest, key: string) => Scope;
  },
): void {
  const { session: seen } = answerSchemas;
  const whose = described({ summary: 'As whom one is signed in', tag: 'access', answers: { 200: seen } });
  const coming = described({
    summary: 'Signs a browser in',
    tag: 'access',
    body: signingIn,
    answers: { 200: seen },
    isOpen: true,
  });
  const going = described({
    summary: 'Signs it out',
    tag: 'access',
    answers: { 204: 'It is.' },
    isOpen: true,
  });
  app.get('/v1/session', whose, (request) => shown(scopes.of(request)));
  app.post('/v1/session', coming, async (request, reply) => {
    const { success, data } = signingIn.safeParse(request.body);
    if (!success) throw new ReelayError('request_invalid', { remedy: 'Send { "key": "…" }.' });
    const scope = scopes.ofKey(request, data.key);
    return await withCookie(reply, sessions.open(digestOfKey(data.key), isSecure(request))).send(
      shown(scope),
    );
  });
  app.delete('/v1/session', going, async (request, reply) => {
    return await withCookie(reply, sessions.close(isSecure(request)))
      .code(204)
      .send();
  });
}

function shown(scope: Scope): object {
  return { name: scope.name, isAdmin: scope.isAdmin, scopes: scopesOf(scope) };
}

function withCookie(reply: FastifyReply, cookie: string): FastifyReply {
  return reply.header('set-cookie', cookie).header('cache-control', 'no-store');
}

/** A proxy in front that ends TLS says so; whoever lies about it only keeps its own cookie to HTTPS. */
function isSecure({ protocol, headers }: FastifyRequest): boolean {
  return protocol === 'https' || headers['x-forwarded-proto'] === 'https';
}
