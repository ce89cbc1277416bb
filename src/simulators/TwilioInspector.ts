import { decodeBase64 } from '../providers/Base64.js';

/** What a server said to Twilio, or why Twilio would warn about it and ignore it. */
export type TwilioCommand =
  | { readonly kind: 'media'; readonly payload: Buffer }
  | { readonly kind: 'mark'; readonly name: string }
  | { readonly kind: 'clear' }
  | { readonly kind: 'violation'; readonly code: '31950' | '31951'; readonly reason: string };

const fieldsOf: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['media', ['event', 'streamSid', 'media']],
  ['mark', ['event', 'streamSid', 'mark']],
  ['clear', ['event', 'streamSid']],
]);

/**
 * Judges a message as strictly as Twilio documents it: text frames only (31950), JSON of a known event with exactly the
 * fields it has, and the stream's own id (31951). Twilio Media Streams, "Messages from your server"; errors 31950 and 31951.
 */
export function inspectTwilio(data: Buffer, isBinary: boolean, streamSid: string): TwilioCommand {
  if (isBinary) return { kind: 'violation', code: '31950', reason: 'a binary frame' };
  const message = parse(data);
  if (message === null) return violation('not a JSON object');
  const event = message['event'];
  const fields = fieldsOf.get(event);
  if (fields === undefined) return violation('an event that does not exist');
  const wrong = wrongFields(message, fields);
  if (wrong !== null) return violation(wrong);
  if (message['streamSid'] !== streamSid) return violation('the streamSid of another stream');
  if (event === 'media') return media(message['media']);
  return event === 'mark' ? mark(message['mark']) : { kind: 'clear' };
}

function media(body: unknown): TwilioCommand {
  const wrong = isObject(body) ? wrongFields(body, ['payload'], 'media.') : 'media is not an object';
  if (wrong !== null || !isObject(body)) return violation(wrong ?? '');
  const payload = decodeBase64(body['payload']);
  return typeof payload === 'string'
    ? violation(payload === 'payload_empty' ? 'media.payload is empty' : 'media.payload is not base64')
    : { kind: 'media', payload };
}

function mark(body: unknown): TwilioCommand {
  const wrong = isObject(body) ? wrongFields(body, ['name'], 'mark.') : 'mark is not an object';
  if (wrong !== null || !isObject(body)) return violation(wrong ?? '');
  const name = body['name'];
  return typeof name === 'string' && name !== ''
    ? { kind: 'mark', name }
    : violation('mark.name is not text');
}

function violation(reason: string): TwilioCommand {
  return { kind: 'violation', code: '31951', reason };
}

function wrongFields(
  message: Record<string, unknown>,
  fields: readonly string[],
  prefix = '',
): string | null {
  const missing = fields.find((field) => message[field] === undefined);
  if (missing !== undefined) return `${prefix}${missing} is missing`;
  const extra = Object.keys(message).find((field) => !fields.includes(field));
  return extra === undefined ? null : `${prefix}${extra} is not a field of this message`;
}

function parse(data: Buffer): Record<string, unknown> | null {
  try {
    const message: unknown = JSON.parse(data.toString('utf8'));
    return isObject(message) ? message : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
