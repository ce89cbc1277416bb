import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** How an answer ended. */
export interface AnswerEnd {
  /** Where the request came from; '' where the system didn't say. */
  readonly address: string;
  /** All of it was handed to the system before the connection was closed. */
  readonly isWhole: boolean;
  /** From the request's head to the end, ms. */
  readonly tookMs: number;
}

interface Answering {
  readonly address: string;
  readonly beganMs: number;
  isMade: boolean;
  isClosed: boolean;
}

/**
 * Tells of each answer once: when its handler has made it and nothing more of it can be sent. Fastify's `onResponse` isn't told of an
 * answer whose client has gone away, and what such a client asked for is read, changed and deleted all the same.
 */
export function whenAnswered(
  app: FastifyInstance,
  told: (request: FastifyRequest, reply: FastifyReply, end: AnswerEnd) => void,
): void {
  const answering = new WeakMap<FastifyRequest, Answering>();
  const tell = (request: FastifyRequest, reply: FastifyReply, { address, beganMs }: Answering): void => {
    const tookMs = performance.now() - beganMs;
    told(request, reply, { address, isWhole: reply.raw.writableFinished, tookMs });
  };
  app.addHook('onRequest', (request, reply, done) => {
    // A socket that is closed doesn't know any more who was there.
    const address = request.socket.remoteAddress ?? '';
    const answer: Answering = { address, beganMs: performance.now(), isMade: false, isClosed: false };
    answering.set(request, answer);
    reply.raw.once('close', () => {
      answer.isClosed = true;
      if (answer.isMade) tell(request, reply, answer);
    });
    // Without `onResponse` nobody else listens, and it would be thrown.
    reply.raw.on('error', () => undefined);
    done();
  });
  app.addHook('onSend', (request, reply, _payload, done) => {
    const answer = answering.get(request);
    const isFirst = answer?.isMade === false;
    if (answer !== undefined) answer.isMade = true;
    if (isFirst && answer.isClosed) tell(request, reply, answer);
    done();
  });
}
