import type { ErrorCode } from '../../config/ReelayError.js';
import { decodeBase64 } from '../Base64.js';
import { isSafeId } from '../Dialect.js';
import { isDigit } from '../digit.js';
import type {
  AudioEvent,
  Dialect,
  InvalidEvent,
  ProviderEvent,
  StartEvent,
  UpstreamEvent,
} from '../Dialect.js';
import { invalid, isObject, numberAt, objectAt, parseObject, stringAt, unreadable } from '../JsonMessage.js';
import type { JsonObject } from '../JsonMessage.js';
import { boundedParameters } from '../Parameters.js';
import { headerWarnings } from '../Payload.js';
import { recordingEvent, recordingMessage } from '../recordingMessage.js';
import { findMedia } from './mediaText.js';
import { playOnTwilio } from './play.js';
import { twilioSampleRate } from './sampleRate.js';

/**
 * Twilio Media Streams: JSON text frames, audio as base64 of raw G.711 mu-law at 8 kHz (Twilio, "Media Streams -
 * WebSocket Messages"). Providers that speak the same (SignalWire, Fonoster) leave fields out or send numbers for
 * strings, so whatever isn't needed may be missing.
 *
 * A provider's message that is well formed but wrong inside is passed on, because without a relay the bot would have got
 * it too; what isn't a JSON object, and a start that can't be used, isn't.
 */
export const twilioDialect: Dialect = {
  name: 'twilio',
  capabilities: {
    timestamps: true,
    marks: 'played',
    clearAcknowledged: true,
    ordered: true,
    framing: 'json-base64',
    encoding: 'mulaw',
    // Media messages have a few hundred bytes; a start may carry many custom parameters of up to 500 characters each.
    maxMessageBytes: 64 * 1024,
    // Warning 31931: further audio is discarded once about ten minutes are queued.
    maxQueueMs: 600_000,
    amendMs: 1500,
    subprotocols: [],
  },
  readProvider: (data, isBinary) =>
    (isBinary ? null : spokenByProvider(data)) ?? read(data, isBinary, providerEvent),
  readUpstream: (data, isBinary) =>
    (isBinary ? null : spokenByBot(data)) ?? read(data, isBinary, upstreamEvent),
  play: playOnTwilio,
};

/** Whether a fault keeps a message from the other side. */
const forwarded = false;
const dropped = true;

/** A media message without anything to complain about; null: a parser has to look at it. */
function spokenByProvider(data: Buffer): AudioEvent | null {
  const found = findMedia(data);
  if (found === null || Number.isNaN(found.timestampMs)) return null;
  const { payload, timestampMs, streamId } = found;
  const track = trackNames.get(found.track ?? undefined);
  if (track === undefined) return null;
  return { kind: 'audio', track, payload, timestampMs, streamId, warnings: headerWarnings(payload) };
}

function spokenByBot(data: Buffer): UpstreamEvent | null {
  const found = findMedia(data);
  if (found === null) return null;
  const { payload, streamId } = found;
  return { kind: 'audio', payload, streamId, warnings: headerWarnings(payload) };
}

function read<Event>(
  data: Buffer,
  isBinary: boolean,
  eventOf: (message: JsonObject, name: string) => Event,
): Event | InvalidEvent {
  if (isBinary) return invalid('frame_binary', `${data.length} bytes`, dropped);
  const text = data.toString('utf8');
  const message = parseObject(text);
  if (typeof message === 'string') return unreadable(message, text);
  const name = message['event'];
  return typeof name === 'string' ? eventOf(message, name) : unreadable('frame_not_object', text);
}

function providerEvent(message: JsonObject, name: string): ProviderEvent {
  switch (name) {
    case 'media':
      return providerMedia(message);
    case 'mark':
      return providerMark(message);
    case 'dtmf':
      return dtmf(message);
    case 'connected':
      return { kind: 'connected' };
    case 'start':
      return start(message);
    case 'stop':
      return { kind: 'stop', streamId: stringAt(message, 'streamSid') };
    default:
      return { kind: 'unknown', name: name.slice(0, 80) };
  }
}

const trackNames = new Map<unknown, 'caller' | 'bot'>([
  [undefined, 'caller'],
  ['inbound', 'caller'],
  ['inbound_track', 'caller'],
  ['outbound', 'bot'],
  ['outbound_track', 'bot'],
]);

function providerMedia(message: JsonObject): AudioEvent | InvalidEvent {
  const media = objectAt(message, 'media');
  const payload = decodeBase64(media['payload']);
  if (typeof payload === 'string') return invalid(payload, media['payload'], forwarded);
  const track = trackNames.get(media['track']);
  if (track === undefined) return invalid('track_invalid', media['track'], forwarded);
  const timestampMs = numberAt(media, 'timestamp');
  if (!(timestampMs >= 0)) return invalid('timestamp_invalid', media['timestamp'], forwarded);
  const streamId = stringAt(message, 'streamSid');
  return { kind: 'audio', track, payload, timestampMs, streamId, warnings: headerWarnings(payload) };
}

function providerMark(message: JsonObject): ProviderEvent {
  const name = markName(message);
  if (name === null || name.length > maxMarkCharacters) return invalid('mark_invalid', name, forwarded);
  return { kind: 'mark', name, streamId: stringAt(message, 'streamSid'), cleared: false };
}

/** A longer name is passed on, mark and echo alike, but not noted: it would be larger than a recording's event may be. */
const maxMarkCharacters = 1024;

function markName(message: JsonObject): string | null {
  const name = stringAt(objectAt(message, 'mark'), 'name');
  return name === '' ? null : name;
}

/** Twilio gives no duration; SignalWire gives one in ms. */
function dtmf(message: JsonObject): ProviderEvent {
  const fields = objectAt(message, 'dtmf');
  const digit = fields['digit'];
  if (!isDigit(digit)) return invalid('dtmf_invalid', undefined, forwarded);
  const duration = numberAt(fields, 'duration');
  return {
    kind: 'dtmf',
    digit,
    durationMs: duration >= 0 ? duration : null,
    streamId: stringAt(message, 'streamSid'),
  };
}

function start(message: JsonObject): StartEvent | InvalidEvent {
  const fields = message['start'];
  if (!isObject(fields)) return invalid('start_invalid', message['start'], dropped);
  const ids = startIds(message, fields);
  if ('kind' in ids) return ids;
  const warnings = new Set<ErrorCode>();
  const format = audioFormat(fields, warnings);
  const parameters = customParameters(fields, warnings);
  return {
    kind: 'start',
    ...ids,
    ...format,
    from: toldBy(parameters, 'from', 'From'),
    to: toldBy(parameters, 'to', 'To'),
    direction: toldBy(parameters, 'direction', 'Direction'),
    parameters,
    warnings: [...warnings],
  };
}

/** Twilio doesn't say who calls whom; whoever writes the TwiML may, under the names that jambonz has for it or those of Twilio's webhooks. */
function toldBy(parameters: JsonObject, ...names: readonly string[]): string | null {
  const said = names.map((name) => parameters[name]);
  return said.find((value): value is string => typeof value === 'string' && value !== '') ?? null;
}

type StartIds = Pick<StartEvent, 'accountId' | 'callId' | 'streamId'>;

function startIds(message: JsonObject, fields: JsonObject): StartIds | InvalidEvent {
  const streamId = fields['streamSid'] ?? message['streamSid'];
  if (message['streamSid'] !== undefined && message['streamSid'] !== streamId) {
    return invalid('stream_mismatch', message['streamSid'], dropped);
  }
  const accountId = fields['accountSid'];
  const callId = fields['callSid'];
  for (const id of [accountId, callId, streamId]) {
    if (id === undefined || id === null || id === '') return invalid('start_invalid', fields, dropped);
    if (!isSafeId(id)) return invalid('call_id_invalid', id, dropped);
  }
  return { accountId, callId, streamId } as StartIds;
}

const mulawNames: readonly unknown[] = [undefined, 'audio/x-mulaw', 'audio/mulaw', 'PCMU', 'mulaw'];

function audioFormat(fields: JsonObject, warnings: Set<ErrorCode>) {
  const format = objectAt(fields, 'mediaFormat');
  if (numberAt(format, 'sampleRate') !== twilioSampleRate) warnings.add('sample_rate_invalid');
  if (!mulawNames.includes(format['encoding'])) warnings.add('start_invalid');
  return { sampleRate: twilioSampleRate, channels: 1, tracks: tracksOf(fields, warnings) } as const;
}

/** A start without tracks comes from a bidirectional stream, which carries the caller alone. */
function tracksOf(fields: JsonObject, warnings: Set<ErrorCode>): readonly ('caller' | 'bot')[] {
  const names = fields['tracks'] ?? ['inbound'];
  const list: readonly unknown[] = Array.isArray(names) ? names : [names];
  const tracks = new Set<'caller' | 'bot'>();
  for (const name of list) {
    const track = name === undefined ? undefined : trackNames.get(name);
    if (track === undefined) warnings.add('start_invalid');
    else tracks.add(track);
  }
  if (tracks.size > 0) return [...tracks];
  warnings.add('start_invalid');
  return ['caller'];
}

function customParameters(fields: JsonObject, warnings: Set<ErrorCode>): JsonObject {
  const parameters = fields['customParameters'] ?? {};
  if (isObject(parameters)) return boundedParameters(parameters, warnings);
  warnings.add('start_invalid');
  return {};
}

function upstreamEvent(message: JsonObject, name: string): UpstreamEvent {
  const streamId = stringAt(message, 'streamSid');
  switch (name) {
    case 'media':
      return upstreamMedia(message, streamId);
    case 'mark': {
      const mark = markName(message);
      if (mark === null) return invalid('mark_invalid', null, dropped);
      if (mark.length > maxMarkCharacters) return invalid('mark_invalid', mark, forwarded);
      return { kind: 'mark', name: mark, streamId };
    }
    case 'clear':
      return { kind: 'clear', streamId };
    case recordingMessage:
      return recordingEvent(message, ['event', 'streamSid'], streamId);
    default:
      return { kind: 'unknown', name: name.slice(0, 80) };
  }
}

function upstreamMedia(message: JsonObject, streamId: string | null): UpstreamEvent {
  const encoded = objectAt(message, 'media')['payload'];
  const payload = decodeBase64(encoded);
  if (typeof payload === 'string') return invalid(payload, encoded, dropped);
  return { kind: 'audio', payload, streamId, warnings: headerWarnings(payload) };
}
