/**
 * Writers of the text frames that jambonz and its applications send, each the text of one frame, for simulators and
 * tests. Audio has no writer: it is a binary frame of 16-bit samples and nothing else.
 */

export interface JambonzStart {
  /** Hz. */
  readonly sampleRate: number;
  readonly mixType: 'mono' | 'mixed' | 'stereo';
  readonly callSid: string;
  readonly accountSid: string;
  readonly from?: string;
  readonly to?: string;
  readonly direction?: 'inbound' | 'outbound';
  /** The application's own keys, merged flat over the call's facts. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export function jambonzStart(start: JambonzStart): string {
  const { metadata, sampleRate, mixType, ...call } = start;
  const facts = {
    callId: `${call.callSid}@127.0.0.1`,
    sipStatus: 200,
    sipReason: 'OK',
    callStatus: 'in-progress',
  };
  return JSON.stringify({ sampleRate, mixType, direction: 'inbound', ...call, ...facts, ...metadata });
}

/** The one message that says `event` where the others say `type`; its duration counts eighths of a millisecond. */
export function jambonzDtmf(digit: string, durationMs: number): string {
  return JSON.stringify({ event: 'dtmf', dtmf: digit, duration: String(Math.round(durationMs * 8)) });
}

/** @param playedMs - how much of the clip was played */
export function jambonzPlayDone(id: string | null, playedMs: number): string {
  const data = {
    ...(id === null ? {} : { id }),
    playbackSeconds: String(Math.floor(playedMs / 1000)),
    playbackMilliseconds: String(Math.round(playedMs)),
    playbackLastOffsetPos: '0',
  };
  return JSON.stringify({ type: 'playDone', data });
}

/** Pastes the name unescaped, as the client does. */
export function jambonzMark(name: string, event: 'playout' | 'cleared'): string {
  return `{"type":"mark","data":{"name":"${name}","event":"${event}"}}`;
}

export interface JambonzPlayAudio {
  readonly audioContentType: 'raw' | 'wav';
  /** A WAV file, or 16-bit little-endian mono samples. */
  readonly audioContent: Uint8Array;
  /** Hz; raw only: 8000, 16000, 24000, 32000, 48000 or 64000. */
  readonly sampleRate?: number;
  readonly id?: string;
  /** Whether to wait for the clips before it; otherwise it starts at once and drops them. */
  readonly queuePlay?: boolean;
}

export function jambonzPlayAudio(clip: JambonzPlayAudio): string {
  const { audioContent, ...rest } = clip;
  const bytes = Buffer.from(audioContent.buffer, audioContent.byteOffset, audioContent.byteLength);
  return JSON.stringify({ type: 'playAudio', data: { ...rest, audioContent: bytes.toString('base64') } });
}

export function jambonzKillAudio(): string {
  return JSON.stringify({ type: 'killAudio' });
}

export function jambonzBotMark(name: string): string {
  return JSON.stringify({ type: 'mark', data: { name } });
}

export function jambonzClearMarks(): string {
  return JSON.stringify({ type: 'clearMarks' });
}

export function jambonzDisconnect(): string {
  return JSON.stringify({ type: 'disconnect' });
}
