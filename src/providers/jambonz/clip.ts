import { kernels } from '../../audio/kernels.js';
import { readWavHeader, WavFormat } from '../../audio/wav.js';
import { ReelayError } from '../../config/ReelayError.js';
import type { ErrorCode } from '../../config/ReelayError.js';
import { decodeBase64 } from '../Base64.js';
import type { InvalidEvent, UpstreamEvent } from '../Dialect.js';
import { idAt, invalid } from '../JsonMessage.js';
import type { JsonObject } from '../JsonMessage.js';
import { noWarnings, pcmWarnings } from '../Payload.js';
import { isSampleRate } from '../sampleRate.js';

type ClipEvent = Extract<UpstreamEvent, { readonly kind: 'clip' }>;

/** Rates that the client takes for raw clips, Hz; anything else it plays at 16 kHz. */
const rawSampleRates: readonly unknown[] = [8000, 16_000, 24_000, 32_000, 48_000, 64_000];
const rawFallbackRate = 16_000;

/**
 * Reads a `playAudio` command as the client does, so that the clip's samples and rate are those that are played.
 *
 * A command without `audioContentType` is kept from the client, because it crashes on it and ends every call on its
 * host, and so is one without audio. A WAV that can't be read here is passed on: the client may know its format.
 */
export function readClip(data: JsonObject): ClipEvent | InvalidEvent {
  const type = data['audioContentType'];
  if (type !== 'raw' && type !== 'wav' && type !== 'wave') return invalid('clip_invalid', type ?? null);
  const encoded = data['audioContent'];
  const content = decodeBase64(encoded);
  if (typeof content === 'string') return invalid(content, encoded);
  const audio = type === 'raw' ? rawAudio(data, content) : wavAudio(content);
  if (typeof audio === 'string')
    return invalid(audio, content.toString('latin1', 0, 16), audio === 'payload_empty');
  return { kind: 'clip', id: idAt(data, 'id'), queued: Boolean(data['queuePlay']), ...audio };
}

type ClipAudio = Pick<ClipEvent, 'sampleRate' | 'payload' | 'warnings'>;

/** The client reads the rate as an integer and knows no strings. */
function rawAudio(data: JsonObject, content: Buffer): ClipAudio | ErrorCode {
  if (content.length < 2) return 'payload_empty';
  const warnings: ErrorCode[] = [...pcmWarnings(content)];
  const given = data['sampleRate'];
  const rate = typeof given === 'number' ? Math.trunc(given) : NaN;
  const known = rawSampleRates.includes(rate);
  if (!known) warnings.push('sample_rate_invalid');
  const payload = content.subarray(0, content.length & ~1);
  return { sampleRate: known ? rate : rawFallbackRate, payload, warnings };
}

function wavAudio(content: Buffer): ClipAudio | ErrorCode {
  let header;
  try {
    header = readWavHeader(content);
  } catch (error) {
    return error instanceof ReelayError ? error.code : 'clip_unreadable';
  }
  // Writers that can't seek claim nothing, or more than there is.
  const audio = content.subarray(header.dataOffset, header.dataOffset + (header.dataBytes || content.length));
  const samples = pcm16Of(audio, header.formatTag, header.bitsPerSample);
  if (samples === null || !isPlayable(header)) return 'clip_unreadable';
  if (samples.length < 2) return 'payload_empty';
  const mono = header.channels === 1 ? samples : averageOf(samples);
  return {
    sampleRate: header.sampleRate,
    payload: mono,
    warnings: audio.length % 2 === 1 && header.bitsPerSample === 16 ? ['payload_odd'] : noWarnings,
  };
}

function isPlayable({ channels, sampleRate }: { channels: number; sampleRate: number }): boolean {
  return (channels === 1 || channels === 2) && isSampleRate(sampleRate);
}

/** Little-endian 16-bit samples of a WAV's data, or null where it holds something else. */
function pcm16Of(audio: Buffer, formatTag: number, bits: number): Uint8Array | null {
  if (bits === 16 && formatTag === WavFormat.pcm) {
    return audio.subarray(0, audio.length & ~1);
  }
  if (bits !== 8 || (formatTag !== WavFormat.mulaw && formatTag !== WavFormat.alaw)) return null;
  const samples = new Int16Array(audio.length);
  if (formatTag === WavFormat.mulaw) kernels.decodeMulaw(audio, samples);
  else kernels.decodeAlaw(audio, samples);
  return new Uint8Array(samples.buffer);
}

/** What a mono call hears of a stereo file: the mean of its channels. */
function averageOf(interleaved: Uint8Array): Uint8Array {
  const frames = interleaved.length >> 2;
  const from = new DataView(interleaved.buffer, interleaved.byteOffset, interleaved.byteLength);
  const mono = new DataView(new ArrayBuffer(frames * 2));
  for (let i = 0; i < frames; i++) {
    const sum = from.getInt16(i * 4, true) + from.getInt16(i * 4 + 2, true);
    mono.setInt16(i * 2, sum >> 1, true);
  }
  return new Uint8Array(mono.buffer);
}
