import { createRequire } from 'node:module';
import type OpusScript from 'opusscript';
import { ReelayError } from '../config/ReelayError.js';
import { bytesOf, samplesOf } from './pcm.js';

/** Opus encoder and decoder of one stream, interleaved PCM16 on the one side, raw packets (RFC 6716) on the other. */
export interface OpusCodec {
  readonly implementation: OpusImplementation;
  /**
   * @param pcm - one frame of 2.5, 5, 10, 20, 40 or 60 ms
   * @throws ReelayError `opus_invalid`
   */
  encode(pcm: Int16Array): Uint8Array;
  /**
   * @returns the packet's samples, in memory of their own
   * @throws ReelayError `opus_invalid`
   */
  decode(packet: Uint8Array): Int16Array;
  /** Gives the codec's memory back; it can't be used afterwards. */
  delete(): void;
}

/** `native`: the optional dependency `@discordjs/opus`. `wasm`: `opusscript`. */
export type OpusImplementation = 'native' | 'wasm';

export interface OpusOptions {
  /** Hz: 8000, 12000, 16000, 24000 or 48000. */
  readonly sampleRate: number;
  /** 1 or 2. */
  readonly channels: number;
  /** How it encodes. Default: as its library does by itself, which may be different with each. */
  readonly encoder?: OpusEncoding;
}

/**
 * For listeners rather than for a conversation: the signal itself is followed, not a model of speech, and two channels stay two
 * however alike they are.
 */
export interface OpusEncoding {
  /** bit/s of all channels, 500 to 512,000 (RFC 6716, section 2.1.1). */
  readonly bitrate: number;
  /** 0 to 10: how much work is done for the same bit rate. */
  readonly complexity: number;
}

/** What both libraries have in common. */
interface Engine {
  /** Of the encoder. */
  ask(request: number, value: number): void;
  encode(pcm: Buffer): Uint8Array;
  decode(packet: Buffer): Uint8Array;
  delete(): void;
}

const require = createRequire(import.meta.url);
const sampleRates = [8000, 12_000, 16_000, 24_000, 48_000] as const;
export type OpusRate = (typeof sampleRates)[number];
const frameMs = [2.5, 5, 10, 20, 40, 60];

/** Both libraries reserve this much for a packet: 3 × 1276 bytes, three of the largest frames of RFC 6716 section 3.2. */
const maxPacketBytes = 3828;

/** Requests to an encoder, by their numbers in libopus (`opus_defines.h`). */
const request = { application: 4000, bitrate: 4002, complexity: 4010, forceChannels: 4022 } as const;
/** `OPUS_APPLICATION_AUDIO`. */
const forAudio = 2049;

/**
 * opusscript 0.0.8 puts its sample buffers at twice the address that it reserved (a byte address used as an index of
 * 16-bit elements). The first 24 codecs land in unused memory by that, later ones outside of it; 16 keep away from both.
 */
const maxWasmCodecs = 16;
let wasmCodecs = 0;

type NativeEncoder = new (
  sampleRate: number,
  channels: number,
) => {
  applyEncoderCTL(request: number, value: number): void;
  encode(pcm: Buffer): Buffer;
  decode(packet: Buffer): Buffer;
};
let native: NativeEncoder | null | undefined;

/**
 * A codec on `@discordjs/opus` where that could be built, else on WebAssembly.
 *
 * @param implementation - asks for one of the two; `native` then fails where it isn't there
 * @throws ReelayError `opus_invalid`
 */
export function createOpusCodec(options: OpusOptions, implementation?: OpusImplementation): OpusCodec {
  const { sampleRate, channels } = options;
  if (!isOpusRate(sampleRate) || (channels !== 1 && channels !== 2)) {
    throw invalid(
      `${channels} channels at ${sampleRate} Hz`,
      `Use 1 or 2 channels at ${sampleRates.join(', ')} Hz.`,
    );
  }
  const chosen = implementation ?? opusImplementation();
  const engine = chosen === 'native' ? nativeEngine(sampleRate, channels) : wasmEngine(sampleRate, channels);
  if (options.encoder !== undefined) tune(engine, channels, options.encoder);
  return {
    implementation: chosen,
    encode: (pcm) => encode(engine, pcm, options),
    decode: (packet) => decode(engine, packet),
    delete: () => engine.delete(),
  };
}

/** Which implementation {@link createOpusCodec} uses on this machine. */
export function opusImplementation(): OpusImplementation {
  return loadNative() === null ? 'wasm' : 'native';
}

/** The lowest rate of Opus that loses nothing of this one, Hz; 48 kHz for what is above them all. */
export function opusRateOf(sampleRate: number): OpusRate {
  return sampleRates.find((rate) => rate >= sampleRate) ?? 48_000;
}

/** Before its first frame, since the application can't change afterwards. */
function tune(engine: Engine, channels: number, { bitrate, complexity }: OpusEncoding): void {
  try {
    attempt(() => {
      engine.ask(request.application, forAudio);
      engine.ask(request.forceChannels, channels);
      engine.ask(request.bitrate, bitrate);
      engine.ask(request.complexity, complexity);
    });
  } catch (error) {
    engine.delete();
    throw error;
  }
}

function isOpusRate(rate: number): rate is OpusRate {
  return sampleRates.some((known) => known === rate);
}

function encode(engine: Engine, pcm: Int16Array, { sampleRate, channels }: OpusOptions): Uint8Array {
  // Checked here because @discordjs/opus uses libopus's error code as a length.
  const ms = (pcm.length * 1000) / channels / sampleRate;
  if (!frameMs.includes(ms)) {
    throw invalid(`a frame of ${pcm.length} samples`, `Encode frames of ${frameMs.join(', ')} ms.`);
  }
  return attempt(() => engine.encode(Buffer.from(bytesOf(pcm))));
}

function decode(engine: Engine, packet: Uint8Array): Int16Array {
  if (packet.length === 0 || packet.length > maxPacketBytes) {
    throw invalid(`a packet of ${packet.length} bytes`, `Packets have 1 to ${maxPacketBytes} bytes.`);
  }
  return samplesOf(attempt(() => engine.decode(Buffer.from(packet))));
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const value = cause instanceof Error ? cause.message : String(cause);
    throw new ReelayError('opus_invalid', { value, cause });
  }
}

function loadNative(): NativeEncoder | null {
  if (native !== undefined) return native;
  try {
    native = (require('@discordjs/opus') as { OpusEncoder: NativeEncoder }).OpusEncoder;
  } catch {
    // An optional dependency: not installed, or its addon couldn't be built here.
    native = null;
  }
  return native;
}

function nativeEngine(sampleRate: OpusRate, channels: number): Engine {
  const Encoder = loadNative();
  if (Encoder === null) {
    throw invalid(
      '@discordjs/opus is not there',
      'Install a C++ compiler and run: npm rebuild @discordjs/opus',
    );
  }
  const codec = new Encoder(sampleRate, channels);
  return {
    ask: (number, value) => codec.applyEncoderCTL(number, value),
    encode: (pcm) => codec.encode(pcm),
    decode: (packet) => codec.decode(packet),
    // Its memory goes with the object.
    delete: () => undefined,
  };
}

function wasmEngine(sampleRate: OpusRate, channels: number): Engine {
  if (wasmCodecs >= maxWasmCodecs) {
    throw invalid(`more than ${maxWasmCodecs} codecs at once`, 'Delete codecs that are no longer used.');
  }
  const Wasm = require('opusscript') as typeof OpusScript;
  const codec = new Wasm(sampleRate, channels, Wasm.Application.VOIP);
  wasmCodecs++;
  let alive = true;
  return {
    ask: (number, value) => codec.encoderCTL(number, value),
    encode: (pcm) => codec.encode(pcm, pcm.length / 2 / channels),
    decode: (packet) => codec.decode(packet),
    delete: () => {
      if (!alive) return;
      alive = false;
      wasmCodecs--;
      codec.delete();
    },
  };
}

function invalid(value: string, remedy: string): ReelayError {
  return new ReelayError('opus_invalid', { value, remedy });
}
