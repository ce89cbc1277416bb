import { fileURLToPath } from 'node:url';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type PageFile, pageFiles } from './PageFiles.js';

/** Beside the compiled code. */
const builtFolder = fileURLToPath(new URL('../../web/', import.meta.url));

/**
 * What the page may load and send: its own files and this port, nothing else. Scripts and styles stand in files, text never becomes
 * markup (Trusted Types), no form goes anywhere by itself, and no other page holds this one in a frame.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "media-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  vary: 'accept-encoding',
};
const yearSeconds = 365 * 86_400;

/**
 * The page at `/`. It is the same for everybody and needs no key, since it holds nothing; whatever it shows it asks for as anybody does.
 * Each of its files is a route of its own, so that no path of a request ever becomes one on the disk.
 *
 * @param folder - default: where the build puts it. Where there is none, there is no page
 */
export function pageRoutes(app: FastifyInstance, folder = builtFolder): void {
  for (const [url, file] of pageFiles(folder)) {
    app.route({
      method: ['GET', 'HEAD'],
      url,
      schema: { hide: true },
      handler: async (request, reply) => await sendFile(request, reply, file),
    });
  }
}

async function sendFile(request: FastifyRequest, reply: FastifyReply, file: PageFile): Promise<FastifyReply> {
  const cache = file.isLasting ? `public, max-age=${yearSeconds}, immutable` : 'no-cache';
  reply.headers({ ...headers, etag: file.etag, 'cache-control': cache });
  if (hasIt(request.headers['if-none-match'], file.etag)) return await reply.code(304).send();
  const isZipped = /\bgzip\b/.test(request.headers['accept-encoding']?.toString() ?? '');
  if (isZipped) reply.header('content-encoding', 'gzip');
  const body = isZipped ? file.zipped : file.body;
  reply.type(file.type).header('content-length', body.length);
  return await reply.send(request.method === 'HEAD' ? undefined : body);
}

function hasIt(tags: string | undefined, etag: string): boolean {
  return (tags ?? '').split(',').some((tag) => tag.trim() === etag);
}
