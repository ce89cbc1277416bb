import type { Logger } from 'pino';
import type { Config } from '../config/Config.js';
import { readinessOf } from '../config/readiness.js';
import { ReelayError } from '../config/ReelayError.js';
import type { StartTokens } from '../providers/twilio/startToken.js';
import type { PlainRequest, PlainResponse, ThreadStates } from './ControlMessage.js';
import { httpErrorOf } from './api/HttpError.js';
import type { RoomWatch } from './rooms/RoomWatch.js';
import { answerVoice, type FindAccount } from './VoiceWebhook.js';

export interface MediaHttpSources {
  readonly config: Config;
  readonly tokens: StartTokens;
  readonly threads: ThreadStates;
  readonly findAccount: FindAccount;
  readonly rooms: Pick<RoomWatch, 'receive'>;
  readonly log: Logger;
}

/** Answers the plain HTTP requests of the media port: webhooks of Twilio and LiveKit, and health. Never rejects. */
export async function answerMediaHttp(
  request: PlainRequest,
  sources: MediaHttpSources,
): Promise<PlainResponse> {
  const path = request.url.split('?')[0] ?? '';
  try {
    if (request.method === 'POST' && path === '/twilio/voice') {
      const body = await answerVoice(sources.config, request, sources.tokens, sources.findAccount);
      return { status: 200, headers: { 'content-type': 'text/xml; charset=utf-8' }, body };
    }
    if (request.method === 'POST' && path === '/livekit/webhook') {
      await sources.rooms.receive(request);
      return json(200, {});
    }
    if (request.method === 'GET' && path === '/healthz') return json(200, { status: 'ok' });
    if (request.method === 'GET' && path === '/readyz') {
      const { status, body } = readinessOf(sources.threads);
      return json(status, body);
    }
    throw new ReelayError('not_found', { value: `${request.method} ${path}` });
  } catch (error) {
    const { status, headers, body } = httpErrorOf(error);
    const level = status === 404 ? 'debug' : 'warn';
    sources.log[level](
      { err: error, code: body.code, path, remoteAddress: request.remoteAddress },
      'refused',
    );
    return json(status, body, headers);
  }
}

function json(status: number, value: object, headers: Readonly<Record<string, string>> = {}): PlainResponse {
  const type = { 'content-type': 'application/json; charset=utf-8' };
  return { status, headers: { ...type, ...headers }, body: JSON.stringify(value) };
}
