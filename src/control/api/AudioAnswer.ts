import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CatalogueEntry } from '../../catalogue/Catalogue.js';
import { ReelayError } from '../../config/ReelayError.js';
import { readRange } from './ByteRange.js';
import { paced, patienceMs } from './paced.js';

/** What an answer is about, whatever it holds. */
interface Content {
  readonly type: string;
  /** Quoted, as the header has it. */
  readonly etag: string;
}

/** Bytes of known number, any part of which can be read. */
export interface SeekableContent extends Content {
  readonly bytes: number;
  readonly read: (start: number, end: number) => AsyncGenerator<Uint8Array>;
}

/** Answers with bytes or a range of them: RFC 9110, sections 13 (conditions) and 14 (ranges). */
export async function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  content: SeekableContent,
): Promise<FastifyReply> {
  const { bytes, etag, type } = content;
  const { range, 'if-range': ifRange } = request.headers;
  reply.header('accept-ranges', 'bytes');
  if (isKnown(request, reply, etag)) return await reply.code(304).send();
  // Without dates of its own, only the ETag can say that a part belongs to what the client has already.
  const isSame = ifRange === undefined || ifRange === etag;
  const wanted = isSame ? readRange(range, bytes) : undefined;
  if (wanted === null) {
    reply.header('content-range', `bytes */${bytes}`);
    throw new ReelayError('range_unsatisfiable', { value: range, remedy: `There are ${bytes} bytes.` });
  }
  const { start, end } = wanted ?? { start: 0, end: bytes - 1 };
  if (wanted !== undefined) reply.code(206).header('content-range', `bytes ${start}-${end}/${bytes}`);
  reply.type(type).header('content-length', end - start + 1);
  if (request.method === 'HEAD') return await reply.send();
  return await reply.send(streamOf(reply, content.read(start, end)));
}

/** Answers with bytes that are made while they are sent: nobody knows how many they will be, so there are no ranges of them. */
export async function sendStream(
  request: FastifyRequest,
  reply: FastifyReply,
  { etag, type, read }: Content & { readonly read: () => AsyncGenerator<Uint8Array> },
): Promise<FastifyReply> {
  reply.header('accept-ranges', 'none');
  if (isKnown(request, reply, etag)) return await reply.code(304).send();
  reply.type(type);
  if (request.method === 'HEAD') return await reply.send();
  return await reply.send(streamOf(reply, read()));
}

/** Answers with what is only made when the client doesn't have it yet. */
export async function sendMade(
  request: FastifyRequest,
  reply: FastifyReply,
  { etag, type, make }: Content & { readonly make: () => Promise<string | Buffer> },
): Promise<FastifyReply> {
  if (isKnown(request, reply, etag)) return await reply.code(304).send();
  reply.type(type);
  return await reply.send(request.method === 'HEAD' ? undefined : await make());
}

/** Sends the client to the store. Nobody on the way keeps a URL that opens an object. */
export async function sendElsewhere(reply: FastifyReply, url: string): Promise<FastifyReply> {
  return await reply.header('cache-control', 'no-store').redirect(url, 302);
}

/** There is a recording and nothing to give of it yet: when to ask again. */
export async function sendNotYet(reply: FastifyReply, status: object): Promise<FastifyReply> {
  return await reply
    .code(202)
    .header('retry-after', '1')
    .send({ ...status, retryAfterSeconds: 1 });
}

/** What is told of a recording that has nothing else to give. */
export function statusOf({ recordingId, callId, accountId, state, reason }: CatalogueEntry): object {
  return { recordingId, callId, accountId, state, reason };
}

/** Names the content, and says whether the client has it already. */
function isKnown({ headers }: FastifyRequest, reply: FastifyReply, etag: string): boolean {
  reply.header('etag', etag).header('cache-control', 'no-cache, private');
  const tags = headers['if-none-match']?.split(',') ?? [];
  return tags.some((tag) => [etag, '*'].includes(tag.trim().replace(/^W\//, '')));
}

/** One piece at a time, and the next when that has gone. Broken off for a client that takes too little. */
function streamOf({ raw }: FastifyReply, pieces: AsyncGenerator<Uint8Array>): Readable {
  const tooSlow = (): void => void stream.destroy(new Error('the client takes too little'));
  const stream = Readable.from(paced(pieces, tooSlow), { objectMode: false, highWaterMark: 1 });
  // What comes last lies in buffers when the stream has ended.
  stream.once('end', () => {
    const late = setTimeout(() => raw.destroy(), patienceMs).unref();
    raw.once('close', () => clearTimeout(late));
  });
  return stream;
}
