import { setImmediate as turn } from 'node:timers/promises';
import { createMp3Encoder, type WasmMediaEncoder } from 'wasm-media-encoders';
import { ReelayError } from '../config/ReelayError.js';
import { mp3InfoFrame } from './mp3Info.js';
import { channelOf } from './pcm.js';
import { stepsOf } from './PcmSteps.js';
import { canResample } from './polyphaseFilter.js';
import { Resampler } from './Resampler.js';

/** What goes into an MP3: interleaved PCM16. */
export interface Mp3Shape {
  /** Hz. */
  readonly sampleRate: number;
  /** 1 or 2. */
  readonly channels: number;
  /** Per channel, if that is known beforehand: then the file says of itself where its audio begins and ends. */
  readonly samples?: number;
}

/** The rates that MPEG-1, MPEG-2 and MPEG-2.5 have (ISO/IEC 11172-3, 13818-3), Hz. */
const mp3Rates = [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] as const;

/** What one step of the encoder takes, as a part of a second: milliseconds of work, so that the thread can answer others. */
const stepsPerSecond = 10;

/** The lowest rate of MP3 that loses nothing of this one; 48 kHz for what is above them all. */
export function mp3RateOf(sampleRate: number): (typeof mp3Rates)[number] {
  return mp3Rates.find((rate) => rate >= sampleRate) ?? 48_000;
}

/**
 * Constant bit rate in kbit/s, because players and jambonz's portal seek in it without an index. Stereo is 128, what jambonz's
 * own recorders make, or 64 up to 12 kHz, the most that the encoder's MPEG-2.5 has; one channel needs half.
 */
export function mp3BitrateOf({ sampleRate, channels }: Mp3Shape): 32 | 64 | 128 {
  const isNarrow = mp3RateOf(sampleRate) <= 12_000;
  if (channels === 1) return isNarrow ? 32 : 64;
  return isNarrow ? 64 : 128;
}

/** Whether {@link encodeMp3} takes audio of this shape. */
export function canEncodeMp3({ sampleRate, channels }: Mp3Shape): boolean {
  return (channels === 1 || channels === 2) && canResample(sampleRate, mp3RateOf(sampleRate));
}

/** Size of the file, bytes; what it has over the bit rate is less than a second's. */
export function mp3BytesOf(shape: Required<Mp3Shape>): number {
  return Math.ceil(((shape.samples / shape.sampleRate + 1) * mp3BitrateOf(shape) * 1000) / 8);
}

/**
 * Encodes a call from its first to its last sample with one encoder (LAME), so that there are no seams. Between steps of a tenth
 * of a second of audio the event loop gets its turn. A decoder that doesn't know {@link mp3InfoFrame} gives the audio back later
 * by the encoder's and its own delay, 1105 samples together.
 *
 * @param pcm - pieces of any length, also of odd ones
 * @throws ReelayError `sample_rate_invalid` for a rate that can't be converted to one of MP3
 */
export async function* encodeMp3(pcm: AsyncIterable<Uint8Array>, shape: Mp3Shape): AsyncGenerator<Buffer> {
  const { sampleRate, channels } = shape;
  if (channels !== 1 && channels !== 2)
    throw new ReelayError('wav_invalid', { value: `${channels} channels`, remedy: 'An MP3 has one or two.' });
  const rate = mp3RateOf(sampleRate);
  const resamplers = Array.from({ length: channels }, () => new Resampler(sampleRate, rate));
  const encoder = await createMp3Encoder();
  encoder.configure({ sampleRate: rate, channels, bitrate: mp3BitrateOf(shape), outputSampleRate: rate });
  const stepSamples = Math.ceil(sampleRate / stepsPerSecond);
  const frames = framesOf(encoder, resamplers, stepsOf(pcm, channels * 2, stepSamples));
  let isFirst = shape.samples !== undefined;
  for await (const bytes of frames) {
    if (isFirst) yield mp3InfoFrame(bytes, Math.ceil(((shape.samples ?? 0) * rate) / sampleRate));
    isFirst = false;
    yield bytes;
  }
}

type Encoder = WasmMediaEncoder<'audio/mpeg'>;

async function* framesOf(
  encoder: Encoder,
  resamplers: readonly Resampler[],
  steps: AsyncIterable<Int16Array>,
): AsyncGenerator<Buffer> {
  for await (const step of steps) {
    yield* encoded(
      encoder,
      resamplers.map((resampler, channel) => resampler.push(channelOf(step, channel, resamplers.length))),
    );
    await turn();
  }
  yield* encoded(
    encoder,
    resamplers.map((resampler) => resampler.flush()),
  );
  const last = Buffer.from(encoder.finalize());
  if (last.length > 0) yield last;
}

function* encoded(encoder: Encoder, channels: Int16Array[]): Generator<Buffer> {
  if (channels[0]?.length === 0) return;
  // The encoder's answer is in memory that its next step overwrites.
  const bytes = Buffer.from(encoder.encode(channels.map(unitsOf)));
  if (bytes.length > 0) yield bytes;
}

/** Samples from -1 to 1. */
function unitsOf(samples: Int16Array): Float32Array {
  const units = new Float32Array(samples.length);
  for (let at = 0; at < samples.length; at++) units[at] = (samples[at] ?? 0) / 32_768;
  return units;
}
