import type { IncomingMessage, ServerResponse } from 'node:http';
import { ReelayError } from '../config/ReelayError.js';
import type { ErrorCode } from '../config/ReelayError.js';

/** A plain HTTP request of the media port. */
export interface MediaRequest {
  readonly method: string;
  /** Path and query as received. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Uint8Array;
  readonly remoteAddress: string;
}

export interface MediaResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Answers plain requests in another thread; the media thread only carries them. */
export type Answer = (request: MediaRequest) => Promise<MediaResponse>;

const maxBodyBytes = 64 * 1024;
const answerTimeoutMs = 5000;

/** Reads a request within its bounds, has it answered elsewhere, and writes whatever came of it. Never rejects. */
export async function answerPlain(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
): Promise<void> {
  try {
    const body = await readBody(request);
    if (body === null) {
      writeError(response, 413, 'request_invalid', `more than ${maxBodyBytes} bytes`);
      return;
    }
    const { status, headers, body: text } = await inTime(answer(asRequest(request, body)));
    response.writeHead(status, headers).end(text);
  } catch (error) {
    // Control is starting again, or hangs; providers ask again on a 503.
    writeError(response, 503, 'thread_lost', error instanceof Error ? error.message : undefined);
  }
}

export function writeJson(response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(value));
}

/** Answers without having read the request. */
export function writeError(response: ServerResponse, status: number, code: ErrorCode, value?: string): void {
  const error = new ReelayError(code, { value });
  // What is left of the request's body can't be read past, so the connection ends with the answer.
  if (!response.headersSent) response.setHeader('Connection', 'close');
  writeJson(response, status, { code: error.code, message: error.message });
}

function asRequest(request: IncomingMessage, body: Uint8Array): MediaRequest {
  return {
    method: request.method ?? 'GET',
    url: request.url ?? '/',
    headers: { ...request.headers },
    body,
    remoteAddress: request.socket.remoteAddress ?? '',
  };
}

/** @returns null when the body is too long */
async function readBody(request: IncomingMessage): Promise<Uint8Array | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  // A request that is destroyed takes its socket along, and with it the answer.
  const whole = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const part of whole) {
    bytes += part.length;
    if (bytes > maxBodyBytes) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function inTime<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${answerTimeoutMs} ms`)), answerTimeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
