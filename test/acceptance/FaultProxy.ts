import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Bandwidth } from './Bandwidth.js';
import { s3RequestOf, type S3Request } from './S3Request.js';

/** What goes wrong with one request. */
export type Fault =
  /** Refused without being applied. */
  | {
      readonly type: 'answer';
      readonly status: number;
      readonly code: string;
      readonly retryAfter?: number | undefined;
    }
  /** The connection breaks before the store hears of it. */
  | { readonly type: 'reset' }
  /** The connection breaks in the middle of the body, at both ends. */
  | { readonly type: 'cut' }
  /** Applied; then the connection breaks without an answer. */
  | { readonly type: 'reset_applied' }
  /** Applied; then the answer is another one. */
  | { readonly type: 'answer_applied'; readonly status: number; readonly code: string }
  /** Nothing more happens on the connection, until its client gives up; the store hears nothing. */
  | { readonly type: 'stall' }
  /** Applied; then nothing more happens. */
  | { readonly type: 'stall_applied' }
  /** Body and answer come in small pieces with pauses, for so long in all. */
  | { readonly type: 'trickle'; readonly ms: number }
  /** 200 with an error as its body, as Complete may give; applied or not. */
  | { readonly type: 'error_body'; readonly applied: boolean };

/** What a bucket's requests meet. @returns null: nothing */
export type FaultSchedule = (request: S3Request) => Fault | null;

/** A request as the proxy saw it; times in ms of `performance.now()`. */
export interface ProxiedRequest extends S3Request {
  readonly fault: Fault['type'] | null;
  readonly atMs: number;
  /** Of the request's body. */
  bytes: number;
  /** Of the answer's body, as the store gave it. */
  given: number;
  /** When the client had its whole answer; null where it got none, or not yet. */
  doneMs: number | null;
  /** What the client was answered. */
  status: number | null;
  /** What the store answered. */
  applied: number | null;
}

/** Hop-by-hop, or between client and proxy alone: never signed (Signature Version 4 leaves `expect` out, too). */
const ownHeaders = new Set(['connection', 'expect', 'keep-alive', 'proxy-connection']);

/**
 * A proxy in front of an S3 service, on a real socket, that does to requests what networks and services do. Everything it
 * doesn't spoil goes through byte for byte with its Host, so that signatures hold.
 */
export class FaultProxy {
  readonly journal: ProxiedRequest[] = [];
  readonly #server: Server;
  readonly #target: URL;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #schedules = new Map<string, FaultSchedule>();
  readonly #bandwidth: Bandwidth | null;
  #all: FaultSchedule | null = null;

  private constructor(target: string, bytesPerSecond: number | null) {
    this.#target = new URL(target);
    this.#bandwidth = bytesPerSecond === null ? null : new Bandwidth(bytesPerSecond);
    this.#server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
      void this.#handle(request, response).catch(() => request.socket.destroy());
    });
    this.#server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      response.writeContinue();
      this.#server.emit('request', request, response);
    });
  }

  /** @param bytesPerSecond - of all requests' bodies together; null: as fast as it goes */
  static async open(target: string, bytesPerSecond: number | null = null): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, bytesPerSecond);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** What the daemon has to be told as its store's endpoint. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Gives one bucket its faults. */
  spoil(bucket: string, schedule: FaultSchedule): void {
    this.#schedules.set(bucket, schedule);
  }

  /** Gives every bucket the same faults, before its own. */
  spoilAll(schedule: FaultSchedule): void {
    this.#all = schedule;
  }

  /** No fault any more. What hangs goes on hanging: to give it up is the client's part. */
  heal(): void {
    this.#all = null;
    this.#schedules.clear();
  }

  /** How often each fault was met, by kind of request. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { kind, fault } of this.journal) {
      if (fault !== null) counts.set(`${kind} ${fault}`, (counts.get(`${kind} ${fault}`) ?? 0) + 1);
    }
    return counts;
  }

  async close(): Promise<void> {
    this.heal();
    this.#agent.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = s3RequestOf(request);
    const fault = this.#all?.(asked) ?? this.#schedules.get(asked.bucket)?.(asked) ?? null;
    const entry: ProxiedRequest = {
      ...asked,
      fault: fault?.type ?? null,
      atMs: performance.now(),
      bytes: 0,
      given: 0,
      doneMs: null,
      status: null,
      applied: null,
    };
    this.journal.push(entry);
    request.on('data', (chunk: Buffer) => (entry.bytes += chunk.length));
    request.pause();
    response.once('finish', () => {
      entry.doneMs = performance.now();
      entry.status = response.statusCode;
    });
    // A client that gives up breaks its connection; that is no failure of the proxy.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    await this.#meet(fault, request, response, entry);
  }

  async #meet(
    fault: Fault | null,
    request: IncomingMessage,
    response: ServerResponse,
    entry: ProxiedRequest,
  ): Promise<void> {
    if (fault === null) {
      await this.#pass(request, response, entry);
      return;
    }
    switch (fault.type) {
      case 'answer':
        request.resume();
        await ended(request);
        answer(response, fault.status, fault.code, fault.retryAfter);
        break;
      case 'reset':
        request.socket.resetAndDestroy();
        break;
      case 'cut':
        await this.#cut(request, entry);
        break;
      case 'stall':
        request.resume();
        break;
      case 'trickle':
        await this.#trickle(fault.ms, request, response, entry);
        break;
      case 'error_body':
        if (fault.applied) await drained(await this.#forward(request, entry));
        else request.resume();
        answer(response, 200, 'InternalError');
        break;
      case 'reset_applied':
        await drained(await this.#forward(request, entry));
        request.socket.resetAndDestroy();
        break;
      case 'answer_applied':
        await drained(await this.#forward(request, entry));
        answer(response, fault.status, fault.code);
        break;
      case 'stall_applied':
        await drained(await this.#forward(request, entry));
    }
  }

  async #pass(request: IncomingMessage, response: ServerResponse, entry: ProxiedRequest): Promise<void> {
    const answered = await this.#forward(request, entry);
    response.writeHead(answered.statusCode ?? 502, answered.statusMessage, ownless(answered.rawHeaders));
    answered.on('data', (chunk: Buffer) => (entry.given += chunk.length));
    pipeline(answered, response, () => undefined);
  }

  /** @returns the store's answer, its body still to be read */
  async #forward(request: IncomingMessage, entry: ProxiedRequest): Promise<IncomingMessage> {
    const { hostname, port } = this.#target;
    const onward = httpRequest({
      agent: this.#agent,
      host: hostname,
      port,
      method: request.method,
      path: request.url,
      setHost: false,
      headers: ownless(request.rawHeaders) as never,
    });
    onward.setNoDelay(true);
    // A client that gives up in the middle takes the request with it.
    request.once('close', () => {
      if (!request.complete) onward.destroy();
    });
    const answered = once(onward, 'response') as Promise<[IncomingMessage]>;
    answered.catch(() => undefined);
    onward.on('error', () => request.socket.destroy());
    if (this.#bandwidth === null) pipeline(request, onward, () => undefined);
    else pipeline(request, this.#bandwidth.stream(), onward, () => undefined);
    const [response] = await answered;
    entry.applied = response.statusCode ?? null;
    return response;
  }

  async #cut(request: IncomingMessage, entry: ProxiedRequest): Promise<void> {
    const total = Number(request.headers['content-length'] ?? 0);
    if (total === 0) request.socket.resetAndDestroy();
    request.on('data', () => {
      if (entry.bytes >= total / 2) request.socket.resetAndDestroy();
    });
    await this.#forward(request, entry).catch(() => undefined);
  }

  async #trickle(
    ms: number,
    request: IncomingMessage,
    response: ServerResponse,
    entry: ProxiedRequest,
  ): Promise<void> {
    const parts: Buffer[] = [];
    await sleep(ms / 2);
    const answered = await this.#forward(request, entry);
    for await (const part of answered) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    response.writeHead(answered.statusCode ?? 502, answered.statusMessage, ownless(answered.rawHeaders));
    response.flushHeaders();
    const pieces = 8;
    for (let piece = 0; piece < pieces && !response.destroyed; piece += 1) {
      await sleep(ms / 2 / pieces);
      response.write(
        body.subarray(
          Math.floor((piece * body.length) / pieces),
          Math.floor(((piece + 1) * body.length) / pieces),
        ),
      );
    }
    response.end();
  }
}

function answer(response: ServerResponse, status: number, code: string, retryAfter?: number): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>made up by a test</Message></Error>`;
  const isBodyless = response.req.method === 'HEAD';
  response.writeHead(status, {
    'content-type': 'application/xml',
    'content-length': isBodyless ? 0 : Buffer.byteLength(body),
    ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
  });
  response.end(isBodyless ? undefined : body);
}

function ownless(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]];
    if (!ownHeaders.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}

async function ended(request: IncomingMessage): Promise<void> {
  if (!request.complete) await Promise.race([once(request, 'end'), once(request, 'close')]);
}

async function drained(answered: IncomingMessage): Promise<void> {
  answered.resume();
  await once(answered, 'close');
}
