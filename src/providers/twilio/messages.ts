/**
 * Writers of the messages that Twilio and its bots send, each the text of one frame, for simulators and tests. Counters
 * are strings and the media format has numbers, as Twilio writes them.
 */

/** What every message of one stream carries. */
interface Numbered {
  readonly streamSid: string;
  /** Counts all messages of the stream from 1. */
  readonly sequenceNumber: number;
}

export interface TwilioStart extends Numbered {
  readonly accountSid: string;
  readonly callSid: string;
  /** Default `['inbound']`, as on a bidirectional stream. */
  readonly tracks?: readonly ('inbound' | 'outbound')[];
  readonly customParameters?: Readonly<Record<string, string>>;
}

export interface TwilioMedia extends Numbered {
  readonly track?: 'inbound' | 'outbound';
  /** Counts the media messages of the track from 1. */
  readonly chunk: number;
  /** ms since the stream's start. */
  readonly timestamp: number;
  /** Raw mu-law at 8 kHz. */
  readonly payload: Uint8Array;
}

export function twilioConnected(): string {
  return JSON.stringify({ event: 'connected', protocol: 'Call', version: '1.0.0' });
}

export function twilioStart(start: TwilioStart): string {
  return JSON.stringify({
    event: 'start',
    sequenceNumber: String(start.sequenceNumber),
    start: {
      accountSid: start.accountSid,
      streamSid: start.streamSid,
      callSid: start.callSid,
      tracks: start.tracks ?? ['inbound'],
      mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
      customParameters: start.customParameters ?? {},
    },
    streamSid: start.streamSid,
  });
}

export function twilioMedia(media: TwilioMedia): string {
  return JSON.stringify({
    event: 'media',
    sequenceNumber: String(media.sequenceNumber),
    media: {
      track: media.track ?? 'inbound',
      chunk: String(media.chunk),
      timestamp: String(media.timestamp),
      payload: base64(media.payload),
    },
    streamSid: media.streamSid,
  });
}

export function twilioDtmf(dtmf: Numbered & { readonly digit: string }): string {
  return JSON.stringify({
    event: 'dtmf',
    streamSid: dtmf.streamSid,
    sequenceNumber: String(dtmf.sequenceNumber),
    dtmf: { digit: dtmf.digit, track: 'inbound_track' },
  });
}

/** The echo of a mark, once what was queued before it was played or cleared. */
export function twilioMark(mark: Numbered & { readonly name: string }): string {
  return JSON.stringify({
    event: 'mark',
    sequenceNumber: String(mark.sequenceNumber),
    streamSid: mark.streamSid,
    mark: { name: mark.name },
  });
}

export function twilioStop(
  stop: Numbered & { readonly accountSid: string; readonly callSid: string },
): string {
  return JSON.stringify({
    event: 'stop',
    sequenceNumber: String(stop.sequenceNumber),
    stop: { accountSid: stop.accountSid, callSid: stop.callSid },
    streamSid: stop.streamSid,
  });
}

/** Audio from the bot. @param audio - raw mu-law at 8 kHz, any length; or that in base64 */
export function twilioBotMedia(streamSid: string, audio: Uint8Array | string): string {
  const payload = typeof audio === 'string' ? audio : base64(audio);
  return JSON.stringify({ event: 'media', streamSid, media: { payload } });
}

/** Asks for an echo once everything that was sent before has been played. */
export function twilioBotMark(streamSid: string, name: string): string {
  return JSON.stringify({ event: 'mark', streamSid, mark: { name } });
}

/** Drops what is queued and not yet played. */
export function twilioBotClear(streamSid: string): string {
  return JSON.stringify({ event: 'clear', streamSid });
}

export function base64(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64');
}
