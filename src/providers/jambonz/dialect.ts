import { isDigit } from '../digit.js';
import type { Dialect, InvalidEvent, ProviderEvent, UpstreamEvent } from '../Dialect.js';
import { idAt, invalid, numberAt, objectAt, parseObject, stringAt, unreadable } from '../JsonMessage.js';
import type { JsonObject } from '../JsonMessage.js';
import { pcmWarnings } from '../Payload.js';
import { recordingEvent, recordingMessage } from '../recordingMessage.js';
import { readClip } from './clip.js';
import { isStart, salvageStart, startEvent } from './start.js';
import { playOnJambonz } from './play.js';

/**
 * jambonz `listen`/`stream` (FreeSWITCH's mod_audio_fork): binary frames of signed 16-bit little-endian PCM without header,
 * clock or counter, and JSON text frames for the rest. Text never reaches the PCM, whatever it is.
 */
export const jambonzDialect: Dialect = {
  name: 'jambonz',
  capabilities: {
    timestamps: false,
    marks: 'unreliable',
    clearAcknowledged: true,
    ordered: true,
    framing: 'binary',
    encoding: 'pcm16',
    // After a stall one message holds the client's whole buffer: 5 s at most, 3.8 MB at 192 kHz stereo.
    maxMessageBytes: 4 * 1024 * 1024,
    // The client's playout buffer grows without bound.
    maxQueueMs: Infinity,
    amendMs: 5000,
    // The client offers one name, by version, and fails when it is answered with another.
    subprotocols: ['audio.jambonz.org', 'audio.drachtio.org', 'audiostream.drachtio.org'],
  },
  readProvider: (data, isBinary) => (isBinary ? providerAudio(data) : providerText(data.toString('utf8'))),
  readUpstream: (data, isBinary) => (isBinary ? upstreamAudio(data) : upstreamText(data.toString('utf8'))),
  play: playOnJambonz,
};

/** RTP's clock for telephone events at 8 kHz: eight units per ms. */
const dtmfUnitsPerMs = 8;

/** An odd byte is no fault of the audio: the rest of the sample comes with the next message. */
function providerAudio(payload: Buffer): ProviderEvent {
  if (payload.length === 0) return { kind: 'finish' };
  const warnings = pcmWarnings(payload);
  return { kind: 'audio', track: 'caller', payload, timestampMs: NaN, streamId: null, warnings };
}

function providerText(text: string): ProviderEvent {
  const message = parseFromBrace(text);
  if (typeof message !== 'string') return providerEvent(message);
  const salvaged = message === 'frame_not_json' ? salvageStart(text) : null;
  return salvaged === null ? unreadable(message, text) : startEvent(salvaged, ['start_invalid']);
}

/** Older feature servers put a name in front of the JSON. */
function parseFromBrace(text: string): ReturnType<typeof parseObject> {
  const message = parseObject(text);
  if (message !== 'frame_not_json') return message;
  const brace = text.indexOf('{');
  return brace > 0 ? parseObject(text.slice(brace)) : message;
}

function providerEvent(message: JsonObject): ProviderEvent {
  if (isStart(message)) return startEvent(message);
  if (message['event'] === 'dtmf') return dtmf(message);
  const type = stringAt(message, 'type');
  switch (type) {
    case 'mark':
      return markEcho(objectAt(message, 'data'));
    case 'playDone':
      return clipDone(objectAt(message, 'data'));
    default:
      return { kind: 'unknown', name: (type ?? stringAt(message, 'event') ?? '').slice(0, 80) };
  }
}

function dtmf(message: JsonObject): ProviderEvent {
  const digit = message['dtmf'];
  if (!isDigit(digit)) return invalid('dtmf_invalid', undefined, false);
  const units = numberAt(message, 'duration');
  return { kind: 'dtmf', digit, durationMs: units >= 0 ? units / dtmfUnitsPerMs : null, streamId: null };
}

function markEcho(data: JsonObject): ProviderEvent {
  const name = stringAt(data, 'name');
  if (name === null || !isMarkName(name)) return invalid('mark_invalid', name, false);
  return { kind: 'mark', name, streamId: null, cleared: data['event'] === 'cleared' };
}

function clipDone(data: JsonObject): ProviderEvent {
  return { kind: 'clipDone', id: idAt(data, 'id'), playedMs: playedMs(data) };
}

/**
 * Whether `playbackMilliseconds` is the whole duration or what goes beyond the whole seconds differs by source; its size
 * tells, because a remainder stays below 1000.
 */
function playedMs(data: JsonObject): number | null {
  const seconds = numberAt(data, 'playbackSeconds');
  const milliseconds = numberAt(data, 'playbackMilliseconds');
  if (milliseconds >= 1000) return milliseconds;
  const whole = seconds >= 0 ? seconds * 1000 : NaN;
  const rest = milliseconds >= 0 ? milliseconds : NaN;
  if (Number.isNaN(whole)) return Number.isNaN(rest) ? null : rest;
  return whole + (Number.isNaN(rest) ? 0 : rest);
}

function upstreamAudio(payload: Buffer): UpstreamEvent {
  if (payload.length === 0) return invalid('payload_empty');
  return { kind: 'audio', payload, streamId: null, warnings: pcmWarnings(payload) };
}

function upstreamText(text: string): UpstreamEvent {
  const message = parseObject(text);
  if (typeof message === 'string') return unreadable(message, text);
  const type = stringAt(message, 'type');
  switch (type) {
    case 'playAudio':
      return readClip(objectAt(message, 'data'));
    case 'killAudio':
      return { kind: 'clear', streamId: null };
    case 'mark':
      return upstreamMark(objectAt(message, 'data'));
    case 'clearMarks':
      return { kind: 'clearMarks' };
    case 'disconnect':
      return { kind: 'disconnect' };
    case recordingMessage:
      return recordingEvent(objectAt(message, 'data'), [], null);
    default:
      return { kind: 'unknown', name: (type ?? '').slice(0, 80) };
  }
}

/** The client pastes a mark's name into the JSON of its echo as it is, so a quote or a backslash would break the echo. */
function isMarkName(name: string): boolean {
  return /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,1024}$/.test(name);
}

function upstreamMark(data: JsonObject): UpstreamEvent | InvalidEvent {
  const name = stringAt(data, 'name');
  if (name === null || !isMarkName(name)) return invalid('mark_invalid', name);
  return { kind: 'mark', name, streamId: null };
}
