import type { ErrorCode } from '../../config/ReelayError.js';
import { isSafeId } from '../Dialect.js';
import type { InvalidEvent, StartEvent } from '../Dialect.js';
import { invalid, numberAt, stringAt } from '../JsonMessage.js';
import type { JsonObject } from '../JsonMessage.js';
import { boundedParameters } from '../Parameters.js';
import { isSampleRate } from '../sampleRate.js';

/**
 * The first text frame of a jambonz socket: `{sampleRate, mixType}`, the call's facts, and the application's metadata
 * merged flat on top, so any key may be there, of any type, and even the ids may be the application's. Nothing in it
 * proves anything.
 */

/** Rate of a stream that doesn't say one, Hz: jambonz's own default. */
const defaultSampleRate = 8000;

/** Only the first frame has these at top level; metadata may add `type` or `event`, which can't tell it apart. */
const startFields = ['sampleRate', 'mixType', 'callSid', 'accountSid'] as const;

export function isStart(message: JsonObject): boolean {
  return startFields.some((field) => Object.hasOwn(message, field));
}

/** @param found - warnings that reading the text already gave */
export function startEvent(message: JsonObject, found: readonly ErrorCode[] = []): StartEvent | InvalidEvent {
  const ids = startIds(message);
  if ('kind' in ids) return ids;
  const warnings = new Set<ErrorCode>(found);
  return {
    kind: 'start',
    ...ids,
    streamId: null,
    sampleRate: sampleRateOf(message, warnings),
    ...mixOf(message, warnings),
    from: stringAt(message, 'from'),
    to: stringAt(message, 'to'),
    direction: stringAt(message, 'direction'),
    parameters: boundedParameters(message, warnings),
    warnings: [...warnings],
  };
}

type StartIds = Pick<StartEvent, 'accountId' | 'callId'>;

/** The first frame of a nested listen is a raw copy of an internal object, whose names may carry an underscore. */
function startIds(message: JsonObject): StartIds | InvalidEvent {
  const accountId = message['accountSid'] ?? message['_accountSid'] ?? message['account_sid'];
  const callId = message['callSid'] ?? message['_callSid'] ?? message['call_sid'];
  for (const id of [accountId, callId]) {
    if (id === undefined || id === null || id === '') return invalid('start_invalid', message);
    if (!isSafeId(id)) return invalid('call_id_invalid', id);
  }
  return { accountId, callId } as StartIds;
}

function sampleRateOf(message: JsonObject, warnings: Set<ErrorCode>): number {
  const rate = numberAt(message, 'sampleRate');
  if (isSampleRate(rate)) return rate;
  warnings.add('sample_rate_invalid');
  return defaultSampleRate;
}

const mono = { channels: 1, tracks: ['caller'] } as const;
const mixes = new Map<unknown, Pick<StartEvent, 'channels' | 'tracks'>>([
  ['mono', mono],
  ['mixed', { channels: 1, tracks: ['mixed'] }],
  ['stereo', { channels: 2, tracks: ['both'] }],
]);

function mixOf(message: JsonObject, warnings: Set<ErrorCode>): Pick<StartEvent, 'channels' | 'tracks'> {
  const mix = mixes.get(stringAt(message, 'mixType')?.trim().toLowerCase());
  if (mix === undefined) warnings.add('start_invalid');
  return mix ?? mono;
}

const wanted = [
  'sampleRate',
  'mixType',
  'callSid',
  'accountSid',
  'from',
  'to',
  'direction',
  'callId',
  'traceId',
];
const scalar = new RegExp(
  String.raw`"(${wanted.join('|')})"\s*:\s*(?:"([^"\\\u0000-\u001f]{0,256})"|(\d{1,12}))`,
  'g',
);
/** The client's fixed buffer; longer text was not cut by it and is not searched further. */
const clientBufferBytes = 8192;

/**
 * What can be saved from a first frame that is not JSON: the client cuts it at 8192 bytes, and older ones pasted values
 * without escaping. The first occurrence of a name counts, because the call's own facts precede everything nested.
 *
 * @returns null where the text holds nothing of a start message
 */
export function salvageStart(text: string): JsonObject | null {
  const found = new Map<string, unknown>();
  for (const [, name = '', string, digits] of text.slice(0, clientBufferBytes).matchAll(scalar)) {
    if (!found.has(name)) found.set(name, string ?? digits);
  }
  if (!found.has('callSid')) return null;
  return Object.fromEntries(found);
}
