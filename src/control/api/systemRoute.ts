import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { SystemReport } from '../monitoring/SystemReport.js';
import { described } from './ApiDescription.js';

const count = z.number();
const report = z.looseObject({
  version: z.string(),
  startTime: z.iso.datetime(),
  threads: z.record(z.string(), z.string()),
  alerts: z.array(z.looseObject({ about: z.string(), code: z.string(), since: z.iso.datetime() })),
  calls: z.looseObject({ live: count, sinceStart: count }),
  latency: z.looseObject({ since: z.iso.datetime() }),
  spool: z.looseObject({ bytes: count, freeBytes: count }),
  catalogue: z.looseObject({ isUp: z.boolean() }),
  uploads: z.looseObject({ stuckCount: count }),
});

/**
 * `GET /v1/system`: how the daemon is.
 *
 * @param admitted - throws what somebody gets who is no administrator
 */
export function systemRoute(
  app: FastifyInstance,
  system: Pick<SystemReport, 'read'>,
  admitted: (request: FastifyRequest) => void,
): void {
  const about = described({ summary: 'How the daemon is', tag: 'system', answers: { 200: report } });
  app.get('/v1/system', about, async (request, reply) => {
    admitted(request);
    reply.header('cache-control', 'no-store');
    return await system.read();
  });
}
